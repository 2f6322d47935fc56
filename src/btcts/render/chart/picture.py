"""A candle chart as a picture: one SVG text that needs nothing else, on a ground of its own."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby

from btcts.domain.model import Slot
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
from btcts.render.chart.svg import NAMESPACE, draw_line, draw_text, wrap_elements, wrap_words
from btcts.render.figures import countdown, duration, price, stamp, to_datetime
from btcts.render.show.page import NONE_CLOSED, choose_places, explain_lack, has_prices
from btcts.services.show import SlotsView

WARNING = "#9a6700"
FONT = "ui-sans-serif, system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', Helvetica, Arial, sans-serif"
HOW_TO_READ = "Bodies go from the open to the close, wicks from the lowest to the highest price of a slot."

WIDTH, HEIGHT, MARGIN = 960, 540, 28
TOP, BOTTOM = 92, 424
"""Upper and lower edge of the plot."""

ROWS = 24

BODY_SHARE, WIDEST_BODY = 0.6, 40
"""Share of a slot that a body takes, and its greatest width."""

LETTER = 8.0
"""Width of a character: no common font has wider digits."""

HALF_LETTER = 4.5
"""Distance from the middle of a text down to its baseline."""

NEWEST_HEIGHT = 22
LEGEND = 508
"""Height of the legend's middle."""

INK, MUTED, EDGE, GRID, GROUND = "#1f2328", "#59636e", "#d0d7de", "#eceff2", "#ffffff"
COLOURS = {1: "#1a7f37", -1: "#cf222e", 0: INK}

HATCH = "btcts-no-price"


def draw_chart_svg(view: SlotsView, *, utc: bool) -> str:
    """Draw the chart of the one resolution in `view`, with the same figures as in the terminal."""
    plotted = make_plot(view, most=len(view.shown.slots), rows=ROWS)
    simulated = " (simulated)" if view.simulated else ""
    newest = price(view.newest.price, choose_places(view)) if view.newest else "no price"
    heading = f"{view.market.name}{simulated} {newest}"
    about = f"{view.shown.resolution.name}, {stamp(view.now_ms, utc=utc)}"
    return wrap_elements(
        "svg",
        wrap_words("title", f"{heading}, {about}", id="btcts-title"),
        wrap_words("desc", HOW_TO_READ if plotted else _explain_absence(view), id="btcts-desc"),
        wrap_elements("rect", x=0.5, y=0.5, width=WIDTH - 1, height=HEIGHT - 1, rx=10, fill=GROUND, stroke=EDGE),
        draw_text(MARGIN, 42, heading, font_size=20, font_weight="bold"),
        draw_text(MARGIN, 64, _describe_age(view), fill=WARNING if view.stale else MUTED),
        draw_text(WIDTH - MARGIN, 42, about, fill=MUTED, font_size=14, text_anchor="end"),
        *(Drawing(plotted, view, utc).draw_elements() if plotted else _draw_absence(view)),
        xmlns=NAMESPACE,
        viewBox=f"0 0 {WIDTH} {HEIGHT}",
        width=WIDTH,
        height=HEIGHT,
        role="img",
        aria_labelledby="btcts-title btcts-desc",
        font_family=FONT,
        font_size=13,
        fill=INK,
    )


def _describe_age(view: SlotsView) -> str:
    if view.age_s is None or view.stale:
        return f"Stale: {explain_lack(view)[0]}"
    return f"{duration(view.age_s)} old"


def _explain_absence(view: SlotsView) -> str:
    if has_prices(view) or view.refused:
        return "None of these slots has a price."
    if view.newest is not None:
        return NONE_CLOSED
    return "Nothing is stored yet." if view.oldest_ms is None else "No price is kept from that time."


def _draw_absence(view: SlotsView) -> list[str]:
    return [draw_text(WIDTH / 2, HEIGHT / 2, _explain_absence(view), fill=MUTED, font_size=16, text_anchor="middle")]


