"""Collectors with streams whose Redis goes away, whose machine sleeps, or beside one without streams."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path

import pytest

from btcts.config import BTC_USD
from btcts.domain.candles import minute_of
from btcts.domain.layout import window
from btcts.domain.model import HOUR_MS, MINUTE_MS, Span
from btcts.providers import open_providers
from btcts.providers.poller import Poller
from btcts.services.collect.collector import Collector
from btcts.services.collect.loop import forever
from btcts.services.collect.spool import Spool
from btcts.store import Store
from services.conftest import EXCHANGES
from support.clocks import FakeClock
from support.exchanges import Exchanges
from support.samples import DAY
from support.servers import Server, StartServer, connect
from support.streams import MarketStreams

AWAY_MS = HOUR_MS if DAY is None else 5 * MINUTE_MS

MakeCollector = Callable[..., Collector]


@pytest.fixture
def lasting(start_server: StartServer) -> Server:
    """A redis-server of this test's own that finds its data again when it is killed and started."""
    return start_server("--appendonly", "yes", "--appendfsync", "no")


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    """The spool in which prices wait."""
    return Spool(tmp_path / "spool")


@pytest.fixture
def streams(clock: FakeClock, exchanges: Exchanges) -> MarketStreams:
    """The streams of the exchanges."""
    return MarketStreams(exchanges.market, clock, EXCHANGES, caught_up_s=150)


@pytest.fixture
def collect(lasting: Server, clock: FakeClock, exchanges: Exchanges, spool: Spool) -> Iterator[MakeCollector]:
    """Make a collector of the same store, with streams or without."""
    with ExitStack() as stack:

        def make(streams: MarketStreams | None) -> Collector:
            store = Store(stack.enter_context(connect(lasting.socket)), BTC_USD, clock=clock, where="test")
            providers = stack.enter_context(
                open_providers(EXCHANGES, exchanges.endpoints(), market=BTC_USD, clock=clock)
            )
            poller = stack.enter_context(Poller(providers))
            return Collector(store, poller, cadence_s=10.0, spool=spool, streams=streams)

        yield make


def run_until(collector: Collector, clock: FakeClock, until_ms: int) -> None:
    """Run cycles and what comes between them until this time."""
    list(forever(collector, interval_s=10, phase_s=7, stopped=lambda: clock.now_ms() >= until_ms))


def assert_as_traded(store: Store, exchanges: Exchanges, now_ms: int) -> None:
    """All closed minutes of the window have the candles of the market, and all buckets come of them."""
    minutes = Span(window(now_ms).start_ms, now_ms - 10_000).minutes()
    traded = {minute: candle for minute in minutes if (candle := exchanges.market.candle(minute))}
    assert store.settled(minutes) == set(minutes)
    for name, slots in store.snapshot().slots.items():
        for slot, after in pairwise(slots):
            if after.start_ms <= now_ms - 10_000:
                candles = [traded[minute] for minute in range(slot.start_ms, after.start_ms, MINUTE_MS)]
                low, high = min(candle.low for candle in candles), max(candle.high for candle in candles)
                assert (slot.min, slot.max, slot.close) == (low, high, candles[-1].close), (name, slot)


def test_prices_of_each_second_wait_while_redis_is_away_and_the_minutes_are_settled_when_it_is_back(
    lasting: Server,
    clock: FakeClock,
    exchanges: Exchanges,
    spool: Spool,
    streams: MarketStreams,
    collect: MakeCollector,
) -> None:
    collector = collect(streams)
    run_until(collector, clock, clock.now_ms() + 20_000)
    lasting.kill()

    run_until(collector, clock, clock.now_ms() + AWAY_MS)
    waited = spool.count()
    lasting.start()
    run_until(collector, clock, clock.now_ms() + 2 * MINUTE_MS)

    assert 0.9 < waited / (AWAY_MS / 1000) <= 1.11, "one for each second, and one for each cycle"
    assert spool.count() == 0
    assert_as_traded(collector.store, exchanges, clock.now_ms())


def test_a_machine_that_slept_for_hours_settles_what_it_missed_and_goes_on(
    clock: FakeClock, exchanges: Exchanges, streams: MarketStreams, collect: MakeCollector
) -> None:
    collector = collect(streams)
    run_until(collector, clock, clock.now_ms() + 90_000)

    clock.advance(3 * HOUR_MS)
    collector.pass_time(1)
    streams.drop(*EXCHANGES)
    streams.restore(*EXCHANGES, joining=False)
    run_until(collector, clock, minute_of(clock.now_ms()) + 3 * MINUTE_MS + 20_000)

    assert_as_traded(collector.store, exchanges, clock.now_ms())
    assert all(slots[-1].exact for slots in collector.store.snapshot().slots.values())


def test_a_collector_with_streams_and_one_without_that_restarts_each_minute_end_in_the_same_buckets(
    clock: FakeClock, exchanges: Exchanges, streams: MarketStreams, collect: MakeCollector
) -> None:
    streaming = collect(streams)
    streaming.cycle()

    for _ in range(4):
        other = collect(None)
        for _ in range(6):
            other.cycle()
            run_until(streaming, clock, clock.now_ms() + 10_000)

    run_until(streaming, clock, minute_of(clock.now_ms()) + MINUTE_MS + 12_000)
    assert_as_traded(streaming.store, exchanges, clock.now_ms())


def test_minutes_that_are_read_again_stay_as_they_are_when_the_candles_are_those_of_the_trades(
    clock: FakeClock, exchanges: Exchanges, streams: MarketStreams, collect: MakeCollector
) -> None:
    streaming, other = collect(streams), collect(None)
    run_until(streaming, clock, clock.now_ms() + 3 * MINUTE_MS)

    cycles = [other.cycle() for _ in range(3)]

    assert sum(cycle.corrected + cycle.reopened for cycle in cycles) == 0
