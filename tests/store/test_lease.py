"""The lease of a rebuild: others wait for it, for a moment, and whatever stands there."""

import socket
import subprocess
import threading
from collections.abc import Callable

import pytest
import redis

from btcts.config import BTC_USD
from btcts.domain.clock import ServerClock
from btcts.domain.model import Candle, Tick
from btcts.errors import StoreError
from btcts.store import Store
from btcts.store.lease import register_holder
from support.clocks import FakeClock
from support.series import HOUR, MINUTE, NOW, TICK, put, samples, wave
from support.servers import Server, connect

STATE = "btc:price:state"
FIELD = "rebuild_until_ms"
LATE = [Tick(NOW - 2 * HOUR, 8)]
"""What takes a rebuild."""


class PausingClock(FakeClock):
    """Stands still while the store waits for others, and lets something happen then."""

    def __init__(self, happen: Callable[[int], object] = lambda pauses: None) -> None:
        super().__init__(NOW)
        self._happen = happen
        self.pauses = 0

    def sleep(self, s: float) -> None:
        """Let it happen, told how often it did before."""
        self._happen(self.pauses)
        self.pauses += 1


def server_ms(client: redis.Redis) -> int:
    seconds, microseconds = client.time()
    return seconds * 1000 + microseconds // 1000


def lend(client: redis.Redis, for_ms: int = 2_000, holder: str = "elsewhere 4711 cafe") -> None:
    """Let somebody else have the lease."""
    client.hset(STATE, FIELD, f"{server_ms(client) + for_ms} {holder}")


@pytest.fixture(params=["append", "rebuild", "inspect"])
def act(request: pytest.FixtureRequest) -> Callable[[Store], object]:
    """Act after a rebuild of others."""
    acts: dict[str, Callable[[Store], object]] = {
        "append": lambda store: store.write([Tick(NOW, 8)]),
        "rebuild": lambda store: store.rebuild(),
        "inspect": lambda store: store.inspect(),
    }
    return acts[request.param]


def test_a_rebuild_of_others_goes_first(client: redis.Redis, store: Store, act: Callable[[Store], object]) -> None:
    store.write(wave(NOW - HOUR, NOW, MINUTE))
    lend(client)
    clock = PausingClock(lambda pauses: pauses == 2 and client.hdel(STATE, FIELD))

    act(Store(client, BTC_USD, clock=clock, where="test"))

    assert clock.pauses == 3


@pytest.mark.parametrize(("write", "pauses"), [([Tick(NOW, 8)], 20), (LATE, 60)])
def test_nobody_waits_for_ever(client: redis.Redis, store: Store, write: list[Tick], pauses: int) -> None:
    store.write(wave(NOW - HOUR, NOW, MINUTE))
    clock = PausingClock(lambda pauses: lend(client))

    lend(client)
    Store(client, BTC_USD, clock=clock, where="test").write(write)

    assert clock.pauses == pauses
    assert samples(client, TICK)[write[0].time_ms] == 8


@pytest.mark.parametrize("ahead_ms", [-HOUR, -1, 2_600, HOUR, 10**14])
def test_a_lease_that_is_over_or_holds_too_long_is_not_heeded(
    client: redis.Redis, store: Store, act: Callable[[Store], object], ahead_ms: int
) -> None:
    store.write(wave(NOW - HOUR, NOW, MINUTE))
    lend(client, ahead_ms)
    clock = PausingClock()

    act(Store(client, BTC_USD, clock=clock, where="test"))

    assert clock.pauses == 0


@pytest.mark.parametrize(
    "text",
    [
        "",
        "abc",
        "9" * 400,
        "1 a 1 x y",
        "-5 a 1 x",
        "nan a 1 x",
        "1e400 a 1 x",
        "1 a 0 x",
        "1 a -1 x",
        "[" * 3000,
        "\0",
    ],
)
def test_what_is_no_lease_is_not_heeded_but_named_and_taken_out(
    client: redis.Redis, store: Store, act: Callable[[Store], object], text: str
) -> None:
    store.write(wave(NOW - HOUR, NOW, MINUTE))
    client.hset(STATE, FIELD, text)
    clock = PausingClock()
    own = Store(client, BTC_USD, clock=clock, where="test")

    found = own.inspect()
    act(own)
    own.repair(found)

    assert clock.pauses == 0
    assert [(fault.key, fault.values["name"], fault.rebuild) for fault in found.faults] == [(STATE, FIELD, False)]
    assert not client.hexists(STATE, FIELD)


