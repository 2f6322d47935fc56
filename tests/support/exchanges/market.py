"""The market of the local exchanges: one price path, from a recording or from the simulation."""

import csv
from bisect import bisect_right
from collections.abc import Callable
from functools import cache, lru_cache
from pathlib import Path
from typing import NamedTuple, Protocol

from btcts.domain.model import MINUTE_MS
from btcts.providers.simulated import Simulated
from support.clocks import FakeClock


class Traded(NamedTuple):
    """The trades of a minute."""

    open: float
    high: float
    low: float
    close: float
    volume: float


class Market(Protocol):
    """A price path; every question is about what was known at the time asked for."""

    def price(self, time_ms: int) -> float | None:
        """The price of the last trade at or before the time, None before the first."""
        ...

    def traded_ms(self, time_ms: int) -> int | None:
        """When that trade was."""
        ...

    def candle(self, minute_ms: int, until_ms: int | None = None) -> Traded | None:
        """Return what was traded in the minute, up to and including `until_ms`; None for nothing."""
        ...


class BarsMarket:
    """A recording of one-second bars (`timestamp,open,high,low,close,volume`, unix seconds), shifted in time.

    The price is the close of the last bar; a candle is the exact aggregation of its bars.
    """

    def __init__(self, path: Path, *, shift_ms: int = 0) -> None:
        with path.open(newline="") as file:
            rows = [(int(row["timestamp"]) * 1000 + shift_ms, _bar(row)) for row in csv.DictReader(file)]
        self._times = [time_ms for time_ms, _ in rows]
        self._bars = [bar for _, bar in rows]
        self.start_ms, self.end_ms = self._times[0], self._times[-1] + 1000
        self._closed = lru_cache(maxsize=100_000)(self._aggregated)

    def price(self, time_ms: int) -> float | None:
        """The close of the last bar at or before the time."""
        found = bisect_right(self._times, time_ms)
        return self._bars[found - 1].close if found else None

    def traded_ms(self, time_ms: int) -> int | None:
        """The start of that bar."""
        found = bisect_right(self._times, time_ms)
        return self._times[found - 1] if found else None

    def candle(self, minute_ms: int, until_ms: int | None = None) -> Traded | None:
        """The aggregation of the bars of the minute."""
        last_ms = minute_ms + MINUTE_MS - 1
        if until_ms is None or until_ms >= last_ms:
            return self._closed(minute_ms, last_ms)
        return self._aggregated(minute_ms, until_ms)

    def _aggregated(self, first_ms: int, last_ms: int) -> Traded | None:
        bars = self._bars[bisect_right(self._times, first_ms - 1) : bisect_right(self._times, last_ms)]
        return _aggregate(bars) if bars else None


class SimulatedMarket:
    """The path of the simulated provider: a trade in every second."""

    def __init__(self, seed: int = 1) -> None:
        self._prices = _path(seed)
        self._closed = _candles(seed)

    def price(self, time_ms: int) -> float | None:
        """The price of the second."""
        return self._minute(time_ms)[time_ms % MINUTE_MS // 1000]

    def traded_ms(self, time_ms: int) -> int | None:
        """The start of the second."""
        return time_ms // 1000 * 1000

    def candle(self, minute_ms: int, until_ms: int | None = None) -> Traded | None:
        """The candle of the seconds so far."""
        if until_ms is None or until_ms >= minute_ms + MINUTE_MS - 1:
            return self._closed(minute_ms)
        return _summarize(self._minute(minute_ms)[: max(0, (until_ms - minute_ms) // 1000 + 1)])

    def _minute(self, time_ms: int) -> tuple[float, ...]:
        return self._prices(time_ms // MINUTE_MS * MINUTE_MS)


class ThinMarket(SimulatedMarket):
    """The simulated market without the trades of the minutes that are `quiet` (told by their start)."""

    def __init__(self, quiet: Callable[[int], bool], seed: int = 1) -> None:
        super().__init__(seed)
        self._quiet = lru_cache(maxsize=5000)(quiet)

    def price(self, time_ms: int) -> float | None:
        """The price of the last second that had a trade."""
        return super().price(self._traded_by(time_ms))

    def traded_ms(self, time_ms: int) -> int | None:
        """The start of that second."""
        return super().traded_ms(self._traded_by(time_ms))

    def candle(self, minute_ms: int, until_ms: int | None = None) -> Traded | None:
        """None in a quiet minute."""
        return None if self._quiet(minute_ms) else super().candle(minute_ms, until_ms)

    def _traded_by(self, time_ms: int) -> int:
        while self._quiet(time_ms // MINUTE_MS * MINUTE_MS):
            time_ms = time_ms // MINUTE_MS * MINUTE_MS - 1
        return time_ms


@cache
def _path(seed: int) -> Callable[[int], tuple[float, ...]]:
    """The prices of a minute by its start, kept for all markets of the seed: they take long to work out."""
    return lru_cache(maxsize=20_000)(Simulated(FakeClock(0), seed).prices)


@cache
def _candles(seed: int) -> Callable[[int], Traded | None]:
    """The candles of closed minutes, likewise."""
    prices = _path(seed)
    return lru_cache(maxsize=20_000)(lambda minute_ms: _summarize(prices(minute_ms)))


def _summarize(prices: tuple[float, ...]) -> Traded | None:
    return Traded(prices[0], max(prices), min(prices), prices[-1], len(prices) / 16) if prices else None


def _bar(row: dict[str, str]) -> Traded:
    return Traded(*(float(row[name]) for name in Traded._fields))


def _aggregate(bars: list[Traded]) -> Traded:
    return Traded(
        bars[0].open,
        max(bar.high for bar in bars),
        min(bar.low for bar in bars),
        bars[-1].close,
        sum(bar.volume for bar in bars),
    )
