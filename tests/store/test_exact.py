"""Slots that are exact, and the mark by which readers know it: never claimed where a price of a poll may show."""

import threading

import pytest
import redis

from btcts.config import BTC_USD
from btcts.domain.model import Bounds, Candle, Gap, Slot, Tick
from btcts.errors import StoreError
from btcts.store import State, Store
from support.clocks import FakeClock
from support.series import HOUR, MINUTE, NOW, TICK, samples
from support.servers import Server, connect

START = NOW - NOW % (5 * MINUTE)
RUNNING = NOW - NOW % MINUTE
CADENCE_S = 10.0


@pytest.fixture
def settled(store: Store) -> Store:
    """A store with all minutes of the running 5 minutes settled but the last ended and the running one."""
    store.rebuild()
    store.remember(State(cadence_s=CADENCE_S))
    store.write(
        [Tick(RUNNING - 30_000, 10), Tick(NOW - 1_000, 11)],
        [Candle(minute, 10, 14, 8, 12) for minute in range(START, RUNNING - MINUTE, MINUTE)],
    )
    return store


@pytest.fixture
def exact(settled: Store) -> Store:
    """The same store after an append that bounds both of them."""
    settled.write([Tick(NOW, 11)], bounds=[Bounds(RUNNING - MINUTE, 9, 12), Bounds(RUNNING, 7, 13)])
    return settled


def open_slot(store: Store) -> Slot:
    """The running 5 minutes."""
    return store.slots("5min")[-1]


def test_an_open_slot_of_settled_and_bounded_minutes_is_exact(exact: Store) -> None:
    slot = open_slot(exact)

    assert slot.exact
    assert (slot.open, slot.min, slot.max, slot.close) == (10, 7, 14, 11)
    assert exact.state().exact_since_ms == RUNNING - MINUTE


def test_a_minute_that_is_settled_together_with_the_price_counts_as_covered(settled: Store) -> None:
    bounds = [Bounds(RUNNING - MINUTE, 9, 12), Bounds(RUNNING, 7, 13)]

    settled.write([Tick(NOW, 11)], [Candle(RUNNING - MINUTE, 10, 12, 9, 11)], bounds=bounds)

    assert settled.state().exact_since_ms == RUNNING - MINUTE
    assert open_slot(settled).exact


def test_a_settled_slot_stays_exact_while_no_price_comes(exact: Store, clock: FakeClock) -> None:
    exact.write([], [Candle(RUNNING - MINUTE, 10, 12, 9, 11)])
    clock.advance(5 * MINUTE)

    (slot,) = (slot for slot in exact.slots("minute") if slot.start_ms == RUNNING - MINUTE)

    assert (slot.settled, slot.exact) == (True, True)


def test_a_minute_that_is_neither_settled_nor_bounded_is_not_covered(settled: Store) -> None:
    settled.write([Tick(NOW, 11)], bounds=[Bounds(RUNNING, 7, 13)])

    assert settled.state().exact_since_ms == RUNNING
    assert not open_slot(settled).exact
    assert settled.slots("minute")[-1].exact


def test_a_slot_whose_minimum_was_deleted_is_not_exact(client: redis.Redis, exact: Store) -> None:
    client.delete("btc:price:5min:min")

    slot = open_slot(exact)

    assert (slot.min, slot.exact) == (None, False)


def test_minutes_are_covered_from_the_first_bounded_one_on(settled: Store) -> None:
    settled.write([Tick(NOW, 11)], [Candle(RUNNING - MINUTE, 10, 12, 9, 11)], bounds=[Bounds(RUNNING, 7, 13)])

    assert settled.state().exact_since_ms == RUNNING
    assert open_slot(settled).exact


