"""Print everything that commands print: text for people, free of terminal escapes, and documents for programs."""

import shutil
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from rich.console import Console


def tell(line: str, *, err: bool = False) -> None:
    """Print a line for people on stdout, or on stderr."""
    from btcts.system.foreign import mask_logins, plain  # imported late: a completion prints nothing

    typer.echo(plain(mask_logins(line)), err=err)


def tell_page(page: str) -> None:
    """Print lines for people on stdout."""
    from btcts.system.foreign import mask_logins, plain_page

    typer.echo(plain_page(mask_logins(page)))


def tell_on(line: str) -> None:
    """Print a line of a long-running command: neither a full log disk nor a lack of memory ends it."""
    try:
        tell(line)
    except BrokenPipeError:
        raise
    except (OSError, MemoryError):
        return


def complain(line: str) -> None:
    """Print on stderr what went wrong, in one line that begins with our name."""
    tell(f"btcts: {line}", err=True)


def emit(document: str) -> None:
    """Print a document for programs: JSON (non-ASCII escaped), CSV or SVG."""
    from btcts.system.foreign import plain_page

    typer.echo(plain_page(document.replace("\x7f", "\\u007f")))  # the one control character that JSON leaves as it is


def report_traceback() -> None:
    """Print the traceback of the current exception on stderr."""
    import traceback  # costly, and needed on the worst day only

    typer.echo(_guard(traceback.format_exc()), err=True, nl=False)


def show_log() -> None:
    """Log on stderr the tracebacks of failures in threads and rounds of a long-running command."""
    import logging

    class GuardedFormatter(logging.Formatter):
        def format(self, record: logging.LogRecord) -> str:
            return _guard(super().format(record))

    handler = logging.StreamHandler()
    handler.setFormatter(GuardedFormatter("btcts: %(message)s"))
    logging.basicConfig(handlers=[handler])
    logging.getLogger("btcts").setLevel(logging.DEBUG)


def _guard(report: str) -> str:
    """Remove secrets and control characters that others may have put into a traceback."""
    from btcts.system.foreign import plain_page, redact

    return plain_page(redact(report))


def open_console(*, stderr: bool = False, no_color: bool = False) -> "Console":
    """Open the console for pages, without colour when unwanted or unseen (NO_COLOR, TERM=dumb, a pipe)."""
    from rich.console import ConsoleDimensions

    from btcts.render.console import PlainConsole

    console = PlainConsole(stderr=stderr, no_color=no_color or None, highlight=False)
    if console.is_dumb_terminal:  # which rich takes to have 80 columns
        console.size = ConsoleDimensions(*shutil.get_terminal_size())
    return console
