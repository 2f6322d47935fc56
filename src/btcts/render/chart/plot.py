"""The figures behind a chart of one resolution, shared by the terminal and the SVG picture: candlesticks and axes."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

from btcts.domain.model import HOUR_MS, MINUTE_MS, Slot
from btcts.render.figures import to_datetime
from btcts.services.show import Shown, SlotsView

QUIET = 0.001
"""Smallest share of the price that an axis spans, so that noise does not look like a move."""

LADDER = sorted(
    (step / rhythm, -rhythm, step) for step in (1.0, 2.0, 2.5, 5.0, 10.0, 20.0, 25.0, 50.0) for rhythm in (2, 3, 4, 5)
)
"""Row height, negated rows per label, and price step between labels, times a power of ten; of equal heights the one
with the fewest labels comes first."""

ROUND_TIMES_MS = [
    *(count * MINUTE_MS for count in (1, 2, 5, 10, 15, 20, 30)),
    *(count * HOUR_MS for count in (1, 2, 3, 4, 6, 8, 12, 24)),
]

TIME_WIDTH = len("00:00")
"""Characters of the label of a time."""

TRENDS = {1: "up", -1: "down", 0: "flat or first"}
"""Names of a candlestick's trends."""


class Label(NamedTuple):
    """A text beside an axis; `at` counts rows from the bottom or slots from the left, `start` is where it begins."""

    at: int
    text: str
    start: float = 0.0