@pytest.mark.parametrize("age_ms", [12_000, 12_001])
def test_a_slot_is_exact_while_the_newest_tick_is_no_older_than_the_cadence_and_two_seconds(
    client: redis.Redis, clock: FakeClock, store: Store, age_ms: int
) -> None:
    clock.step(-40_000)
    now_ms = clock.now_ms()
    store.rebuild()
    store.remember(State(cadence_s=CADENCE_S))
    store.write([Tick(now_ms, 11)], bounds=[Bounds(RUNNING, 7, 13)])

    clock.advance(age_ms)

    assert store.slots("minute")[-1].exact == (age_ms <= 12_000)


def test_a_slot_is_not_exact_when_the_next_minute_has_begun_without_a_tick(clock: FakeClock, exact: Store) -> None:
    clock.advance(MINUTE - NOW % MINUTE)

    assert not open_slot(exact).exact


def test_a_view_of_the_past_is_exact_by_settled_minutes_alone(exact: Store) -> None:
    slots = exact.snapshot("minute", at_ms=NOW).slots["minute"]

    assert [slot.exact for slot in slots[-4:]] == [True, True, False, False]


def test_a_minute_without_trades_leaves_its_slot_exact_unless_it_holds_a_price(store: Store) -> None:
    first = START - 5 * MINUTE
    store.write([Tick(NOW, 1)], [Candle(minute, 10, 14, 8, 12) for minute in range(first, START - MINUTE, MINUTE)])
    quiet = {START - MINUTE: Gap("no_trades", 1, START)}

    before = store.slots("5min")[-2].exact
    store.record_gaps(quiet)
    recorded = store.slots("5min")[-2].exact
    store.write([Tick(START - 1_000, 99)])

    assert (before, recorded, store.slots("5min")[-2].exact) == (False, True, False)


def test_an_extreme_on_the_first_millisecond_is_held_within_the_bounds(client: redis.Redis, exact: Store) -> None:
    exact.write([Tick(RUNNING, 99), Tick(NOW, 11)], bounds=[Bounds(RUNNING, 7, 13)])

    assert samples(client, TICK)[RUNNING] == 13
    assert exact.slots("minute")[-1].max == 13


def test_a_live_tick_on_a_stamp_of_the_bounds_does_not_take_their_place(client: redis.Redis, exact: Store) -> None:
    exact.write([Tick(RUNNING + 1, 10), Tick(RUNNING + 2, 10)], bounds=[Bounds(RUNNING, 6, 20)])

    shown = samples(client, TICK)
    assert [shown[RUNNING + offset] for offset in (1, 2, 3)] == [6, 20, 10]


def test_a_high_falls_when_a_member_leaves(client: redis.Redis, exact: Store) -> None:
    exact.write([Tick(NOW, 13)], bounds=[Bounds(RUNNING, 7, 20)])

    exact.write([Tick(NOW, 11)], bounds=[Bounds(RUNNING, 9, 12)])

    slot = exact.slots("minute")[-1]
    assert (slot.min, slot.max) == (9, 12)
    assert samples(client, "btc:price:hour:max", latest=True)[NOW - NOW % HOUR] == 14


def test_a_price_that_an_earlier_version_stored_on_a_stamp_of_the_bounds_does_not_stand_for_the_other(
    client: redis.Redis, settled: Store
) -> None:
    client.execute_command("TS.ADD", TICK, RUNNING + 2, 7)

    settled.write([Tick(NOW, 11)], bounds=[Bounds(RUNNING, 7, 13)])

    slot = settled.slots("minute")[-1]
    assert (slot.min, slot.max) == (7, 13)


def test_the_price_of_a_collector_without_streams_takes_the_mark_away(exact: Store) -> None:
    exact.write([Tick(NOW, 99)])

    assert exact.state().exact_since_ms is None
    assert not open_slot(exact).exact


def test_the_next_bounds_hold_the_price_of_a_collector_without_streams_too(exact: Store) -> None:
    exact.write([Tick(NOW - 500, 99)])

    exact.write([Tick(NOW, 11)], bounds=[Bounds(RUNNING - MINUTE, 9, 12), Bounds(RUNNING, 7, 13)])

    slot = open_slot(exact)
    assert (slot.exact, slot.max) == (True, 14)


