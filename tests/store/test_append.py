"""Writing ticks: what is taken, what is refused, and how it is stored."""

import math

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from btcts.config import BTC_USD
from btcts.domain.clock import ServerClock
from btcts.domain.model import PRICE_CEILING, Candle, ProviderState, Span, Tick
from btcts.errors import StoreError
from btcts.store import State, Store
from support.clocks import FakeClock
from support.series import FIRST_OF_WINDOW, HOUR, MINUTE, NOW, TICK, monitored, put, samples, wave
from support.servers import Server, StartServer, connect, free_port

THIS_MINUTE = NOW - NOW % MINUTE


@pytest.fixture(params=["append", "rebuild"])
def either_way(request: pytest.FixtureRequest, store: Store) -> Store:
    """A store on which the next write is an append, and one on which it takes a rebuild."""
    if request.param == "append":
        store.rebuild()
    return store


def test_the_first_write_creates_the_layout(store: Store) -> None:
    written = store.write([Tick(NOW, 60_000.5)])

    assert written.rebuilt
    assert store.inspect().faults == ()
    assert store.latest() == (NOW, 60_000.5)


def test_a_live_price_is_one_append(store: Store) -> None:
    store.rebuild()

    written = store.write([Tick(NOW, 60_000.5)])

    assert not written.rebuilt
    assert store.latest() == (NOW, 60_000.5)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=20)
@given(prices=st.lists(st.floats(0, PRICE_CEILING, exclude_min=True), min_size=1, max_size=200))
def test_every_price_comes_back_bit_for_bit(client: redis.Redis, store: Store, prices: list[float]) -> None:
    client.flushall()
    store.rebuild()
    ticks = [Tick(NOW - len(prices) + number, price) for number, price in enumerate(prices)]

    store.write(ticks)
    store.rebuild()

    assert samples(client, TICK) == dict(ticks)


def test_more_ticks_than_one_command_takes_are_written_at_once(client: redis.Redis, store: Store) -> None:
    store.rebuild()
    ticks = wave(NOW - 5_000_000, NOW, 1_000)

    written = store.write(ticks)

    assert not written.rebuilt
    assert samples(client, TICK) == dict(ticks)


def test_the_order_within_one_write_does_not_matter(client: redis.Redis, store: Store) -> None:
    store.rebuild()

    store.write([Tick(NOW, 3), Tick(NOW - HOUR, 1), Tick(NOW - MINUTE, 2)])

    assert samples(client, TICK) == {NOW - HOUR: 1, NOW - MINUTE: 2, NOW: 3}


def test_a_later_price_of_the_same_stamp_replaces_the_earlier(client: redis.Redis, store: Store) -> None:
    store.write([Tick(NOW, 1)])

    store.write([Tick(NOW, 2)])

    assert samples(client, TICK) == {NOW: 2}


def test_a_tick_10_s_ahead_of_the_clock_is_taken(either_way: Store) -> None:
    written = either_way.write([Tick(NOW + 10_000, 1)])

    assert written.too_early == 0
    assert either_way.latest() == (NOW + 10_000, 1)


def test_a_tick_more_than_10_s_ahead_is_refused_and_the_others_are_written(
    client: redis.Redis, either_way: Store
) -> None:
    written = either_way.write([Tick(NOW, 1), Tick(NOW + 10_001, 2)])

    assert written.too_early == 1
    assert samples(client, TICK) == {NOW: 1}


def test_the_first_millisecond_of_the_window_is_taken(either_way: Store) -> None:
    written = either_way.write([Tick(FIRST_OF_WINDOW, 1)])

    assert written.too_old == 0
    assert either_way.latest() == (FIRST_OF_WINDOW, 1)


def test_a_tick_before_the_window_is_refused_and_the_others_are_written(client: redis.Redis, either_way: Store) -> None:
    written = either_way.write([Tick(FIRST_OF_WINDOW - 1, 1), Tick(NOW, 2)])

    assert written.too_old == 1
    assert samples(client, TICK) == {NOW: 2}


def test_a_live_tick_on_the_mark_of_settled_minutes_is_stored_one_millisecond_earlier(either_way: Store) -> None:
    either_way.write([Tick(THIS_MINUTE - 1, 5)])

    assert either_way.latest() == (THIS_MINUTE - 2, 5)
    assert either_way.settled([THIS_MINUTE - MINUTE]) == set()


def test_the_mark_is_avoided_before_the_distance_from_the_clock_is_judged(clock: FakeClock, either_way: Store) -> None:
    clock.advance(59_998 - 10_000 - NOW % MINUTE)
    mark = THIS_MINUTE + 59_999

    written = either_way.write([Tick(mark, 5)])

    assert written.too_early == 0
    assert either_way.latest() == (mark - 1, 5)


@pytest.mark.parametrize("price", [math.nan, math.inf, -math.inf, 0.0, -1.0, 2 * PRICE_CEILING])
def test_what_is_no_price_is_refused_and_nothing_is_written(
    client: redis.Redis, either_way: Store, price: float
) -> None:
    before = client.dbsize()

    with pytest.raises(StoreError, match=str(price)):
        either_way.write([Tick(NOW - 1, 5), Tick(NOW, price)])

    assert either_way.latest() is None
    assert client.dbsize() == before


