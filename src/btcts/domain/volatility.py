"""Volatility of the price over the slots of a resolution (pure).

No return spans a missing slot, and no estimate is made from fewer than `ENOUGH` figures.
"""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from btcts.domain.model import HOUR_MS, Slot

YEAR_MS = 365 * 24 * HOUR_MS
"""The year of `_per_year`: bitcoin trades around the clock."""

ENOUGH = 2
"""Minimum number of returns or ranges for an estimate."""


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
        realised=estimate_realised(returns),
        ranges=len(ranges),
        parkinson=estimate_parkinson([math.log(price_range.high / price_range.low) for price_range in ranges]),
    )


def estimate_realised(returns: Sequence[float]) -> float | None:
    """Return the root mean square of log returns.

    Realised volatility is the root of the sum of squared returns, without subtracting their mean, which is noise over
    such short spans (Andersen, Bollerslev, Diebold and Labys 2003, "Modeling and Forecasting Realized Volatility",
    Econometrica 71(2)). Divided by the root of their number it is that of one return.
    """
    return None if len(returns) < ENOUGH else math.sqrt(_compute_mean_square(returns))


def estimate_parkinson(ranges: Sequence[float]) -> float | None:
    """Return the Parkinson estimate from log ranges, ln(max / min): the root of their mean square over 4 ln 2.

    It assumes a random walk without drift (Parkinson 1980, "The Extreme Value Method for Estimating the
    Variance of the Rate of Return", Journal of Business 53(1)). Polling misses extremes, which makes ranges
    too narrow and the estimate too low.
    """
    return None if len(ranges) < ENOUGH else math.sqrt(_compute_mean_square(ranges) / (4 * math.log(2)))


def _combine_ranges(ranges: Sequence[Range]) -> Range | None:
    if not ranges:
        return None
    return Range(
        ranges[0].start_ms,
        min(price_range.low for price_range in ranges),
        max(price_range.high for price_range in ranges),
    )


def _compute_mean_square(values: Sequence[float]) -> float:
    return math.fsum(value * value for value in values) / len(values)