def test_a_late_price_from_a_spool_takes_the_mark_away(exact: Store) -> None:
    exact.write([Tick(RUNNING - MINUTE + 1_000, 99)])

    assert exact.state().exact_since_ms is None


def test_candles_alone_leave_the_mark(exact: Store) -> None:
    exact.write([], [Candle(RUNNING - MINUTE, 10, 12, 9, 11)])

    assert exact.state().exact_since_ms == RUNNING - MINUTE
    assert open_slot(exact).exact


def test_a_rebuild_takes_the_mark_away(exact: Store) -> None:
    exact.rebuild()

    assert exact.state().exact_since_ms is None


def test_what_collectors_remember_does_not_bring_the_mark_back(exact: Store) -> None:
    remembered = exact.state()
    exact.rebuild()

    exact.remember(remembered)

    assert exact.state().exact_since_ms is None


@pytest.mark.parametrize("mark", ["soon", "-1", "1e12", str(10**15)])
def test_a_mark_that_cannot_be_read_claims_nothing_and_the_next_append_replaces_it(
    client: redis.Redis, exact: Store, mark: str
) -> None:
    client.hset("btc:price:state", "exact_since_ms", mark)

    unread = open_slot(exact).exact
    exact.write([Tick(NOW, 11)], bounds=[Bounds(RUNNING - MINUTE, 9, 12), Bounds(RUNNING, 7, 13)])

    assert not unread
    assert open_slot(exact).exact


def test_a_minute_whose_only_tick_is_on_its_first_millisecond_waits_for_a_price(store: Store) -> None:
    store.rebuild()

    store.write([Tick(RUNNING, 11)], bounds=[Bounds(RUNNING, 7, 13)])

    assert store.latest() == (RUNNING, 11)
    assert store.state().exact_since_ms is None


@pytest.mark.parametrize("bounds", [(), (Bounds(RUNNING, 7, 13),)], ids=["polls", "streams"])
def test_a_write_that_memory_does_not_allow_leaves_prices_and_mark_as_they_were(
    client: redis.Redis, exact: Store, bounds: tuple[Bounds, ...]
) -> None:
    before = samples(client, TICK)
    client.config_set("maxmemory", "1mb")
    try:
        with pytest.raises(StoreError, match="memory"):
            exact.write([Tick(NOW, 99)], bounds=bounds)
    finally:
        client.config_set("maxmemory", "0")

    assert samples(client, TICK) == before
    assert open_slot(exact).exact


def test_in_another_database_bounds_are_ignored(server: Server, client: redis.Redis) -> None:
    with connect(server.socket, db=1) as other:
        store = Store(other, BTC_USD, clock=FakeClock(NOW), where="test")
        store.rebuild()

        store.write([Tick(NOW, 11)], bounds=[Bounds(RUNNING, 7, 13)])

        assert samples(other, TICK) == {NOW: 11}
        assert store.state().exact_since_ms is None


def test_a_reader_beside_a_fast_writer_never_sees_two_moments_at_once(server: Server, exact: Store) -> None:
    ended = threading.Event()

    def write() -> None:
        with connect(server.socket) as client:
            store = Store(client, BTC_USD, clock=FakeClock(NOW), where="test")
            for number in range(400):
                low = float(20 + number % 50)
                bounds = [Bounds(RUNNING - MINUTE, low, low + 5), Bounds(RUNNING, low, low + 5)]
                store.write([Tick(NOW, low + 2)], bounds=bounds if number % 3 else ())
        ended.set()

    writer = threading.Thread(target=write)
    writer.start()
    seen = []
    while not ended.is_set():
        seen += [slot for slot in exact.snapshot().slots["minute"][-2:] if slot.exact]
    writer.join()

    assert {(slot.max or 0) - (slot.min or 0) for slot in seen if slot.min != 7 and slot.min != 9} <= {5.0}
    assert all((slot.min or 0) <= (slot.close or 0) <= (slot.max or 0) for slot in seen)
