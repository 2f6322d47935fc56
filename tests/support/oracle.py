"""The store as it must be, worked out again from the contract alone: a dict of prices, no rules, no retention.

It remembers what was observed, not what was stored: a settled minute is computed from its candle, all others from
their live ticks and the bounds that they were held within.
"""

from dataclasses import dataclass
from typing import NamedTuple

MINUTE = 60_000
HOUR = 3_600_000
KEPT = {"minute": (MINUTE, 60), "5min": (5 * MINUTE, 12), "15min": (15 * MINUTE, 4), "hour": (HOUR, 24)}
OF_A_CANDLE = (0, 20_000, 40_000, 59_999)


class Bucket(NamedTuple):
    """The aggregation of the ticks of one stretch of time."""

    close: float
    min: float
    max: float
    count: int


@dataclass(frozen=True)
class Observed:
    """A candle as a provider told it."""

    open: float
    high: float
    low: float
    close: float


class Oracle:
    """All prices ever accepted, by time."""

    def __init__(self) -> None:
        self._live: dict[int, float] = {}
        self._candles: dict[int, Observed] = {}
        self._bounds: dict[int, tuple[float, float]] = {}

    def tick(self, now_ms: int, time_ms: int, price: float) -> None:
        """Take a live price when the contract says that it is written at `now_ms`."""
        time_ms += {1: 2, 2: 1, 59_999: -1}.get(time_ms % MINUTE, 0)
        if self._first_of_window(now_ms) <= time_ms <= now_ms + 10_000:
            self._live[time_ms] = price

    def candle(self, now_ms: int, minute_ms: int, observed: Observed) -> None:
        """Take the candle of a closed minute when that lies in the window."""
        if self._first_of_window(now_ms) <= minute_ms:
            self._candles[minute_ms] = observed

    def bound(self, minute_ms: int, low: float, high: float) -> bool:
        """Hold what an unsettled minute has by now within bounds; False where no live tick would follow them."""
        held = [stamp for stamp in self._live if 2 < stamp - minute_ms < MINUTE]
        if minute_ms in self._candles or not held:
            return False
        for stamp in (*held, minute_ms):
            if stamp in self._live:
                self._live[stamp] = max(low, min(high, self._live[stamp]))
        self._bounds[minute_ms] = (low, high)
        return True

    def forget_ticks_before(self, time_ms: int) -> None:
        """Drop what is older, so that a long run does not grow."""
        self._live = {stamp: price for stamp, price in self._live.items() if stamp >= time_ms}
        self._candles = {minute: each for minute, each in self._candles.items() if minute >= time_ms}

    def newest(self) -> tuple[int, float] | None:
        """The newest tick as stored."""
        ticks = self.ticks()
        return ticks[-1] if ticks else None

    def ticks(self) -> list[tuple[int, float]]:
        """Every tick as stored, ascending."""
        stored = {}
        for stamp, price in self._live.items():
            candle = self._candles.get(stamp - stamp % MINUTE)
            stored[stamp] = price if candle is None else max(candle.low, min(candle.high, price))
        for minute, bounds in self._bounds.items():
            if minute not in self._candles:
                stored |= dict(zip((minute + 1, minute + 2), bounds, strict=True))
        for minute, candle in self._candles.items():
            told = (candle.open, candle.low, candle.high, candle.close)
            stored.update({minute + offset: price for offset, price in zip(OF_A_CANDLE, told, strict=True)})
        return sorted(stored.items())

    def buckets(self, resolution: str) -> dict[int, Bucket]:
        """Every bucket that has a tick, by its start."""
        return buckets_of(self.ticks(), KEPT[resolution][0])

    @staticmethod
    def closed(resolution: str, now_ms: int) -> list[int]:
        """The starts of the closed slots that are kept at `now_ms`, ascending."""
        length, entries = KEPT[resolution]
        running = now_ms // length * length
        return [running - back * length for back in range(entries, 0, -1)]

    @staticmethod
    def _first_of_window(now_ms: int) -> int:
        return now_ms // HOUR * HOUR - 24 * HOUR


def buckets_of(ticks: list[tuple[int, float]], length: int) -> dict[int, Bucket]:
    """The buckets of so many ms that have a tick, by their start; the ticks are ascending."""
    found: dict[int, list[float]] = {}
    for stamp, price in ticks:
        found.setdefault(stamp // length * length, []).append(price)
    return {start: Bucket(prices[-1], min(prices), max(prices), len(prices)) for start, prices in found.items()}
