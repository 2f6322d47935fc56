"""Print a view as a page, a document or a picture."""

import os
import sys
from enum import StrEnum, auto
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from btcts.cli.common import Common
from btcts.cli.output import emit
from btcts.errors import ConfigError

if TYPE_CHECKING:
    from rich.console import Console, Group

    from btcts.services.show import View

UNBOUNDED = 100_000
"""The size of a pipe or file: no line is wrapped and no column left out."""


class Form(StrEnum):
    """Forms of a view."""

    table = auto()
    chart = auto()
    picture = auto()
    json = auto()
    csv = auto()


class Printer(NamedTuple):
    """Prints views as the options of a call ask for; a picture goes to `file`, - for stdout."""

    form: Form
    utc: bool
    common: Common
    file: str | None = None

    def print(self, view: "View", *, height: int | None = None) -> None:
        """Print the view, a chart `height` lines high, or write the picture to its file."""
        if self.form in (Form.table, Form.chart):
            from btcts.render.show.page import print_page

            console = self.open_console()
            print_page(self.page(view, console, height), console)
        elif self.file in (None, "-"):
            emit(self.render_text(view))
        else:
            put(self.file, f"{self.render_text(view)}\n")
            self.common.say(f"the chart is in {self.file}")

    def open_console(self) -> "Console":
        """Open the console; a pipe or file is as wide as the text needs, whatever COLUMNS says."""
        from rich.console import ConsoleDimensions

        console = self.common.open_console()
        if not sys.stdout.isatty():
            console.size = ConsoleDimensions(*self._measure_pipe())
        return console

    def page(self, view: "View", console: "Console", height: int | None = None) -> "Group":
        """Lay out the view for a terminal; a chart is `height` lines high."""
        if self.form is Form.chart:
            from btcts.render.chart.terminal import draw_chart_page

            return draw_chart_page(view, utc=self.utc, console=console, height=height)
        from btcts.render.show.tables import draw_overview_page, draw_slots_page

        return (draw_slots_page if len(view.shown) == 1 else draw_overview_page)(view, utc=self.utc, console=console)

    def render_text(self, view: "View") -> str:
        """Render the view as JSON, CSV or SVG."""
        if self.form is Form.picture:
            from btcts.render.chart.picture import draw_chart_svg

            return draw_chart_svg(view, utc=self.utc)
        from btcts.render import documents

        single = len(view.shown) == 1
        if self.form is Form.csv:
            return (documents.show_csv if single else documents.overview_csv)(view)
        return (documents.show_json if single else documents.overview_json)(view)

    def _measure_pipe(self) -> tuple[int, int]:
        """Return the columns and rows to use for a pipe or file."""
        if self.form is not Form.chart:
            return UNBOUNDED, UNBOUNDED
        from btcts.render.chart.terminal import PIPE_HEIGHT, PIPE_WIDTH

        return PIPE_WIDTH, PIPE_HEIGHT + 1  # a terminal keeps one for the prompt


def put(path: str, text: str) -> None:
    """Replace the file by the text atomically; write to what is not a regular file, such as a pipe."""
    if not path:
        raise ConfigError("--svg names no file; give one, or - for stdout")
    named = Path(path)
    try:
        if named.exists() and not named.is_file():
            named.write_text(text, "utf-8")
            return
        file = named.resolve()
        draft = file.with_name(f".{file.name}.{os.getpid()}")
        try:
            draft.write_text(text, "utf-8")
            draft.replace(file)
        finally:
            draft.unlink(missing_ok=True)
    except OSError as exc:
        from btcts.system.causes import describe

        raise ConfigError(f"--svg {path} cannot be written ({describe(exc)}); name another file") from exc
