"""The figures behind a chart of one resolution, shared by the terminal and the SVG picture."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from btcts.domain.model import Slot
from btcts.render.chart.axes import PriceAxis, fit_price_axis
from btcts.services.show import Shown, SlotsView

TRENDS = {1: "up", -1: "down", 0: "flat or first"}
"""Names of a candlestick's trends."""


@dataclass(frozen=True, slots=True)
class Candlestick:
    """A slot as drawn: a wick from `min` to `max`, a body from `open` to `close`.

    The open is the close of the slot before, so it may lie outside of the wick; None where that slot has no price.
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


def plot(view: SlotsView, *, most: int, rows: int) -> Plot | None:
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
            yield Candlestick(before, slot.close, low, high)
        before = slot.close
