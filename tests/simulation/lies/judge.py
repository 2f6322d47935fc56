"""The store beside what the honest venues traded: worked out without the product."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import redis

from btcts.domain.model import Candle
from simulation.lies.venues import Venue
from support.oracle import KEPT, OF_A_CANDLE, buckets_of
from support.series import COMPACTIONS, HOUR, MINUTE, TICK, samples

NEAR = 0.01
"""How far outside the range of the honest ones a price may lie."""

FIELDS = ("open", "low", "high", "close")
"""In the order of the stamps of a candle's ticks."""

LOOK_BACK = 120
"""For a minute in which no honest venue traded the last one before it counts, at most so many minutes back."""


class Range(NamedTuple):
    """From the lowest to the highest that the honest ones say."""

    low: float
    high: float

    def beyond(self, price: float) -> float:
        """By which share a price lies outside."""
        return max(0.0, price / self.high - 1, 1 - price / self.low)


class Truth:
    """The trades of the honest venues, by minute."""

    def __init__(self, venues: Sequence[Venue]) -> None:
        self._venues = venues
        self._ranges: dict[int, dict[str, Range]] = {}

    def ranges(self, minute_ms: int) -> dict[str, Range]:
        """The range of each field of a minute, and of `all` of them."""
        if minute_ms not in self._ranges:
            self._ranges[minute_ms] = _ranges(self.holders(minute_ms, nearest=True))
        return self._ranges[minute_ms]

    def holders(self, minute_ms: int, *, nearest: bool = False) -> list[Candle]:
        """The candles of the minute, or else of the nearest one before it that has any."""
        for minute in range(minute_ms, minute_ms - (LOOK_BACK if nearest else 1) * MINUTE, -MINUTE):
            if found := [candle for venue in self._venues if (candle := venue.candle(minute))]:
                return found
        return []

    def live(self, time_ms: int) -> Range:
        """The range of the prices at a moment."""
        prices = [venue.price(time_ms) for venue in self._venues]
        return Range(min(prices), max(prices))


def _ranges(candles: Sequence[Candle]) -> dict[str, Range]:
    found = {}
    for name in FIELDS:
        values = [getattr(candle, name) for candle in candles]
        found[name] = Range(min(values), max(values))
    return found | {"all": Range(found["low"].low, found["high"].high)}


@dataclass(frozen=True)
class Stored:
    """The ticks and the buckets that Redis holds."""

    ticks: Mapping[int, float]
    buckets: Mapping[str, Mapping[int, float]]

    def is_settled(self, minute_ms: int) -> bool:
        """Tell whether the minute has its mark."""
        return minute_ms + MINUTE - 1 in self.ticks

    def without_candle(self, minutes: Iterable[int], truth: Truth) -> int:
        """Count the minutes that lack their candle although two honest venues have one."""
        return sum(not self.is_settled(minute) and len(truth.holders(minute)) > 1 for minute in minutes)


def look(client: redis.Redis) -> Stored:
    """Read what is stored now."""
    return Stored(samples(client, TICK), {key: samples(client, key, latest=True) for key in COMPACTIONS})


def window(now_ms: int) -> range:
    """The minutes that are kept and over."""
    return range(now_ms // HOUR * HOUR - 24 * HOUR, now_ms // MINUTE * MINUTE, MINUTE)


def find_wrong_minutes(stored: Stored, truth: Truth) -> dict[int, float]:
    """The minutes that hold a price outside the honest range of its field, and how far outside."""
    wrong: dict[int, float] = {}
    for stamp, price in stored.ticks.items():
        minute, offset = stamp - stamp % MINUTE, stamp % MINUTE
        field = "all"
        if offset in OF_A_CANDLE and stored.is_settled(minute):
            field = FIELDS[OF_A_CANDLE.index(offset)]
        beyond = truth.ranges(minute)[field].beyond(price)
        if beyond > NEAR:
            wrong[minute] = max(beyond, wrong.get(minute, 0.0))
    return wrong


def find_wrong_buckets(stored: Stored, truth: Truth, now_ms: int, excused: Collection[int] = ()) -> Iterator[str]:
    """The buckets that are not what the ticks make of them, or outside of all that the honest ones traded.

    Of those that hold an `excused` minute only the first is judged.
    """
    ticks = sorted(stored.ticks.items())
    for resolution, (length, entries) in KEPT.items():
        made = buckets_of(ticks, length)
        first_ms = now_ms // length * length - entries * length
        judged = set(range(first_ms, now_ms, length)) - {minute - minute % length for minute in excused}
        for key, field in _keys(resolution):
            for start in range(first_ms, now_ms, length):
                price = stored.buckets[key].get(start)
                if price != (getattr(made[start], field) if start in made else None):
                    yield f"{key} at {start} is not what the ticks make of it"
                elif price is not None and start in judged and _is_outside(price, start, length, truth):
                    yield f"{key} at {start} has a price of nobody honest"


def _keys(resolution: str) -> list[tuple[str, str]]:
    """The compactions of a resolution, each with its field."""
    key = f"btc:price:{resolution}"
    return (
        [(key, "close")] if resolution == "minute" else [(key, "close"), (f"{key}:min", "min"), (f"{key}:max", "max")]
    )


def _is_outside(price: float, start_ms: int, length: int, truth: Truth) -> bool:
    ranges = [truth.ranges(minute)["all"] for minute in range(start_ms, start_ms + length, MINUTE)]
    return Range(min(low for low, _ in ranges), max(high for _, high in ranges)).beyond(price) > NEAR
