"""How a view is printed: as a page, a document or a picture."""

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
"""The size of what is no terminal: no line is wrapped there, and no column left out."""


class Form(StrEnum):
    """What a view is turned into."""

    table = auto()
    chart = auto()
    picture = auto()
    json = auto()
    csv = auto()


class Printer(NamedTuple):
    """How a call wants to see a view; a picture goes to `file`, - for stdout."""

    form: Form
    utc: bool
    common: Common
    file: str | None = None

    def print(self, view: "View", *, height: int | None = None) -> None:
        """Print it, a chart `height` lines high, or write the picture."""
        if self.form in (Form.table, Form.chart):
            from btcts.render.show.page import print_page

            console = self.console()
            print_page(self.page(view, console, height), console)
        elif self.file in (None, "-"):
            emit(self.text(view))
        else:
            put(self.file, f"{self.text(view)}\n")
            self.common.say(f"the chart is in {self.file}")

    def console(self) -> "Console":
        """Where pages go; what is no terminal is as wide as it takes, whatever COLUMNS says, in colour or not."""
        from rich.console import ConsoleDimensions

        console = self.common.console()
        if not sys.stdout.isatty():
            console.size = ConsoleDimensions(*self._pipe())
        return console

    def page(self, view: "View", console: "Console", height: int | None = None) -> "Group":
        """The view for a terminal; a chart is `height` lines high."""
        if self.form is Form.chart:
            from btcts.render.chart.terminal import draw_chart_page

            return draw_chart_page(view, utc=self.utc, console=console, height=height)
        from btcts.render.show.tables import draw_overview_page, draw_slots_page

        return (draw_slots_page if len(view.shown) == 1 else draw_overview_page)(view, utc=self.utc, console=console)

    def text(self, view: "View") -> str:
        """The view for a program, or as a picture."""
        if self.form is Form.picture:
            from btcts.render.chart.picture import draw_chart_svg

            return draw_chart_svg(view, utc=self.utc)
        from btcts.render import documents

        one = len(view.shown) == 1
        if self.form is Form.csv:
            return (documents.show_csv if one else documents.overview_csv)(view)
        return (documents.show_json if one else documents.overview_json)(view)

    def _pipe(self) -> tuple[int, int]:
        """The size of what is no terminal."""
        if self.form is not Form.chart:
            return UNBOUNDED, UNBOUNDED
        from btcts.render.chart.terminal import PIPE_HEIGHT, PIPE_WIDTH

        return PIPE_WIDTH, PIPE_HEIGHT + 1  # a terminal keeps one for the prompt


def put(path: str, text: str) -> None:
    """Put the text in the place of the file at once; what is no file, such as a pipe, is written to."""
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
