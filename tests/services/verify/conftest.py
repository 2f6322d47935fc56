"""A store that simulated prices have filled, and what to look at in it."""

from collections.abc import Iterator
from functools import cache
from itertools import islice

import pytest

from btcts.domain.model import Candle
from btcts.providers.poller import Poller
from btcts.providers.simulated import Simulated
from btcts.services.collect.collector import Collector
from btcts.services.collect.loop import forever, once
from btcts.store import Store
from support.backups import FillOnce
from support.clocks import FakeClock
from support.oracle import KEPT
from support.series import MINUTE, NOW


@cache
def traded(minute_ms: int) -> Candle:
    """The candle of the simulated market, worked out once for all tests."""
    return Simulated(FakeClock(NOW)).candle(minute_ms)


class Market(Simulated):
    """The simulated market with a memory."""

    def candle(self, start_ms: int) -> Candle:
        return traded(start_ms)


@pytest.fixture
def collector(store: Store, clock: FakeClock, fill_once: FillOnce) -> Iterator[Collector]:
    """A collector of simulated prices, the second one of a full store: live ticks lie among the last minutes' candles.

    The first one polled 7 ms behind the beat, so that no live tick took the place of a candle's.
    """
    with Poller([Market(clock)]) as poller:

        def make() -> Collector:
            return Collector(store, poller, cadence_s=10.0)

        def fill() -> None:
            first = make()
            once(first)
            list(islice(forever(first, interval_s=10, phase_s=0.007, stopped=lambda: False), 14))

        fill_once("collected", fill)
        yield make()


def closed_buckets(key: str, clock: FakeClock) -> range:
    """All closed buckets of a compaction that are kept."""
    length, entries = KEPT[key.split(":")[2]]
    open_ms = clock.now_ms() // length * length
    return range(open_ms - entries * length, open_ms, length)


def settled_minute(clock: FakeClock) -> int:
    """A minute that holds live ticks and the candle."""
    return clock.now_ms() // MINUTE * MINUTE - 2 * MINUTE
