"""Collectors with streams on a real Redis: the price of each second, bounds, and minutes settled from trades."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from itertools import islice, pairwise
from pathlib import Path

import pytest
import redis

from btcts.config import BTC_USD
from btcts.domain.candles import candles_of, minute_of
from btcts.domain.codes import ProblemCode, RepairCode
from btcts.domain.model import HOUR_MS, MINUTE_MS, THIN, Candle, Gap, Span, Tick
from btcts.domain.trades import Quote
from btcts.errors import StoreError
from btcts.providers import open_providers
from btcts.providers.poller import Poller
from btcts.services.collect.collector import Collector
from btcts.services.collect.cycle import Cycle
from btcts.services.collect.loop import forever
from btcts.services.collect.spool import Spool
from btcts.store import State, Store
from services.conftest import EXCHANGES
from support.backups import FillOnce
from support.clocks import FakeClock
from support.exchanges import Exchanges, Fault
from support.series import TICK, put
from support.streams import MarketStreams

MakeLive = Callable[..., tuple[Collector, MarketStreams]]


@pytest.fixture
def make_live(
    store: Store, clock: FakeClock, exchanges: Exchanges, tmp_path: Path, fill_once: FillOnce
) -> Iterator[MakeLive]:
    """Make a collector with streams of the exchanges, on a window that is settled, in the middle of a minute."""
    with ExitStack() as stack:

        def make(
            names: Sequence[str] = EXCHANGES, *, streaming: Sequence[str] = EXCHANGES, quorum: int = 1
        ) -> tuple[Collector, MarketStreams]:
            providers = stack.enter_context(open_providers(names, exchanges.endpoints(), market=BTC_USD, clock=clock))
            poller = stack.enter_context(Poller(providers))
            fill_once("live", Collector(store, poller, cadence_s=10.0).cycle)
            clock.advance(minute_of(clock.now_ms()) + MINUTE_MS + 30_000 - clock.now_ms())
            streams = MarketStreams(exchanges.market, clock, streaming)
            collector = Collector(
                store,
                poller,
                cadence_s=10.0,
                quorum=quorum,
                spool=Spool(tmp_path / "spool"),
                streams=streams,
            )
            return collector, streams

        yield make


def run(collector: Collector, cycles: int) -> list[Cycle]:
    """Run so many cycles, 10 s apart, and what comes between them."""
    return list(islice(forever(collector, interval_s=10, phase_s=7, stopped=lambda: False), cycles))


def run_until(collector: Collector, clock: FakeClock, until_ms: int) -> list[Cycle]:
    """Run cycles and what comes between them until this time."""
    return list(forever(collector, interval_s=10, phase_s=7, stopped=lambda: clock.now_ms() >= until_ms))


def test_the_price_of_each_second_is_stored_and_stays_the_newest_tick(
    store: Store, clock: FakeClock, exchanges: Exchanges, make_live: MakeLive
) -> None:
    collector, _ = make_live()
    run(collector, 2)
    begin_ms = clock.now_ms()

    collector.pass_time(0.9)
    while clock.now_ms() < begin_ms + 8_000:
        collector.pass_time(1)
        newest = store.latest()
        assert newest
        assert clock.now_ms() - newest.time_ms <= 1_000
        assert newest.price == exchanges.market.price(newest.time_ms - 50)

    assert 7 <= len(store.ticks(Span(begin_ms, clock.now_ms() + 1))) <= 9


def test_a_price_that_does_not_change_is_never_older_than_two_seconds(
    store: Store, clock: FakeClock, make_live: MakeLive
) -> None:
    collector, streams = make_live()
    run(collector, 2)
    last = store.latest()
    assert last
    streams.quotes = Quote(1.0, 2.0)  # too wide to count

    for _ in range(30):
        collector.pass_time(1)
        newest = store.latest()
        assert newest
        assert clock.now_ms() - newest.time_ms <= 2_000

    assert newest.time_ms > last.time_ms + 4_000


def test_two_streams_of_five_exchanges_that_lie_move_no_price_into_their_range(
    store: Store, clock: FakeClock, exchanges: Exchanges, make_live: MakeLive
) -> None:
    collector, streams = make_live(streaming=("coinbase", "kraken", "gemini"))
    streams.factors = {"coinbase": 1.5, "kraken": 1.5}
    begin_ms = clock.now_ms()

    run(collector, 7)

    market = exchanges.market.price(begin_ms)
    assert market
    assert all(tick.price < 1.1 * market for tick in store.ticks(Span(begin_ms, clock.now_ms() + 1)))


def test_a_collector_of_other_providers_moves_no_price_of_others(
    store: Store, clock: FakeClock, exchanges: Exchanges, make_live: MakeLive
) -> None:
    collector, _ = make_live()
    run(collector, 5)
    begin_ms = minute_of(clock.now_ms())
    known = store.ticks(Span(begin_ms, clock.now_ms() + 1))

    with (
        open_providers(["kraken"], exchanges.endpoints(), market=BTC_USD, clock=clock) as providers,
        Poller(providers) as poller,
    ):
        streams = MarketStreams(exchanges.market, clock, ["kraken"], caught_up_s=90)
        streams.factors = {"kraken": 1.1}
        guest = Collector(store, poller, cadence_s=10.0, streams=streams)
        clock.advance(500)
        guest.cycle()
        guest.pass_time(1)
        guest.pass_time(1)

    assert len(known) > 5
    assert set(known) < set(store.ticks(Span(begin_ms, clock.now_ms() + 1)))


def test_nobody_is_polled_whose_stream_has_a_price(exchanges: Exchanges, make_live: MakeLive) -> None:
    collector, _ = make_live(streaming=("kraken", "gemini"))
    run(collector, 1)
    exchanges.requests.clear()

    cycles = run(collector, 2)

    polled = {request.provider for request in exchanges.requests if "andle" not in request.path}
    assert not polled & {"kraken", "gemini"}
    assert {"coinbase", "bitstamp", "bitfinex"} <= polled
    assert {len(cycle.members) for cycle in cycles} == {5}


def test_an_exchange_whose_stream_brings_no_trades_any_more_is_polled(make_live: MakeLive) -> None:
    collector, streams = make_live()
    run(collector, 2)
    streams.quotes = Quote(1.0, 2.0)  # too wide to count

    cycles = run(collector, 15)

    assert len(cycles[-1].members) == 5
    assert all(cycle.stored for cycle in cycles)


def test_a_minute_is_settled_from_trades_a_few_seconds_after_its_end_and_nobody_is_asked(
    store: Store, clock: FakeClock, exchanges: Exchanges, make_live: MakeLive
) -> None:
    collector, _ = make_live()
    run(collector, 10)
    exchanges.requests.clear()
    minute = minute_of(clock.now_ms())

    run_until(collector, clock, minute + MINUTE_MS + 3_500)

    traded = exchanges.market.candle(minute)
    slot = next(slot for slot in store.slots("minute") if slot.start_ms == minute)
    assert traded
    assert (slot.close, slot.min, slot.max, slot.settled) == (traded.close, traded.low, traded.high, True)
    assert list(exchanges.requests) == []


def test_a_minute_is_settled_between_two_ticks_as_soon_as_its_trades_are_complete(
    store: Store, clock: FakeClock, make_live: MakeLive
) -> None:
    collector, _ = make_live()
    run(collector, 10)
    end_ms = minute_of(clock.now_ms()) + MINUTE_MS
    run_until(collector, clock, end_ms + 1_500)

    while not store.settled([end_ms - MINUTE_MS]):
        collector.pass_time(1)
    settled_ms = clock.now_ms()
    while clock.now_ms() < end_ms + 6_500:
        collector.pass_time(1)

    bounds = {end_ms + 1, end_ms + 2}
    stamps = [tick.time_ms for tick in store.ticks(Span(end_ms, clock.now_ms() + 1)) if tick.time_ms not in bounds]
    assert settled_ms <= end_ms + 2_050 + 250
    assert {after - before for before, after in pairwise(stamps)} == {1_000}


def test_a_minute_that_streams_have_settled_rests_on_few_providers_no_longer(
    store: Store, clock: FakeClock, make_live: MakeLive
) -> None:
    collector, _ = make_live()
    run(collector, 10)
    minute = minute_of(clock.now_ms())
    run_until(collector, clock, minute + MINUTE_MS + 1_000)
    store.write([], [Candle(minute, 1.0, 1.0, 1.0, 1.0)])
    store.record_gaps({minute: Gap(THIN, 1, clock.now_ms(), ("bitstamp",))})

    run_until(collector, clock, minute + MINUTE_MS + 15_000)

    assert minute not in store.gaps()


@pytest.mark.parametrize("by_another", [False, True])
def test_a_minute_that_was_settled_while_streams_were_away_keeps_its_candle(
    store: Store, clock: FakeClock, exchanges: Exchanges, make_live: MakeLive, by_another: bool
) -> None:
    collector, streams = make_live()
    streams.factors.update(dict.fromkeys(EXCHANGES, 1.0001))
    run(collector, 10)
    minute = minute_of(clock.now_ms())
    traded = exchanges.market.candle(minute)
    assert traded
    published = Candle(minute, *traded[:4])
    run_until(collector, clock, minute + MINUTE_MS - 1_000)
    streams.drop(*EXCHANGES)
    if by_another:
        clock.advance(minute + MINUTE_MS + 5_000 - clock.now_ms())
        store.write([], [published])
    run_until(collector, clock, minute + MINUTE_MS + 8_000)
    settled = store.settled([minute])

    streams.restore(*EXCHANGES)
    run_until(collector, clock, minute + MINUTE_MS + 19_000)

    assert settled == {minute}
    assert candles_of(store.ticks(Span(minute, minute + MINUTE_MS))) == {minute: published}


def test_an_extreme_between_two_polls_is_in_every_open_bucket_and_they_are_exact(
    store: Store, clock: FakeClock, exchanges: Exchanges, make_live: MakeLive
) -> None:
    collector, _ = make_live()
    run(collector, 8)
    clock.advance(minute_of(clock.now_ms()) + MINUTE_MS + 20_000 - clock.now_ms())
    run(collector, 3)
    collector.pass_time(1)

    running = exchanges.market.candle(minute_of(clock.now_ms()), clock.now_ms() - 50)
    snapshot = store.snapshot()
    assert running
    for name, slots in snapshot.slots.items():
        low, high = slots[-1].min, slots[-1].max
        assert low is not None
        assert high is not None
        assert (low <= running.low, high >= running.high) == (True, True), name
        assert slots[-1].exact, name
    assert (snapshot.slots["minute"][-1].min, snapshot.slots["minute"][-1].max) == (running.low, running.high)


def test_a_reconnect_that_does_not_join_leaves_its_minute_to_candles(
    store: Store, clock: FakeClock, exchanges: Exchanges, make_live: MakeLive
) -> None:
    collector, streams = make_live()
    run(collector, 8)
    streams.drop(*EXCHANGES)
    collector.pass_time(1)
    clock.advance(3_000)
    streams.restore(*EXCHANGES, joining=False)
    minute = minute_of(clock.now_ms())

    run_until(collector, clock, minute + MINUTE_MS + 21_000)

    traded = exchanges.market.candle(minute)
    slot = next(slot for slot in store.slots("minute") if slot.start_ms == minute)
    assert traded
    assert (slot.min, slot.max, slot.settled) == (traded.low, traded.high, True)
    assert any("andle" in request.path for request in exchanges.requests)


def test_streams_that_are_down_are_polled_as_ever(exchanges: Exchanges, make_live: MakeLive) -> None:
    collector, streams = make_live()
    run(collector, 2)
    streams.drop(*EXCHANGES)
    exchanges.requests.clear()

    cycles = run(collector, 2)

    assert all(len(cycle.members) == 5 and cycle.stored for cycle in cycles)
    assert {request.provider for request in exchanges.requests} == set(EXCHANGES)
    assert {state.problem for state in cycles[-1].streams.values()} == {"dropped"}


def test_settled_minutes_are_audited_with_one_request_per_provider_in_ten_minutes(
    store: Store, exchanges: Exchanges, make_live: MakeLive
) -> None:
    collector, streams = make_live()
    streams.factors["kraken"] = 1.0001
    run(collector, 100)
    exchanges.requests.clear()

    cycles = run(collector, 120)

    counts = {name: sum(request.provider == name for request in exchanges.requests) for name in EXCHANGES}
    states = dict(cycles[-1].streams)
    kraken = states.pop("kraken")
    assert set(counts.values()) <= {2, 3}
    assert all(state.compared >= 15 and state.corrected == 0 for state in states.values()), states
    assert kraken.compared == kraken.corrected >= 15
    assert kraken.steady
    assert not any(state.steady for state in states.values())


def test_without_an_undisputed_price_nothing_is_written_between_cycles(store: Store, make_live: MakeLive) -> None:
    collector, streams = make_live()
    run(collector, 2)
    for factor, name in enumerate(EXCHANGES):
        streams.factors[name] = 1 + factor / 10
    run(collector, 1)
    before = store.latest()

    for _ in range(5):
        collector.pass_time(1)

    assert store.latest() == before


@pytest.mark.parametrize("step_ms", [12_000, 30_000])
def test_nothing_is_written_after_a_step_of_the_clock_that_the_streams_show(
    store: Store, clock: FakeClock, make_live: MakeLive, step_ms: int
) -> None:
    collector, streams = make_live()
    run(collector, 8)
    before = store.latest()
    streams.behind_ms = step_ms

    clock.step(step_ms)
    for _ in range(5):
        collector.pass_time(1)
    cycle = collector.cycle()

    assert cycle.stored is None
    assert ProblemCode.PROVIDER_CLOCKS in cycle.problem_codes
    assert store.latest() == before


def test_quotes_without_a_time_are_no_price_once_the_clock_has_leapt(
    store: Store, clock: FakeClock, make_live: MakeLive
) -> None:
    collector, streams = make_live()
    run(collector, 8)
    before = store.latest()
    assert before
    streams.quotes = Quote(before.price, before.price)

    clock.step(HOUR_MS)
    for _ in range(3):
        collector.pass_time(1)

    assert store.latest() == before


def test_no_price_follows_a_cycle_that_may_not_write_to_its_store(
    client: redis.Redis, store: Store, clock: FakeClock, make_live: MakeLive
) -> None:
    collector, _ = make_live()
    run(collector, 2)
    client.flushall()
    store.write([Tick(clock.now_ms(), 1.0)], [])
    store.remember(State(simulated=True))
    before = store.latest()

    with pytest.raises(StoreError):
        collector.cycle()
    for _ in range(5):
        collector.pass_time(1)

    assert store.latest() == before


def test_when_the_clock_is_set_back_the_tapes_begin_anew(clock: FakeClock, make_live: MakeLive) -> None:
    collector, _ = make_live()
    before = run(collector, 8)[-1]

    clock.step(-5_000)
    after = collector.cycle()
    later = run(collector, 8)[-1]

    assert [None in [state.whole_since_ms for state in cycle.streams.values()] for cycle in (before, later)] == [
        False,
        False,
    ]
    assert {state.whole_since_ms for state in after.streams.values()} == {None}


def test_a_minute_of_two_whole_streams_is_left_to_candles(exchanges: Exchanges, make_live: MakeLive) -> None:
    collector, _ = make_live(streaming=("kraken", "gemini"))
    run(collector, 8)
    exchanges.requests.clear()

    cycles = run(collector, 6)

    assert sum(cycle.settled for cycle in cycles) == 1
    assert any("andle" in request.path or "ohlc" in request.path.lower() for request in exchanges.requests)


def test_a_slow_provider_does_not_keep_the_price_of_a_second_waiting(
    store: Store, clock: FakeClock, exchanges: Exchanges, make_live: MakeLive
) -> None:
    collector, streams = make_live(streaming=("bitstamp", "coinbase", "gemini", "kraken"))
    run(collector, 2)
    exchanges.fault("bitfinex", Fault(delay_s=1.5))
    streams.passing_ms = 500
    before_ms = clock.now_ms()

    collector.cycle()

    assert len(store.ticks(Span(before_ms, clock.now_ms() + 1))) >= 3


def test_a_tick_that_fails_for_an_unforeseen_reason_is_told_by_the_next_cycle(
    clock: FakeClock, make_live: MakeLive, monkeypatch: pytest.MonkeyPatch
) -> None:
    collector, streams = make_live()
    run(collector, 2)

    with monkeypatch.context() as patched:
        patched.setattr(streams, "take", lambda: 1 / 0)
        clock.advance(1_000)
        collector.pass_time(1)
    cycle, after = collector.cycle(), collector.cycle()

    assert cycle.problem_codes == (ProblemCode.UNEXPECTED,)
    assert (cycle.stored is not None, after.problem) == (True, None)


def test_between_cycles_no_tick_of_the_future_is_taken_out_for_the_clock_may_have_been_set_back(
    client: redis.Redis, store: Store, clock: FakeClock, make_live: MakeLive
) -> None:
    collector, _ = make_live()
    run(collector, 2)
    begin_ms, future_ms = clock.now_ms(), clock.now_ms() + HOUR_MS
    put(client, TICK, {future_ms: 70_000.0})

    for _ in range(3):
        collector.pass_time(1)
    latest = store.latest()
    (cycle,) = run(collector, 1)

    assert latest == Tick(future_ms, 70_000.0)
    assert (cycle.unspooled, cycle.repaired) == (3, (RepairCode.FUTURE_REMOVED,))
    assert len(store.ticks(Span(begin_ms + 1, future_ms + 1))) == 3
