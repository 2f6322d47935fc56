"""Frames of a page that is redrawn in place: as many lines as the terminal has, the last one a status line."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rich.console import Console, ConsoleDimensions, Group
from rich.segment import Segment, SegmentLines
from rich.style import Style
from rich.text import Text

from btcts.errors import StoreUnreachable
from btcts.render.figures import duration, to_datetime
from btcts.services.show import Sight, SlotsView, View
from btcts.system.foreign import plain

DrawView = Callable[[View, Console, int], Group]
"""Makes the page of a view for a console and, where it can choose, a number of lines."""

Line = Sequence[Segment]

OUTDATED = Style(dim=True)
"""Style of values while Redis is unreachable."""

LEAST_SLOTS = 5
"""Slots that a table keeps in a low terminal, at the expense of the lines below them."""


@dataclass(frozen=True)
class Frames:
    """Makes the frames of a page; the size of `console` becomes that of the frame."""

    page: DrawView
    console: Console
    utc: bool

    def draw_frame(self, sight: Sight, *, now_ms: int, size: tuple[int, int]) -> list[str]:
        """Return the lines of a frame, each as wide as the terminal, with colour codes."""
        width, height = size
        self.console.size = ConsoleDimensions(width, height)
        view = sight.at(now_ms)
        page = self.page(view, self.console, height - 1)
        lines = self.console.render_lines(page, style=OUTDATED if sight.away else None)
        slots = len(view.shown.slots) if isinstance(view, SlotsView) else 0
        kept, left_out = fit_lines(lines, room=height - 1, slots=slots)
        below = _explain_outage(sight, view, utc=self.utc) if sight.away else _make_hint(slots, left_out)
        blank = [Segment(" " * width)]
        rows = [*kept, *[blank] * (height - 1 - len(kept)), *self.console.render_lines(below)[:1]]
        return self._render_rows(rows)

    def _render_rows(self, rows: Sequence[Line]) -> list[str]:
        with self.console.capture() as captured:
            self.console.print(SegmentLines([list(row) for row in rows], new_lines=True), end="")
        return captured.get().splitlines()


def fit_lines(lines: Sequence[Line], *, room: int, slots: int) -> tuple[list[Line], int]:
    """Return the lines of a page with `slots` slots that have room, and the number of slots left out.

    The oldest slots are dropped first, then the lines below the slots. Above the slots are the title, a blank line,
    the headings and a rule.
    """
    blank = (number for number, line in enumerate(lines) if not "".join(segment.text for segment in line).strip())
    head = next(blank, 0) + 3
    left_out = max(0, min(len(lines) - room, slots - LEAST_SLOTS))
    return [*lines[:head], *lines[head + left_out :]][: max(0, room)], left_out


def _make_hint(slots: int, left_out: int) -> Text:
    newest = f"The newest {slots - left_out} of {slots} slots. " if left_out else ""
    return Text(f"{newest}Ctrl-C ends.", style="dim", no_wrap=True)


def _explain_outage(sight: Sight, view: View, *, utc: bool) -> Text:
    """Tell since when Redis has been unreachable, and its error unless it is merely silent."""
    since = f"{to_datetime(view.now_ms, utc=utc):%H:%M:%S} ({duration(view.silent_ms / 1000)})"
    silent = isinstance(sight.away, StoreUnreachable)
    problem = f"Redis has not answered since {since}" if silent else f"{sight.away}, since {since}"
    return Text(plain(f"{problem}; trying again"), style="bold yellow", no_wrap=True)