@dataclass(frozen=True)
class Drawing:
    """A plot with its axes and its legend; the times are UTC or local."""

    plot: Plot
    view: SlotsView
    utc: bool

    def draw_elements(self) -> Iterator[str]:
        """Draw the whole chart, from back to front."""
        yield wrap_elements("defs", _define_hatch())
        yield from self._draw_gaps()
        yield wrap_elements("g", *self._draw_grid(), stroke=GRID)
        yield from self._draw_candlesticks()
        yield wrap_elements("g", *self._draw_axes(), stroke=MUTED)
        yield from self._draw_labels()
        yield from self._draw_newest()
        yield from self._draw_legend()

    @cached_property
    def _right(self) -> float:
        """X coordinate where the plot ends and the price axis begins."""
        texts = [label.text for label in self.plot.axis.labels] + [self._format_price(self.plot.marked)]
        return WIDTH - MARGIN - max(map(len, texts)) * LETTER - 10

    @property
    def _pitch(self) -> float:
        return (self._right - MARGIN) / len(self.plot.candlesticks)

    def _locate_slot(self, at: float) -> float:
        """Return the x coordinate of the middle of a slot."""
        return MARGIN + (at + 0.5) * self._pitch

    def _locate_price(self, value: float) -> float:
        """Return the y coordinate of a price."""
        return self._locate_row(self.plot.axis.height(value))

    def _locate_row(self, height: float) -> float:
        return BOTTOM - height / ROWS * (BOTTOM - TOP)

    def _format_price(self, value: float | None) -> str:
        return "" if value is None else price(value, choose_places(self.view))

    @cached_property
    def _prices(self) -> list[tuple[float, str]]:
        """Labels of the price axis, each after its y coordinate."""
        return [(self._locate_row(label.at + 0.5), label.text) for label in self.plot.axis.labels]

    @cached_property
    def _times(self) -> list[Label]:
        bucket_ms, apart = self.plot.shown.resolution.bucket_ms, 8 * LETTER / self._pitch
        labels = label_times(self.plot.starts_ms, bucket_ms=bucket_ms, apart=apart, utc=self.utc)
        half = TIME_WIDTH * LETTER / 2
        return _place_labels(label._replace(start=self._locate_slot(label.at) - half) for label in labels)

    def _draw_grid(self) -> Iterator[str]:
        for y, _ in self._prices:
            yield draw_line((MARGIN, y), (self._right, y))
        for label in self._times:
            yield draw_line((self._locate_slot(label.at), TOP), (self._locate_slot(label.at), BOTTOM))
        if self.plot.marked is not None:
            y = self._locate_price(self.plot.marked)
            yield draw_line((MARGIN, y), (self._right, y), stroke=INK, stroke_dasharray="2 4")

    def _draw_gaps(self) -> Iterator[str]:
        """Hatch the background of each run of closed slots without a price."""
        numbered = enumerate(self.plot.shown.slots)
        for gap, run in groupby(numbered, lambda pair: is_gap(pair[1])):
            slots = list(run)
            if gap:
                left, right = self._locate_slot(slots[0][0] - 0.5), self._locate_slot(slots[-1][0] + 0.5)
                yield _fill_hatched(left, TOP, width=right - left, height=BOTTOM - TOP)

    def _draw_candlesticks(self) -> Iterator[str]:
        width = min(WIDEST_BODY, self._pitch * BODY_SHARE)
        for at, (slot, stick) in enumerate(zip(self.plot.shown.slots, self.plot.candlesticks, strict=True)):
            if stick:
                x, colour = self._locate_slot(at), COLOURS[stick.trend]
                bottom, top = map(self._locate_price, stick.body)
                body = _draw_body(x, top, width=width, height=bottom - top, trend=stick.trend)
                wick = draw_line((x, self._locate_price(stick.max)), (x, self._locate_price(stick.min)))
                tooltip = wrap_words("title", self._describe_slot(slot, stick))
                yield wrap_elements("g", tooltip, wick, body, stroke=colour, stroke_width=1.5)

    def _describe_slot(self, slot: Slot, stick: Candlestick) -> str:
        """Describe a slot in figures, for its tooltip."""
        start = f"{to_datetime(slot.start_ms, utc=self.utc):%a %H:%M}" + ("" if slot.closed else " (open)")
        low, high, close = map(self._format_price, (stick.min, stick.max, stick.close))
        first = "" if slot.open is None else f"open {self._format_price(slot.open)}, "
        return f"{start}: {first}close {close}, min {low}, max {high}"

    def _draw_axes(self) -> Iterator[str]:
        yield draw_line((MARGIN, BOTTOM), (self._right, BOTTOM))
        yield draw_line((self._right, TOP), (self._right, BOTTOM))
        for y, _ in self._prices:
            yield draw_line((self._right, y), (self._right + 5, y))
        for label in self._times:
            yield draw_line((self._locate_slot(label.at), BOTTOM), (self._locate_slot(label.at), BOTTOM + 5))
        for at, slot in enumerate(self.plot.shown.slots):
            if not slot.closed:
                yield _draw_running(self._locate_slot(at - 0.5), BOTTOM, width=self._pitch)

    def _draw_labels(self) -> Iterator[str]:
        newest = None if self.plot.marked is None else self._locate_price(self.plot.marked)
        for y, words in self._prices:
            if newest is None or abs(y - newest) > NEWEST_HEIGHT * 0.8:
                yield draw_text(self._right + 10, y + HALF_LETTER, words)
        for label in self._times:
            yield draw_text(label.start + TIME_WIDTH * LETTER / 2, BOTTOM + 22, label.text, text_anchor="middle")
        days = label_days(self.plot.starts_ms, utc=self.utc)
        for label in _place_labels(day._replace(start=self._locate_slot(day.at - 0.5)) for day in days):
            yield draw_text(label.start, BOTTOM + 42, label.text, fill=MUTED)

    def _draw_newest(self) -> Iterator[str]:
        """Draw the newest price on the axis, in place of the round prices near it."""
        if self.plot.marked is not None:
            y, left = self._locate_price(self.plot.marked), self._right + 3
            size = {"width": WIDTH - MARGIN / 2 - left, "height": NEWEST_HEIGHT}
            yield wrap_elements("rect", x=left, y=y - NEWEST_HEIGHT / 2, rx=4, fill=INK, **size)
            yield draw_text(left + 7, y + HALF_LETTER, self._format_price(self.plot.marked), fill=GROUND)

    def _draw_legend(self) -> Iterator[str]:
        """Draw the signs that occur in this chart side by side, each with its meaning."""
        left: float = MARGIN
        for sign, words in self._list_signs():
            yield wrap_elements("g", sign, transform=f"translate({left + 8:g} {LEGEND:g})", stroke_width=1.5)
            yield draw_text(left + 22, LEGEND + HALF_LETTER, words, fill=MUTED)
            left += 44 + len(words) * LETTER * 0.9

    def _list_signs(self) -> Iterator[tuple[str, str]]:
        """List the signs of this chart, drawn around the origin, with their meanings."""
        for trend in self.plot.trends:
            side = 12 * abs(trend)
            body = _draw_body(0, -side / 2, width=12, height=side, trend=trend)
            yield wrap_elements("g", body, stroke=COLOURS[trend]), TRENDS[trend]
        if self.plot.closing_ms is not None:
            yield _draw_running(-7, 0, width=14), f"open, {countdown(self.plot.closing_ms - self.view.now_ms)} left"
        if self.plot.has_gaps:
            yield _fill_hatched(-7, -7, width=14, height=14), "no price"


def _draw_body(x: float, top: float, *, width: float, height: float, trend: int) -> str:
    """Draw a hollow body for a rise, a filled one for a fall, and a line across the wick for neither."""
    left = x - width / 2
    if not trend:
        return draw_line((left, top), (left + width, top))
    fill = GROUND if trend > 0 else COLOURS[trend]
    return wrap_elements("rect", x=left, y=top, width=width, height=max(1.0, height), fill=fill)


def _draw_running(left: float, y: float, *, width: float) -> str:
    return draw_line((left, y), (left + width, y), stroke=INK, stroke_width=4)


def _define_hatch() -> str:
    strokes = draw_line((0, 0), (0, 8), stroke=EDGE, stroke_width=2)
    return wrap_elements(
        "pattern", strokes, id=HATCH, width=8, height=8, patternUnits="userSpaceOnUse", patternTransform="rotate(45)"
    )


def _fill_hatched(left: float, top: float, *, width: float, height: float) -> str:
    return wrap_elements("rect", x=left, y=top, width=width, height=height, fill=f"url(#{HATCH})")


def _place_labels(wanted: Iterable[Label]) -> list[Label]:
    return place_labels(wanted, letter=LETTER, left=MARGIN, right=WIDTH - MARGIN)
