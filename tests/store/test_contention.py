"""Several collectors at once: nothing is lost, and a rebuild that others disturb begins again."""

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import chain

import pytest
import redis

from btcts.config import BTC_USD
from btcts.domain.model import Candle, Tick
from btcts.errors import StoreError
from btcts.store import Store
from support.clocks import FakeClock
from support.oracle import KEPT, Observed, Oracle
from support.series import DAY, HOUR, MINUTE, NOW, TICK, assert_right, put, samples, wave
from support.servers import Server, connect

THIS_MINUTE = NOW - NOW % MINUTE


class BusyClock(FakeClock):
    """Lets something else happen each time the store looks at the server's time, that is in the midst of a rebuild."""

    def __init__(self, now_ms: int, happen: Callable[[int], None]) -> None:
        super().__init__(now_ms)
        self._happen = happen
        self.looks = 0

    def observe(self, server_ms: int) -> int:
        """Let it happen, told how often it did before."""
        self._happen(self.looks)
        self.looks += 1
        return super().observe(server_ms)

    def sleep(self, s: float) -> None:
        """Begin again at once."""


def test_a_tick_that_slips_into_a_rebuild_is_not_lost(server: Server, client: redis.Redis, store: Store) -> None:
    ticks = wave(NOW - 2 * HOUR, NOW - HOUR, 30_000)
    store.write(ticks)

    def slip_in(times: int) -> None:
        if times < 3:
            put(client, TICK, {NOW - 5 + times: 7.0})

    with connect(server.socket) as other:
        clock = BusyClock(NOW, slip_in)
        Store(other, BTC_USD, clock=clock, where="test").rebuild(store.inspect(), live=[Tick(NOW, 8)])

    assert clock.looks == 4
    assert samples(client, TICK) == dict([*ticks, *((NOW - 5 + times, 7.0) for times in range(3)), (NOW, 8.0)])


def test_a_rebuild_that_is_always_disturbed_gives_up_and_leaves_everything_as_it_was(
    server: Server, client: redis.Redis, store: Store
) -> None:
    store.write(wave(NOW - 2 * HOUR, NOW - HOUR, 30_000))

    with connect(server.socket) as other:
        busy = BusyClock(NOW, lambda times: put(client, TICK, {NOW - 100 + times: 7.0}))
        with pytest.raises(StoreError, match=r"btc:price:tick .* 30 "):
            Store(other, BTC_USD, clock=busy, where="test").rebuild(store.inspect(), live=[Tick(NOW, 8)])

    assert store.inspect().faults == ()
    assert samples(client, TICK)[NOW - 100] == 7
    assert NOW not in samples(client, TICK)


def test_a_failing_rebuild_does_not_hide_ticks_from_another_one(
    server: Server, client: redis.Redis, store: Store
) -> None:
    ticks = wave(NOW - 20 * HOUR, NOW, MINUTE)
    store.write(ticks)
    put(client, TICK, {NOW + DAY: 1.0})

    def put_the_retention_back(times: int) -> None:
        if times == 0:
            client.execute_command("TS.ALTER", TICK, "RETENTION", 26 * HOUR)

    with connect(server.socket) as other:
        Store(other, BTC_USD, clock=BusyClock(NOW, put_the_retention_back), where="test").rebuild(store.inspect())

    assert samples(client, TICK) == dict(ticks)


def test_an_interrupted_rebuild_puts_the_retention_back(server: Server, client: redis.Redis, store: Store) -> None:
    store.write([Tick(NOW, 8)])

    def interrupt(times: int) -> None:
        raise KeyboardInterrupt

    with connect(server.socket) as other, pytest.raises(KeyboardInterrupt):
        Store(other, BTC_USD, clock=BusyClock(NOW, interrupt), where="test").rebuild(store.inspect())

    assert store.inspect().faults == ()


