"""Print everything that commands print: text for people, free of terminal escapes, documents, pages and pictures."""

import os
import shutil
import sys
from collections.abc import Iterable
from enum import StrEnum, auto
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import typer

from btcts.errors import ConfigError

if TYPE_CHECKING:
    from rich.console import Console, Group

    from btcts.services.show import View

UNBOUNDED = 100_000
"""The size of a pipe or file: no line is wrapped and no column left out."""


class TableFormat(StrEnum):
    """Formats of slots."""

    table = "table"
    json = "json"
    csv = "csv"


class LineFormat(StrEnum):
    """Formats of events and reports."""

    text = "text"
    json = "json"


class Form(StrEnum):
    """Forms of a view."""

    table = auto()
    chart = auto()
    picture = auto()
    json = auto()
    csv = auto()


def tell(line: str, *, err: bool = False) -> None:
    """Print a line for people on stdout, or on stderr."""
    tell_lines([line], err=err)


def tell_lines(lines: Iterable[str], *, err: bool = False) -> None:
    """Print lines for people, all at once; a terminal gets those that are too long for it broken between words."""
    from btcts.system.foreign import mask_logins, plain  # imported late: a completion prints nothing

    width = measure_terminal(err=err)
    typer.echo("".join(_break_line(plain(mask_logins(line)), width) + "\n" for line in lines), err=err, nl=False)


def measure_terminal(*, err: bool = False) -> int | None:
    """Return the columns of the terminal that stdout, or stderr, is; None for a pipe or a file."""
    return shutil.get_terminal_size().columns if (sys.stderr if err else sys.stdout).isatty() else None


def _break_line(line: str, width: int | None) -> str:
    if width is None or len(line) <= width:
        return line
    from textwrap import fill

    return fill(line, width, subsequent_indent="    ", break_long_words=False, break_on_hyphens=False)


def print_if_possible(text: str, *, as_json: bool) -> None:
    """Print a line or document of a long-running command: neither a full log disk nor a lack of memory ends it."""
    try:
        (emit if as_json else tell)(text)
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
    import traceback  # costly, and rarely needed

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
    """Open the console for pages, without colour when unwanted or unseen (NO_COLOR, TERM=dumb, a pipe).

    A pipe or file is as wide as the text needs, whatever COLUMNS says.
    """
    from rich.console import ConsoleDimensions

    from btcts.render.show.page import PlainConsole

    console = PlainConsole(stderr=stderr, no_color=no_color or None, highlight=False)
    if measure_terminal(err=stderr) is None:
        console.size = ConsoleDimensions(UNBOUNDED, UNBOUNDED)
    elif console.is_dumb_terminal:  # which rich takes to have 80 columns
        console.size = ConsoleDimensions(*shutil.get_terminal_size())
    return console


class Printer(NamedTuple):
    """Prints views as the options of a call ask for; a picture goes to `file`, - for stdout."""

    form: Form
    utc: bool
    no_color: bool
    file: str | None = None

    def print(self, view: "View", *, height: int | None = None) -> None:
        """Print the view (a chart `height` lines high), or write the picture to its file."""
        if self.form in (Form.table, Form.chart):
            from btcts.render.show.page import print_page

            console = self.open_console()
            print_page(self.page(view, console, height), console)
        elif self.file in (None, "-"):
            emit(self.render_text(view))
        else:
            write_picture(self.file, f"{self.render_text(view)}\n")

    def open_console(self) -> "Console":
        """Open the console; a chart has a size of its own in a pipe or file."""
        console = open_console(no_color=self.no_color)
        if self.form is Form.chart and measure_terminal() is None:
            from rich.console import ConsoleDimensions

            from btcts.render.chart.terminal import PIPE_HEIGHT, PIPE_WIDTH

            console.size = ConsoleDimensions(PIPE_WIDTH, PIPE_HEIGHT + 1)  # a terminal keeps one for the prompt
        return console

    def page(self, view: "View", console: "Console", height: int | None = None) -> "Group":
        """Lay out the view for a terminal; a chart is `height` lines high."""
        from btcts.services.show import Overview

        if isinstance(view, Overview):
            from btcts.render.show.overview import draw_overview_page

            return draw_overview_page(view, utc=self.utc, console=console)
        if self.form is Form.chart:
            from btcts.render.chart.terminal import draw_chart_page

            return draw_chart_page(view, utc=self.utc, console=console, height=height)
        from btcts.render.show.slots import draw_slots_page

        return draw_slots_page(view, utc=self.utc, console=console)

    def render_text(self, view: "View") -> str:
        """Render the view as JSON, CSV or SVG."""
        from btcts.services.show import Overview

        if self.form is Form.picture and not isinstance(view, Overview):
            from btcts.render.chart.picture import draw_chart_svg

            return draw_chart_svg(view, utc=self.utc)
        from btcts.render.show.documents import view_csv, view_json

        return view_csv(view) if self.form is Form.csv else view_json(view)


def write_picture(path: str, text: str) -> None:
    """Replace the file by the picture atomically; write to what is not a regular file, such as a pipe."""
    from btcts.system import durable
    from btcts.system.causes import describe

    if not path:
        raise ConfigError("--svg names no file; give one, or - for stdout")
    named = Path(path)
    try:
        if named.exists() and not named.is_file():
            named.write_text(text, "utf-8")
        else:  # Path.resolve raises a RuntimeError for a loop of links
            durable.replace(Path(os.path.realpath(named)), text.encode(), mode=0o666)
    except OSError as exc:
        raise ConfigError(f"--svg {path} cannot be written ({describe(exc)}); name another file") from exc