@dataclass(frozen=True)
class PriceAxis:
    """Rows of equal height from the bottom up; a multiple of `step` lies in the middle of every `rhythm`-th.

    `first` says how many rows the lowest one lies above zero dollars.
    """

    first: int
    rows: int
    step: float
    rhythm: int

    def height(self, price: float) -> float:
        """Rows from the lower edge to `price`; inside the axis it is in [0, rows)."""
        return _locate_row(price, self.step / self.rhythm) - self.first

    @cached_property
    def labels(self) -> tuple[Label, ...]:
        """The round prices, ascending, with as many decimals as the step has."""
        places = len(f"{self.step:.12f}".rstrip("0").partition(".")[2])
        lowest = -(-self.first // self.rhythm) * self.rhythm
        rows = range(lowest, self.first + self.rows, self.rhythm)
        return tuple(Label(row - self.first, f"{row // self.rhythm * self.step:,.{places}f}") for row in rows)


def fit_price_axis(low: float, high: float, *, rows: int) -> PriceAxis:
    """Return the axis on which `low` to `high` fill as many of the `rows` (at least four) as round labels allow."""
    margin = max(0.0, high * QUIET - (high - low)) / 2
    low, high = low - margin, high + margin
    power = 10.0 ** math.floor(math.log10((high - low) / rows))
    fitting = (
        _fit_around(low, high, rows, step * power, -rhythm) for _, rhythm, step in LADDER if -2 * rhythm <= rows + 1
    )
    return next(axis for axis in fitting if axis.height(high) < rows)


def _fit_around(low: float, high: float, rows: int, step: float, rhythm: int) -> PriceAxis:
    """Return the axis that centres `low` to `high`, shifted up where it would reach below zero."""
    bottom, top = (math.floor(_locate_row(price, step / rhythm)) for price in (low, high))
    spare = max(0, rows - 1 - (top - bottom))
    return PriceAxis(max(0, bottom - spare // 2), rows, step, rhythm)


def _locate_row(price: float, span: float) -> float:
    """Return the row coordinate of `price`; the middle of row 0 is zero dollars."""
    return price / span + 0.5


def label_times(starts_ms: Sequence[int], *, bucket_ms: int, apart: float, utc: bool) -> Iterator[Label]:
    """Label the slots at round times of day, with the finest step that keeps labels at least `apart` slots apart."""
    fine = [step_ms for step_ms in ROUND_TIMES_MS if step_ms % bucket_ms == 0 and step_ms >= apart * bucket_ms]
    step_ms = min(fine, default=ROUND_TIMES_MS[-1])
    for at, start_ms in enumerate(starts_ms):
        start = to_datetime(start_ms, utc=utc)
        of_day_ms = start.hour * HOUR_MS + start.minute * MINUTE_MS
        if of_day_ms // bucket_ms * bucket_ms % step_ms == 0:
            yield Label(at, f"{start:%H:%M}")


def label_days(starts_ms: Iterable[int], *, utc: bool) -> Iterator[Label]:
    """Label the first slot and the first of each day; the zone is named when the UTC offset changes between them."""
    starts = [to_datetime(start_ms, utc=utc) for start_ms in starts_ms]
    form = "%a %d %b" if len({start.utcoffset() for start in starts}) == 1 else "%a %d %b %Z"
    before = ""
    for at, start in enumerate(starts):
        text = start.strftime(form)
        if text != before:
            yield Label(at, text)
        before = text


def place_labels(wanted: Iterable[Label], *, letter: float, right: float, left: float = 0.0) -> list[Label]:
    """Keep the labels that do not collide, preferring those on the right; `letter` is the width of a character.

    Labels that stick out at an edge are moved inwards.
    """
    kept: list[Label] = []
    free = right + 2 * letter
    for label in sorted(wanted, key=lambda label: label.start, reverse=True):
        width = len(label.text) * letter
        start = max(left, min(label.start, right - width))
        if start + width + 2 * letter <= free:
            kept.append(label._replace(start=start))
            free = start
    return kept


@dataclass(frozen=True, slots=True)
class Candlestick:
    """A slot as drawn: a wick from `min` to `max`, a body from `open` to `close`.

    Where the open is not known, the close of the slot before stands for it, which may lie outside of the wick; None
    where that slot has no price.
    """

    open: float | None
    close: float
    min: float
    max: float

    @property
    def trend(self) -> int:
        """1 when the price rose, -1 when it fell, 0 when it did neither or the open is not known."""
        return 0 if self.open is None else (self.close > self.open) - (self.close < self.open)

    @property
    def body(self) -> tuple[float, float]:
        """The lower and the upper end of the body."""
        ends = (self.close, self.close if self.open is None else self.open)
        return min(ends), max(ends)


@dataclass(frozen=True, slots=True)
class Plot:
    """The newest slots of a resolution, a candlestick for each that has a price, and the axis they all lie on.

    `marked` is the newest price, None when it lies off the axis; `left_out` counts the older slots without room.
    """

    shown: Shown
    candlesticks: tuple[Candlestick | None, ...]
    axis: PriceAxis
    marked: float | None
    left_out: int

    @property
    def starts_ms(self) -> list[int]:
        """Start times of the slots."""
        return [slot.start_ms for slot in self.shown.slots]

    @property
    def trends(self) -> list[int]:
        """Trends that occur in this plot, in the order of `TRENDS`."""
        occurring = {stick.trend for stick in self.candlesticks if stick}
        return [trend for trend in TRENDS if trend in occurring]

    @property
    def has_gaps(self) -> bool:
        """True when a closed slot has no price."""
        return any(map(is_gap, self.shown.slots))

    @property
    def closing_ms(self) -> int | None:
        """Time at which the open slot closes; None without one."""
        newest = self.shown.slots[-1]
        return None if newest.closed else newest.start_ms + self.shown.resolution.bucket_ms


def is_gap(slot: Slot) -> bool:
    """Tell whether a closed slot has no price; an open one may still get its first."""
    return slot.closed and slot.missing


def make_plot(view: SlotsView, *, most: int, rows: int) -> Plot | None:
    """Return a plot of the newest `most` slots of the one resolution in `view`; None when none of them has a price."""
    shown = view.shown
    left_out = max(0, len(shown.slots) - most)
    candlesticks = tuple(_make_candlesticks(shown.slots))[left_out:]
    drawn = [stick for stick in candlesticks if stick]
    if not drawn:
        return None
    low = min(min(stick.min, stick.body[0]) for stick in drawn)
    high = max(max(stick.max, stick.body[1]) for stick in drawn)
    axis = fit_price_axis(low, high, rows=rows)
    newest = view.newest.price if view.newest else None
    return Plot(
        shown=replace(shown, slots=shown.slots[left_out:]),
        candlesticks=candlesticks,
        axis=axis,
        marked=newest if newest is not None and 0 <= axis.height(newest) < rows else None,
        left_out=left_out,
    )


def _make_candlesticks(slots: Sequence[Slot]) -> Iterator[Candlestick | None]:
    before: float | None = None
    for slot in slots:
        if slot.close is None:
            yield None
        else:
            low = slot.close if slot.min is None else slot.min
            high = slot.close if slot.max is None else slot.max
            yield Candlestick(before if slot.open is None else slot.open, slot.close, low, high)
        before = slot.close