def test_the_candle_of_a_running_minute_is_refused_and_nothing_is_written(either_way: Store) -> None:
    running = Candle(THIS_MINUTE, 10, 12, 9, 11)

    with pytest.raises(StoreError, match="minute"):
        either_way.write([Tick(NOW, 5)], [running])

    assert either_way.latest() is None


def test_the_candle_of_a_minute_that_has_just_ended_is_taken(clock: FakeClock, either_way: Store) -> None:
    clock.advance(MINUTE - NOW % MINUTE)

    either_way.write([], [Candle(THIS_MINUTE, 10, 12, 9, 11)])

    assert either_way.settled([THIS_MINUTE]) == {THIS_MINUTE}


def test_a_candle_before_the_window_is_left_out(client: redis.Redis, either_way: Store) -> None:
    either_way.write([Tick(NOW, 5)], [Candle(FIRST_OF_WINDOW - MINUTE, 10, 12, 9, 11)])

    assert samples(client, TICK) == {NOW: 5}


def test_a_tick_in_a_minute_that_has_one_is_appended_however_late(store: Store) -> None:
    store.write(wave(FIRST_OF_WINDOW, NOW, MINUTE // 2))

    written = store.write([Tick(FIRST_OF_WINDOW + 7, 5)])

    assert not written.rebuilt


def test_a_minute_behind_the_newest_one_is_merged(store: Store) -> None:
    store.write([Tick(NOW - 2 * MINUTE, 1), Tick(NOW, 2)])

    written = store.write([Tick(NOW - MINUTE, 5)])

    assert written.rebuilt


def test_a_script_that_the_server_forgot_is_sent_again(client: redis.Redis, store: Store) -> None:
    store.write([Tick(NOW - 1, 1)])
    client.script_flush()

    store.write([Tick(NOW, 2)])

    assert store.latest() == (NOW, 2)


def test_an_append_writes_to_no_series_but_the_ticks(server: Server, store: Store) -> None:
    store.write(wave(NOW - HOUR, NOW, 10_000))

    with monitored(server) as commands:
        store.write([Tick(NOW - HOUR, 7), Tick(NOW, 1)], [Candle(THIS_MINUTE - MINUTE, 10, 12, 9, 11)])

    written = {word for command in commands if command[0] in ("TS.ADD", "TS.MADD") for word in command[1::3]}
    assert written == {TICK}


@pytest.mark.parametrize("minute", [THIS_MINUTE, THIS_MINUTE - 2 * MINUTE], ids=["append", "merge"])
def test_the_shared_state_is_stored_with_the_price(store: Store, minute: int) -> None:
    store.write([Tick(NOW, 7)])
    told = State(cadence_s=10.0, last_cycle_ms=NOW, providers={"kraken": ProviderState(answered_ms=NOW)})

    store.write([Tick(minute + 500, 8)], remembered=told)

    assert store.state() == told
    assert store.ticks(Span(minute, minute + 1_000)) == [Tick(minute + 500, 8)]


def test_a_write_that_redis_refuses_stores_no_state_either(store: Store) -> None:
    store.write([Tick(NOW, 7)])

    with pytest.raises(StoreError):
        store.write([], [Candle(THIS_MINUTE, 1, 2, 1, 1)], remembered=State(cadence_s=10.0))

    assert store.state().cadence_s is None


def test_a_write_of_nothing_changes_nothing(client: redis.Redis, store: Store) -> None:
    store.write([Tick(NOW, 1)])

    written = store.write([])

    assert not written.rebuilt
    assert samples(client, TICK) == {NOW: 1}


def test_without_a_clock_of_the_tests_the_servers_time_decides(client: redis.Redis) -> None:
    seconds, microseconds = client.time()
    server_ms = seconds * 1000 + microseconds // 1000
    store = Store(client, BTC_USD, clock=ServerClock(), where="test")

    written = store.write([Tick(server_ms, 1), Tick(server_ms + HOUR, 2), Tick(server_ms - 26 * HOUR, 3)])

    assert (written.too_early, written.too_old) == (1, 1)
    assert samples(client, TICK) == {server_ms: 1}


def test_a_stored_sample_that_is_no_price_does_not_survive_a_rebuild(client: redis.Redis, store: Store) -> None:
    store.write([Tick(NOW, 1)])
    put(client, TICK, {NOW - 2: -5.0, NOW - 1: 0.0})

    store.rebuild()

    assert samples(client, TICK) == {NOW: 1}


def test_with_a_hash_tag_all_keys_lie_in_one_slot_of_a_cluster(start_server: StartServer) -> None:
    ports = ("--bind", "127.0.0.1", "--port", str(free_port()), "--cluster-port", str(free_port()))
    node = start_server("--cluster-enabled", "yes", *ports)
    with connect(node.socket) as client:
        client.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16_383)
        while client.execute_command("CLUSTER INFO")["cluster_state"] != "ok":
            pass
        store = Store(client, BTC_USD._replace(prefix="{btc:price}"), clock=FakeClock(NOW), where="test")

        store.write(wave(NOW - HOUR, NOW, 10_000))
        store.write([Tick(NOW, 7)], [Candle(THIS_MINUTE - MINUTE, 10, 12, 9, 11)])
        store.remember(State(cadence_s=10.0))

        assert store.inspect().faults == ()
        assert store.slots("minute")[-2].settled
        assert len(store.slots("hour")) == 25
