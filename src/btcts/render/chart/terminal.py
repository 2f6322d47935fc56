"""A candle chart in rows of characters, fitted to the width, the height and the encoding of the terminal."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from typing import ClassVar, NamedTuple

from rich.console import Console, Group
from rich.text import Text

from btcts.render.chart.plot import (
    TIME_WIDTH,
    TRENDS,
    Candlestick,
    Label,
    Plot,
    is_gap,
    label_days,
    label_times,
    make_plot,
    place_labels,
)
from btcts.render.figures import countdown, price, stamp
from btcts.render.glyphs import Shape, draw_spark
from btcts.render.show.page import choose_places, draw_empty_page, draw_title, has_prices, list_notices, make_line
from btcts.services.show import SlotsView

WIDEST_SLOT, WIDEST_STICK = 24, 9
"""Most columns for a slot, and for the candlestick in it: a wider one looks like a wall."""

AXIS_WIDTH = 2
"""Columns of the price axis and the space behind it."""

STYLES = {1: "green", -1: "red", 0: ""}

PIPE_WIDTH, PIPE_HEIGHT = 100, 24
"""The size of a chart where there is no terminal to ask."""

LEAST_COLUMNS, LEAST_ROWS = 10, 4
"""A plot that is smaller says less than a spark line."""

SMALL = "There is no room for candles: these are the closes."


class Signs(NamedTuple):
    """The characters around the candlesticks."""

    wall: str
    price: str
    newest: str
    floor: str
    time: str
    running: str
    running_time: str
    corner: str
    missing: str


BLOCK_SIGNS = Signs("│", "├", "◄", "─", "┬", "═", "╤", "┘", "·")
ASCII_SIGNS = Signs("|", "+", "<", "-", "+", "=", "=", "+", ".")


@dataclass(frozen=True)
class Canvas:
    """A plot at most `columns` wide, price axis excluded; the newest price has `places` decimals."""

    BELOW: ClassVar = 3
    """Lines under the rows of the plot."""

    plot: Plot
    columns: int
    places: int
    ascii_only: bool

    @property
    def signs(self) -> Signs:
        """Characters that the encoding of the terminal can show."""
        return ASCII_SIGNS if self.ascii_only else BLOCK_SIGNS

    @cached_property
    def pitch(self) -> int:
        """Columns per slot."""
        return min(WIDEST_SLOT, self.columns // len(self.plot.candlesticks))

    @cached_property
    def stick_width(self) -> int:
        """Columns per candlestick: an odd number, about two thirds of the slot, and in ASCII never all of it."""
        return min(WIDEST_STICK, (self.pitch - self.ascii_only) * 7 // 20 * 2 + 1)

    @property
    def label_width(self) -> int:
        """Columns of the widest price on the axis."""
        return max(map(len, self._prices.values()))

    @property
    def width(self) -> int:
        """Columns of the plot with its price axis."""
        return self.pitch * len(self.plot.candlesticks) + AXIS_WIDTH + self.label_width

    def draw_lines(self, *, utc: bool) -> Iterator[Text]:
        """Draw the rows from the top down, then the time axis, the times and the days."""
        for row in reversed(range(self.plot.axis.rows)):
            yield self._draw_row(row)
        times = self._place_times(utc=utc)
        yield self._draw_floor({time.at for time in times})
        yield _draw_labels(times)
        yield _draw_labels(self._place_labels(label_days(self.plot.starts_ms, utc=utc), indent=0))

    def sample(self, trend: int) -> str:
        """Draw a short body of that trend, for the legend."""
        body = Shape(0, 1, 0, 1, trend) if trend else Shape(0, 0, 0, 0, 0)
        return self._draw_cells(body, 0, min(3, self.stick_width))

    def _draw_row(self, row: int) -> Text:
        text = make_line()
        for slot, shape in zip(self.plot.shown.slots, self._shapes, strict=True):
            if shape:
                cells = self._pad_cells(self._draw_cells(shape, row, self.stick_width))
                text.append(cells, style=STYLES[shape.trend] + ("" if slot.closed else " bold"))
            else:
                text.append(self._pad_cells(self.signs.missing if is_gap(slot) else " "), style="dim")
        if row == self._newest_row:
            text.append(self.signs.newest, style="bold").append(f" {self._prices[row]}", style="bold")
        elif row in self._prices:
            text.append(self.signs.price, style="dim").append(f" {self._prices[row]}")
        else:
            text.append(self.signs.wall, style="dim")
        return text

    def _draw_cells(self, shape: Shape, row: int, width: int) -> str:
        return (shape.draw_ascii_cells if self.ascii_only else shape.draw_cells)(row, width)

    def _pad_cells(self, cells: str, fill: str = " ") -> str:
        """Centre the characters in a slot, to the left where the space is uneven."""
        left = (self.pitch - len(cells)) // 2
        return fill * left + cells + fill * (self.pitch - len(cells) - left)

    @cached_property
    def _shapes(self) -> list[Shape | None]:
        return [self._scale_stick(stick) if stick else None for stick in self.plot.candlesticks]

    def _scale_stick(self, stick: Candlestick) -> Shape:
        low, high, bottom, top = (
            int(2 * self.plot.axis.height(value)) for value in (stick.min, stick.max, *stick.body)
        )
        return Shape(low, high, bottom, top, stick.trend)

    @cached_property
    def _newest_row(self) -> int | None:
        marked = self.plot.marked
        return None if marked is None else int(self.plot.axis.height(marked))

    @cached_property
    def _prices(self) -> dict[int, str]:
        """Labels of the price axis by row, with their decimal points aligned."""
        texts = {label.at: label.text for label in self.plot.axis.labels}
        if self.plot.marked is not None and self._newest_row is not None:
            texts[self._newest_row] = price(self.plot.marked, self.places)
        wholes = {row: len(text.partition(".")[0]) for row, text in texts.items()}
        return {row: " " * (max(wholes.values()) - wholes[row]) + text for row, text in texts.items()}

    def _draw_floor(self, times: set[int]) -> Text:
        text = make_line()
        for at, slot in enumerate(self.plot.shown.slots):
            floor = self.signs.floor if slot.closed else self.signs.running
            tick = self.signs.time if slot.closed else self.signs.running_time
            text.append(self._pad_cells(tick if at in times else floor, floor), style="dim" if slot.closed else "bold")
        return text.append(self.signs.corner, style="dim")

    def _place_times(self, *, utc: bool) -> list[Label]:
        bucket_ms = self.plot.shown.resolution.bucket_ms
        apart = (TIME_WIDTH + 2) / self.pitch
        labels = label_times(self.plot.starts_ms, bucket_ms=bucket_ms, apart=apart, utc=utc)
        middle = (self.pitch - 1) // 2
        return self._place_labels(labels, indent=middle - TIME_WIDTH // 2)

    def _place_labels(self, labels: Iterator[Label], *, indent: int) -> list[Label]:
        wanted = (label._replace(start=label.at * self.pitch + indent) for label in labels)
        return place_labels(wanted, letter=1, right=self.width)


def _draw_labels(labels: list[Label]) -> Text:
    text = make_line()
    for label in sorted(labels, key=lambda label: label.start):
        text.append(" " * (int(label.start) - len(text))).append(label.text)
    return text


def draw_chart_page(view: SlotsView, *, utc: bool, console: Console, height: int | None = None) -> Group:
    """Draw the chart of the one resolution in `view`, as wide as the terminal and `height` lines high.

    Without `height` it is one line less than the terminal has, for the prompt. Where there is too little room the
    page has a spark line instead.
    """
    if not has_prices(view):
        return Group(*draw_empty_page(view))
    width, lines = (console.width, console.height - 1) if console.is_terminal else (PIPE_WIDTH, PIPE_HEIGHT)
    about = f"{view.shown.resolution.name}, {stamp(view.now_ms, utc=utc)}"
    below = list(list_notices(view))
    around = [*draw_title(view, about, width=0, console=console), make_line(), make_line(), *below]
    rows = (height or lines) - Canvas.BELOW - _count_lines(around, console, width)
    canvas = _fit_canvas(view, width=width, rows=rows, ascii_only=console.options.ascii_only)
    top = draw_title(view, about, width=canvas.width if canvas else 0, console=console)
    if canvas is None:
        return Group(*top, *_draw_closes(view, width, console), *below)
    return Group(*top, make_line(), *canvas.draw_lines(utc=utc), _draw_legend(canvas, view.now_ms, width), *below)


def _count_lines(texts: Iterable[Text], console: Console, width: int) -> int:
    """Count the lines that the texts take when the long ones are wrapped."""
    return sum(len(text.wrap(console, width)) for text in texts)


def _fit_canvas(view: SlotsView, *, width: int, rows: int, ascii_only: bool) -> Canvas | None:
    """Fit the canvas to `width`: fewer slots may change the prices, and so the width of their axis."""
    columns = width - AXIS_WIDTH
    while rows >= LEAST_ROWS and columns >= LEAST_COLUMNS:
        plotted = make_plot(view, most=columns, rows=rows)
        if plotted is None:
            return None
        canvas = Canvas(plotted, columns, choose_places(view), ascii_only)
        if canvas.width <= width:
            return canvas
        columns = min(columns - 1, width - AXIS_WIDTH - canvas.label_width)
    return None


def _draw_closes(view: SlotsView, width: int, console: Console) -> Iterator[Text]:
    """Draw a spark line of the closes; nothing when no slot has one."""
    closes = [slot.close for slot in view.shown.slots[-width:]]
    if any(closes):
        yield make_line()
        yield make_line(draw_spark(closes, ascii_only=console.options.ascii_only))
        yield Text(SMALL, style="dim")


def _draw_legend(canvas: Canvas, now_ms: int, width: int) -> Text:
    """Draw as much of the legend as fits on one line."""
    items = list(_list_signs(canvas, now_ms))
    ends = accumulate(len(item) + 2 for item in items)
    shown = [item for item, end in zip(items, ends, strict=True) if end - 2 <= width]
    return make_line("  ").join(shown)


def _list_signs(canvas: Canvas, now_ms: int) -> Iterator[Text]:
    """List the signs of this chart with their meanings, the most important first."""
    plotted, shown = canvas.plot, len(canvas.plot.candlesticks)
    trends = {trend: _explain_sign(canvas.sample(trend), TRENDS[trend], STYLES[trend]) for trend in plotted.trends}
    yield from (words for trend, words in trends.items() if trend)
    if plotted.left_out:
        yield Text(f"newest {shown} of {shown + plotted.left_out} slots", style="dim")
    if plotted.closing_ms is not None:
        yield _explain_sign(canvas.signs.running, f"open, {countdown(plotted.closing_ms - now_ms)} left", "bold")
    if plotted.has_gaps:
        yield _explain_sign(canvas.signs.missing, "no price", "dim")
    if 0 in trends:
        yield trends[0]


def _explain_sign(sign: str, words: str, style: str) -> Text:
    return Text.assemble((sign, style), (f" {words}", "dim"))
