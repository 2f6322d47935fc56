"""A candle chart fitted to the width, the height and the encoding of the terminal."""

from collections.abc import Iterable, Iterator
from itertools import accumulate

from rich.console import Console, Group
from rich.text import Text

from btcts.render.chart.canvas import AXIS_WIDTH, STYLES, Canvas
from btcts.render.chart.plot import TRENDS, plot
from btcts.render.figures import countdown, stamp
from btcts.render.show.page import choose_places, draw_empty_page, draw_title, has_prices, line, list_notices
from btcts.render.show.spark import draw_spark
from btcts.services.show import SlotsView

PIPE_WIDTH, PIPE_HEIGHT = 100, 24
"""The size of a chart where there is no terminal to ask."""

LEAST_COLUMNS, LEAST_ROWS = 10, 4
"""A plot that is smaller says less than a spark line."""

SMALL = "There is no room for candles: these are the closes."


def draw_chart_page(view: SlotsView, *, utc: bool, console: Console, height: int | None = None) -> Group:
    """Draw the chart of the one resolution in `view`, as wide as the terminal and `height` lines high.

    Without `height` it is one line less than the terminal has, for the prompt. Where there is too little room the
    page has a spark line instead.
    """
    if not has_prices(view):
        return Group(*draw_empty_page(view))
    width, lines = _measure_console(console)
    about = f"{view.shown.resolution.name}, {stamp(view.now_ms, utc=utc)}"
    below = list(list_notices(view))
    around = [*draw_title(view, about, width=0, console=console), line(), line(), *below]
    rows = (height or lines) - Canvas.BELOW - _count_lines(around, console, width)
    canvas = _fit_canvas(view, width=width, rows=rows, ascii_only=console.options.ascii_only)
    top = draw_title(view, about, width=canvas.width if canvas else 0, console=console)
    if canvas is None:
        return Group(*top, *_draw_closes(view, width, console), *below)
    return Group(*top, line(), *canvas.draw_lines(utc=utc), _draw_legend(canvas, view.now_ms, width), *below)


def _measure_console(console: Console) -> tuple[int, int]:
    return (console.width, console.height - 1) if console.is_terminal else (PIPE_WIDTH, PIPE_HEIGHT)


def _count_lines(texts: Iterable[Text], console: Console, width: int) -> int:
    """Count the lines that the texts take when the long ones are wrapped."""
    return sum(len(text.wrap(console, width)) for text in texts)


def _fit_canvas(view: SlotsView, *, width: int, rows: int, ascii_only: bool) -> Canvas | None:
    """Fit the canvas to `width`: fewer slots may change the prices, and so the width of their axis."""
    columns = width - AXIS_WIDTH
    while rows >= LEAST_ROWS and columns >= LEAST_COLUMNS:
        plotted = plot(view, most=columns, rows=rows)
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
        yield line()
        yield line(draw_spark(closes, ascii_only=console.options.ascii_only))
        yield Text(SMALL, style="dim")


def _draw_legend(canvas: Canvas, now_ms: int, width: int) -> Text:
    """Draw as much of the legend as fits on one line."""
    items = list(_list_signs(canvas, now_ms))
    ends = accumulate(len(item) + 2 for item in items)
    shown = [item for item, end in zip(items, ends, strict=True) if end - 2 <= width]
    return line("  ").join(shown)


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
