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
def collector(store: Store, clock: FakeClock) -> Iterator[Collector]:
    """A collector of simulated prices that has filled the store; live ticks lie among the candles of the last minutes.

    It polls 7 ms behind the beat, so that no live tick takes the place of a candle's.
    """
    with Poller([Market(clock)]) as poller:
        made = Collector(store, poller, clock, cadence_s=10.0)
        once(made)
        list(islice(forever(made, clock, interval_s=10, phase_s=0.007, stopped=lambda: False), 14))
        yield made


def closed_buckets(key: str, clock: FakeClock) -> range:
    """All closed buckets of a compaction that are kept."""
    length, entries = KEPT[key.split(":")[2]]
    open_ms = clock.now_ms() // length * length
    return range(open_ms - entries * length, open_ms, length)


def settled_minute(clock: FakeClock) -> int:
    """A minute that holds live ticks and the candle."""
    return clock.now_ms() // MINUTE * MINUTE - 2 * MINUTE
