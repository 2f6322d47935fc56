"""Reads take one round trip and write nothing, whatever this machine's clock says."""

from collections.abc import Callable, Iterator

import pytest
import redis

from btcts.config import BTC_USD
from btcts.domain.clock import ServerClock
from btcts.domain.model import Candle, Span, Tick
from btcts.store import Store
from support.clocks import FakeClock
from support.series import FIRST_OF_WINDOW, HOUR, MINUTE, NOW, TICK, monitored, wave
from support.servers import Server, StartServer, connect, free_port
from support.wires import Wire

THIS_MINUTE = NOW - NOW % MINUTE
NOON = NOW - NOW % HOUR
CANDLES = [Candle(minute, 10, 14, 8, 12) for minute in range(FIRST_OF_WINDOW, THIS_MINUTE, MINUTE)]
READS = {"MULTI", "EXEC", "TIME", "TS.GET", "TS.RANGE", "HGETALL"}


@pytest.fixture
def wire(server: Server, full: Store) -> Iterator[Wire]:
    """Connections to the full store that count what they send; one is open already."""
    counted = Wire(server.socket)
    counted.client.ping()
    counted.sent.clear()
    yield counted
    counted.client.close()


@pytest.mark.parametrize("read", [Store.buckets, Store.snapshot, Store.inspect, Store.latest])
def test_a_read_is_one_round_trip(wire: Wire, full: Store, read: Callable[[Store], object]) -> None:
    full.write([], CANDLES)

    read(Store(wire.client, BTC_USD, clock=FakeClock(NOW), where="test"))

    assert len(wire.sent) == 1


def test_hours_that_are_not_settled_take_a_second_one(wire: Wire, full: Store) -> None:
    full.write([], [candle for candle in CANDLES if candle.start_ms != NOON - 7 * HOUR])

    snapshot = Store(wire.client, BTC_USD, clock=FakeClock(NOW), where="test").snapshot()

    assert len(wire.sent) == 2
    assert [slot.start_ms for slot in snapshot.slots["hour"] if not slot.settled] == [NOON - 7 * HOUR, NOON]


def test_hours_that_are_known_to_be_settled_are_not_asked_for_again(wire: Wire, full: Store) -> None:
    full.write([], CANDLES)
    store = Store(wire.client, BTC_USD, clock=FakeClock(NOW), where="test")

    first = store.snapshot()
    again = store.snapshot()

    assert again == first
    assert len(wire.sent) == 2
    assert wire.sent[1] < wire.sent[0] / 4


@pytest.mark.parametrize("reopen", ["delete", "rebuild", "flush"])
def test_an_hour_that_was_settled_and_is_not_any_more_is_noticed(
    client: redis.Redis, full: Store, clock: FakeClock, reopen: str
) -> None:
    full.write([], CANDLES)
    full.snapshot()
    clock.advance(1)
    minute = NOON - 7 * HOUR
    stamps = [minute + offset for offset in (0, 20_000, 40_000, 59_999)]
    if reopen == "flush":
        client.flushall()
        full.write(wave(FIRST_OF_WINDOW, NOW, 30_000))
    elif reopen == "rebuild":  # with other ticks instead, so that there are as many as before
        full.rebuild(live=[Tick(minute + 100 + number, 70_000) for number in range(4)], dropped=frozenset(stamps))
    else:
        client.execute_command("TS.DEL", TICK, stamps[-1], stamps[-1])

    found = full.snapshot()

    fresh = Store(client, BTC_USD, clock=clock, where="test").snapshot()
    assert found.slots == fresh.slots
    assert found.coverage.settled == fresh.coverage.settled
    assert minute not in found.coverage.settled


def test_a_read_of_one_resolution_asks_for_no_other(server: Server, full: Store) -> None:
    with monitored(server) as commands:
        full.buckets("5min")

    assert [command[1] for command in commands if command[0] == "TS.RANGE"] == [
        "btc:price:5min",
        "btc:price:5min:min",
        "btc:price:5min:max",
    ]


def test_reads_write_nothing(server: Server, full: Store) -> None:
    with monitored(server) as commands:
        full.snapshot()
        full.snapshot(at_ms=NOW - HOUR)
        full.buckets()
        full.latest()
        full.ticks(Span(NOW - HOUR, NOW))
        full.state()
        full.gaps()

    assert {command[0] for command in commands} <= READS


def test_a_replica_shows_what_its_primary_has(start_server: StartServer) -> None:
    port = str(free_port())
    primary = start_server("--port", port, "--bind", "127.0.0.1", "--repl-diskless-sync", "no")
    replica = start_server()
    with connect(primary.socket) as writing, connect(replica.socket) as reading:
        stores = [Store(client, BTC_USD, clock=FakeClock(NOW), where="test") for client in (writing, reading)]
        stores[0].write(wave(FIRST_OF_WINDOW, NOW, 30_000))
        reading.replicaof("127.0.0.1", port)
        while reading.info("replication")["master_link_status"] != "up":
            pass
        stores[0].write([Tick(NOW, 7)])
        writing.wait(1, 5_000)

        assert stores[1].snapshot() == stores[0].snapshot()
        assert stores[1].buckets() == stores[0].buckets()
        assert stores[1].inspect() == stores[0].inspect()


class WrongClock(FakeClock):
    """This machine's clock, hours away from the server's until the server has told its time."""

    follows_server = True
    source = "the Redis server"

    def __init__(self, wrong_ms: int, server_ms: int) -> None:
        super().__init__(wrong_ms)
        self._server_ms = server_ms

    def observe(self, server_ms: int) -> int:
        """Take the time for the server's at which the test stands."""
        self._now_ms = self._server_ms
        return self._server_ms


@pytest.mark.parametrize("off_ms", [-30 * HOUR, -3 * HOUR, -61_000, 59_000, 2 * MINUTE, 5 * HOUR, 30 * HOUR])
def test_a_clock_that_is_off_changes_nothing(client: redis.Redis, full: Store, off_ms: int) -> None:
    full.write(
        [], [Candle(minute, 10, 14, 8, 12) for minute in range(NOW - NOW % HOUR - 3 * HOUR, THIS_MINUTE, MINUTE)]
    )

    slots = Store(client, BTC_USD, clock=WrongClock(NOW + off_ms, NOW), where="test").snapshot()
    fast = Store(client, BTC_USD, clock=WrongClock(NOW + off_ms, NOW), where="test").buckets()

    assert slots == full.snapshot()
    assert fast == full.buckets()


def test_now_is_the_servers_time(client: redis.Redis) -> None:
    store = Store(client, BTC_USD, clock=ServerClock(), where="test")
    before, _ = client.time()

    now_ms = store.snapshot("hour").now_ms

    after, _ = client.time()
    assert before * 1000 <= now_ms < (after + 1) * 1000