def test_a_deleted_series_in_the_midst_of_a_rebuild_is_carried_over(
    server: Server, client: redis.Redis, store: Store
) -> None:
    store.write(wave(NOW - 5 * HOUR, NOW, 30_000))
    before = samples(client, "btc:price:hour")

    def delete(times: int) -> None:
        if times == 0:
            client.delete(TICK)

    with connect(server.socket) as other:
        Store(other, BTC_USD, clock=BusyClock(NOW, delete), where="test").rebuild(store.inspect())

    assert samples(client, "btc:price:hour") == before
    assert store.inspect().faults == ()


class PatientClock(FakeClock):
    """Stands still while the store really waits for other writers."""

    def sleep(self, s: float) -> None:
        """Let others go first."""
        threading.Event().wait(s)


Share = list[tuple[list[Tick], list[Candle]]]


def share_of(number: int, now_ms: int) -> Share:
    """The part of one of several collectors: prices of now and of scattered minutes, some of which it settles."""
    share: Share = []
    for step in range(100):
        minute = now_ms - now_ms % MINUTE - (step * 37 + number * 11) % 300 * MINUTE - MINUTE
        late = Tick(minute + 1_000 * number + 7, 100.0 + step)
        newest = Tick(now_ms - 5_000 + 40 * step + number, 50.0 + step)
        share.append(([late, newest], [Candle(minute, 90, 120, 80, 110)] if step % 3 == 0 else []))
    return share


def at_once(tasks: Iterable[Callable[[], None]]) -> None:
    """Run the tasks in threads of their own; the first failure of one is raised here."""
    with ThreadPoolExecutor(max_workers=8) as pool:
        for future in [pool.submit(task) for task in tasks]:
            future.result()


def test_collectors_that_append_and_merge_at_once_lose_nothing(server: Server, client: redis.Redis) -> None:
    shares = [share_of(number, NOW) for number in range(3)]
    oracle = Oracle()
    for ticks, candles in chain.from_iterable(shares):
        for tick in ticks:
            oracle.tick(NOW, *tick)
        for candle in candles:
            oracle.candle(NOW, candle.start_ms, Observed(90, 120, 80, 110))

    def collect(share: Share) -> None:
        with connect(server.socket) as own:
            store = Store(own, BTC_USD, clock=PatientClock(NOW), where="test")
            for ticks, candles in share:
                store.write(ticks, candles)

    at_once([partial(collect, share) for share in shares])

    assert samples(client, TICK) == dict(oracle.ticks())
    assert Store(client, BTC_USD, clock=FakeClock(NOW), where="test").inspect().faults == ()
    assert_right(client, oracle, NOW)


def test_collectors_that_create_the_layout_at_once_all_succeed(server: Server, client: redis.Redis) -> None:
    ready = threading.Barrier(4)

    def begin(number: int) -> None:
        with connect(server.socket) as own:
            store = Store(own, BTC_USD, clock=PatientClock(NOW), where="test")
            ready.wait()
            store.write([Tick(NOW - number, 5.0)])

    at_once([partial(begin, number) for number in range(4)])

    assert samples(client, TICK) == {NOW - number: 5 for number in range(4)}
    assert Store(client, BTC_USD, clock=FakeClock(NOW), where="test").inspect().faults == ()


def test_a_minute_that_is_settled_behind_a_running_collector_leaves_no_bucket_stale(
    server: Server, client: redis.Redis, store: Store
) -> None:
    store.write(wave(NOW - 3 * HOUR, NOW - 2 * HOUR, 20_000))

    def run_ahead() -> None:
        with connect(server.socket) as own:
            ahead = Store(own, BTC_USD, clock=FakeClock(NOW), where="test")
            for tick in wave(NOW - 2 * HOUR, NOW, 20_000):
                ahead.write([tick])

    def settle() -> None:
        for minute in range(THIS_MINUTE - 3 * HOUR, THIS_MINUTE - HOUR, MINUTE):
            store.write([], [Candle(minute, 10, 12, 9, 11)])

    at_once([run_ahead, settle])

    for name, (_, entries) in KEPT.items():
        key = f"btc:price:{name}"
        assert client.execute_command("TS.REVRANGE", key, "-", "+", "COUNT", 1) == [
            client.execute_command("TS.GET", key)
        ]
        assert len(samples(client, key)) <= entries
