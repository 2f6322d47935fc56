"""Where everything that commands print goes through: text for people without what could harm a terminal, documents."""

import shutil
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from rich.console import Console


def tell(line: str, *, err: bool = False) -> None:
    """Print a line for people, on stdout or beside it."""
    from btcts.system.foreign import mask_logins, plain  # not for commands that say nothing, such as a completion

    typer.echo(plain(mask_logins(line)), err=err)


def tell_page(page: str) -> None:
    """Print lines for people on stdout."""
    from btcts.system.foreign import mask_logins, plain_page

    typer.echo(plain_page(mask_logins(page)))


def tell_on(line: str) -> None:
    """Print a line of a command that goes on: neither a full disk of its log nor a lack of memory ends it."""
    try:
        tell(line)
    except BrokenPipeError:
        raise
    except (OSError, MemoryError):
        return


def complain(line: str) -> None:
    """Say on stderr, in one line that names us, what went wrong."""
    tell(f"btcts: {line}", err=True)


def emit(document: str) -> None:
    """Print a document for programs: JSON, in which everything that is not ASCII is escaped, CSV or SVG."""
    from btcts.system.foreign import plain_page

    typer.echo(plain_page(document.replace("\x7f", "\\u007f")))  # the one control character that JSON leaves as it is


def report_traceback() -> None:
    """Print the traceback of the exception that is handled on stderr."""
    import traceback  # costly, and needed on the worst day only

    typer.echo(_guard(traceback.format_exc()), err=True, nl=False)


def show_log() -> None:
    """Print on stderr the tracebacks of what goes wrong in the threads and the rounds of a command that goes on."""
    import logging

    class Guarded(logging.Formatter):
        def format(self, record: logging.LogRecord) -> str:
            return _guard(super().format(record))

    handler = logging.StreamHandler()
    handler.setFormatter(Guarded("btcts: %(message)s"))
    logging.basicConfig(handlers=[handler])
    logging.getLogger("btcts").setLevel(logging.DEBUG)


def _guard(report: str) -> str:
    """The report of a failure without what others may have put into it."""
    from btcts.system.foreign import plain_page, redact

    return plain_page(redact(report))


def open_console(*, stderr: bool = False, no_color: bool = False) -> "Console":
    """Where pages go: without colour when it is unwanted or nobody would see it (NO_COLOR, TERM=dumb, a pipe)."""
    from rich.console import ConsoleDimensions

    from btcts.render.console import PlainConsole

    console = PlainConsole(stderr=stderr, no_color=no_color or None, highlight=False)
    if console.is_dumb_terminal:  # which rich takes to have 80 columns
        console.size = ConsoleDimensions(*shutil.get_terminal_size())
    return console