def test_nobody_waits_for_a_rebuild_of_this_process_that_is_over(
    client: redis.Redis, store: Store, act: Callable[[Store], object]
) -> None:
    store.write(wave(NOW - HOUR, NOW, MINUTE))
    with register_holder() as holder:
        pass
    lend(client, holder=" ".join(map(str, holder)))
    clock = PausingClock()

    act(Store(client, BTC_USD, clock=clock, where="test"))

    assert clock.pauses == 0


def test_nobody_waits_for_a_process_that_was_killed(
    client: redis.Redis, store: Store, act: Callable[[Store], object]
) -> None:
    store.write(wave(NOW - HOUR, NOW, MINUTE))
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as process:
        holder = f"{'_'.join(socket.gethostname().split())} {process.pid} cafe"
        lend(client, holder=holder)
        alive = PausingClock(lambda pauses: pauses == 2 and client.hdel(STATE, FIELD))
        act(Store(client, BTC_USD, clock=alive, where="test"))
        process.kill()
    lend(client, holder=holder)
    dead = PausingClock()

    act(Store(client, BTC_USD, clock=dead, where="test"))

    assert (alive.pauses, dead.pauses) == (3, 0)


def test_a_rebuild_leaves_no_lease(client: redis.Redis, store: Store) -> None:
    store.write(wave(NOW - HOUR, NOW, MINUTE))
    store.write(LATE)

    assert not client.hexists(STATE, FIELD)


def test_a_rebuild_that_gives_up_leaves_no_lease(server: Server, client: redis.Redis, store: Store) -> None:
    store.write(wave(NOW - HOUR, NOW, MINUTE))

    class Disturbed(PausingClock):
        def observe(self, server_ms: int) -> int:
            put(client, TICK, {NOW: 7.0 + self.pauses})
            return super().observe(server_ms)

    with connect(server.socket) as other, pytest.raises(StoreError, match="during 30 attempts"):
        Store(other, BTC_USD, clock=Disturbed(), where="test").rebuild(store.inspect())

    assert not client.hexists(STATE, FIELD)


@pytest.mark.parametrize("dense", [False, True], ids=["a tick a minute", "a tick a second"])
def test_rebuilds_win_against_collectors_that_never_rest(server: Server, client: redis.Redis, *, dense: bool) -> None:
    begun_ms = server_ms(client) - 24 * HOUR
    ticks = wave(begun_ms, begun_ms + 24 * HOUR - 5_000, 1_000 if dense else MINUTE)
    store = Store(client, BTC_USD, clock=ServerClock(), where="test")
    store.rebuild()
    for start in range(0, len(ticks), 1_000):
        put(client, TICK, ticks[start : start + 1_000])
    enough, written = threading.Event(), []

    def collect(number: int) -> None:
        with connect(server.socket) as own:
            clock = ServerClock()
            collector = Store(own, BTC_USD, clock=clock, where="test")
            while not enough.is_set():
                collector.inspect()
                stamp = clock.now_ms() // 60 * 60 + number  # never one that marks a minute settled
                collector.write([Tick(stamp, 8)])
                written.append(stamp)
                collector.tell({}, simulated=False)

    threads = [threading.Thread(target=collect, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    minute = ticks[-1].time_ms // MINUTE * MINUTE - HOUR
    polled = frozenset(tick.time_ms for tick in ticks if minute <= tick.time_ms < minute + MINUTE)
    try:
        store.rebuild(candles=[Candle(minute, 10, 12, 9, 11)], dropped=polled)
        store.rebuild()
    finally:
        enough.set()
        for thread in threads:
            thread.join()

    left = samples(client, TICK)
    assert {stamp: price for stamp, price in left.items() if minute <= stamp < minute + MINUTE} == {
        minute: 10,
        minute + 20_000: 9,
        minute + 40_000: 12,
        minute + 59_999: 11,
    }
    assert set(written) <= left.keys()
    assert store.inspect().faults == ()
