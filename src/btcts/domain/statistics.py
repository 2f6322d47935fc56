"""Moves, ranges and the volatility of the price over the slots of a resolution (pure).

No return spans a missing slot, and no volatility is estimated from fewer than `ENOUGH` figures.
"""

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

from btcts.domain.layout import HOUR, MINUTE
from btcts.domain.model import DAY_MS, HOUR_MS, MINUTE_MS, Slot

SPANS = {
    "5min": (MINUTE, 5 * MINUTE_MS),
    "15min": (MINUTE, 15 * MINUTE_MS),
    "1h": (MINUTE, HOUR_MS),
    "24h": (HOUR, DAY_MS),
}
"""The resolution that holds the price at the start of a move, and the length of the move."""

YEAR_MS = 365 * 24 * HOUR_MS
"""The year of `_per_year`: bitcoin trades around the clock."""

ENOUGH = 2
"""Minimum number of returns or ranges for an estimate."""

Slots = Mapping[str, Sequence[Slot]]
"""Slots by the name of their resolution, ascending."""


class PriceMove(NamedTuple):
    """A move from the price `then` to the price `now`."""

    then: float
    now: float

    @property
    def amount(self) -> float:
        """The difference in the currency of the market."""
        return self.now - self.then

    @property
    def ratio(self) -> float:
        """The difference as a fraction of the earlier price: 0.01 is 1 %."""
        return self.now / self.then - 1


def compute_move(span: str, slots: Slots, newest: float | None, now_ms: int) -> PriceMove | None:
    """Return the move over one of `SPANS`, from the close of the slot that contains its start; None if unknown.

    The close is later than the start: for 24 h up to an hour, for the others up to a minute.
    """
    reaching = _find_reaching(span, slots, now_ms)
    then = reaching[0].close if reaching else None
    return PriceMove(then, newest) if then and newest is not None else None


def find_day_range(slots: Slots, now_ms: int) -> tuple[float, float] | None:
    """Return the lowest and highest price of the last 24 hours and the open hour, or None if unknown."""
    hours = _find_reaching("24h", slots, now_ms)
    lows = [slot.min for slot in hours if slot.min is not None]
    highs = [slot.max for slot in hours if slot.max is not None]
    return (min(lows), max(highs)) if lows and highs else None


def _find_reaching(span: str, slots: Slots, now_ms: int) -> Sequence[Slot]:
    """Return the slots from the one that contains the start of the span; none if that one is missing."""
    resolution, ago_ms = SPANS[span]
    start_ms = resolution.start_of(now_ms - ago_ms)
    since = [slot for slot in slots.get(resolution.name, ()) if slot.start_ms >= start_ms]
    return since if since and since[0].start_ms == start_ms else ()


class Range(NamedTuple):
    """The lowest and highest price of one or more slots; `start_ms` is the start of the first."""

    start_ms: int
    low: float
    high: float

    @property
    def width(self) -> float:
        """The distance from low to high."""
        return self.high - self.low

    @property
    def ratio(self) -> float:
        """The distance from low to high, as a fraction of the low."""
        return self.high / self.low - 1


class Volatility(NamedTuple):
    """Measures of the closed slots with a price; a measure with too few slots is None.

    `range` covers all slots; `widest` is the largest range of one slot, the oldest of equals. `realised` and
    `parkinson` are standard deviations of the log return of one bucket, as fractions (0.01 is 1 %), estimated from
    `returns` and `ranges` figures. `_per_year` values are multiplied by the square root of the number of buckets in 365
    days.
    """

    bucket_ms: int
    range: Range | None
    widest: Range | None
    returns: int
    realised: float | None
    ranges: int
    parkinson: float | None

    @property
    def realised_per_year(self) -> float | None:
        """The realised volatility, annualised."""
        return self._scale_to_year(self.realised)

    @property
    def parkinson_per_year(self) -> float | None:
        """The Parkinson estimate, annualised."""
        return self._scale_to_year(self.parkinson)

    def _scale_to_year(self, per_bucket: float | None) -> float | None:
        return None if per_bucket is None else per_bucket * math.sqrt(YEAR_MS / self.bucket_ms)


def volatility_of(slots: Sequence[Slot], bucket_ms: int) -> Volatility:
    """Return the volatility of the closed slots; `slots` are ascending and `bucket_ms` long.

    A return is taken between the closes of two adjacent slots, never across a missing one. A slot that lacks some of
    its minutes counts like any other; a price of 0 or less is ignored.

    Realised volatility is the root of the sum of squared returns, without subtracting their mean, which is noise over
    such short spans (Andersen, Bollerslev, Diebold and Labys 2003, "Modeling and Forecasting Realized Volatility",
    Econometrica 71(2)). Divided by the root of their number it is that of one return.

    The Parkinson estimate is the root of the mean of ln(max / min) squared, over 4 ln 2 (Parkinson 1980, "The Extreme
    Value Method for Estimating the Variance of the Rate of Return", Journal of Business 53(1)). It assumes a random
    walk without drift. Polling misses extremes, which makes ranges too narrow and the estimate too low.
    """
    closed = [slot for slot in slots if slot.closed]
    ranges = [Range(slot.start_ms, slot.min, slot.max) for slot in closed if slot.min and slot.max and slot.min > 0]
    closes = [(slot.start_ms, slot.close) for slot in closed if slot.close and slot.close > 0]
    returns = [
        math.log(after / before)
        for (start_ms, before), (next_ms, after) in pairwise(closes)
        if next_ms - start_ms == bucket_ms
    ]
    return Volatility(
        bucket_ms,
        range=_combine_ranges(ranges),
        widest=max(ranges, key=lambda price_range: price_range.width, default=None),
        returns=len(returns),
        realised=_estimate(returns),
        ranges=len(ranges),
        parkinson=_estimate([math.log(price_range.high / price_range.low) for price_range in ranges], 4 * math.log(2)),
    )


def _estimate(figures: Sequence[float], divisor: float = 1.0) -> float | None:
    """Return the root of the mean square over the divisor; None for too few figures."""
    if len(figures) < ENOUGH:
        return None
    return math.sqrt(math.fsum(figure * figure for figure in figures) / len(figures) / divisor)


def _combine_ranges(ranges: Sequence[Range]) -> Range | None:
    if not ranges:
        return None
    lows, highs = [price_range.low for price_range in ranges], [price_range.high for price_range in ranges]
    return Range(ranges[0].start_ms, min(lows), max(highs))
