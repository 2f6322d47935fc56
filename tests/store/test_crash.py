"""Power cuts: Redis ends at any moment of a write, and all is there afterwards, before or after but never between."""

import shutil
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import redis

from btcts.config import BTC_USD
from btcts.domain.model import Candle, Tick
from btcts.errors import StoreUnreachable
from btcts.store import Store
from support.clocks import FakeClock
from support.series import DAY, HOUR, MINUTE, NOW, TICK, assert_right, compactions, put, remembered, samples, wave
from support.servers import Server, StartServer, connect
from support.wires import Wire

AOF = ("--appendonly", "yes", "--appendfsync", "always", "--auto-aof-rewrite-percentage", "0")
"""With `everysec` a reply may come up to two seconds before what it acknowledges is in the file."""

TICKS = wave(NOW - 6 * HOUR, NOW - HOUR, 30_000)
MERGED = [Tick(NOW - HOUR // 2, 7), Tick(NOW, 8)]


@pytest.fixture
def durable(start_server: StartServer) -> Server:
    """A server that keeps an append-only file."""
    return start_server(*AOF)


def fill(server: Server) -> dict[str, dict[int, float]]:
    """Put the layout and `TICKS` into Redis; every series as it is then."""
    with connect(server.socket) as client:
        store_of(client).write(TICKS)
        return everything(client)


def store_of(client: redis.Redis) -> Store:
    return Store(client, BTC_USD, clock=FakeClock(NOW), where="test")


def everything(client: redis.Redis) -> dict[str, dict[int, float]]:
    return {TICK: samples(client, TICK), **compactions(client, latest=True)}


@pytest.fixture
def wire(durable: Server) -> Iterator[Wire]:
    """A store's connections that can be cut."""
    watched = Wire(durable.socket)
    yield watched
    watched.client.close()


@pytest.mark.parametrize("tenths", range(11))
def test_a_power_cut_in_a_merge_leaves_the_state_before_or_after(durable: Server, wire: Wire, tenths: int) -> None:
    fill(durable)
    store = store_of(wire.client)
    store.rebuild()
    wire.sent.clear()
    store.rebuild()
    size = sum(wire.sent)
    wire.cut_after(size * tenths // 10, durable.kill)

    with pytest.raises(StoreUnreachable, match=" at test "):
        store.rebuild(live=MERGED)
    durable.start()

    with connect(durable.socket) as client:
        assert samples(client, TICK) == dict(TICKS)
        again = store_of(client)
        again.repair(again.inspect())
        assert samples(client, TICK) == dict(TICKS)
        assert again.inspect().faults == ()
        assert_right(client, remembered(TICKS, NOW), NOW)


def test_a_power_cut_while_future_samples_hide_the_ticks_loses_none(durable: Server, wire: Wire) -> None:
    fill(durable)
    store = store_of(wire.client)
    store.rebuild()
    wire.sent.clear()
    store.rebuild()
    lifted_and_read = sum(wire.sent[:-1]) + 1_000
    put(wire.client, TICK, {NOW + DAY: 1.0, NOW + 30 * DAY: 1.0})
    wire.cut_after(lifted_and_read, durable.kill)

    with pytest.raises(StoreUnreachable):
        store.rebuild()
    durable.start()

    with connect(durable.socket) as client:
        again = store_of(client)
        again.repair(again.inspect())
        assert samples(client, TICK) == dict(TICKS)
        assert again.inspect().faults == ()


def test_an_append_only_file_that_ends_within_a_rebuild_holds_the_state_before(
    start_server: StartServer, durable: Server
) -> None:
    before = fill(durable)
    (log,) = (durable.folder / "appendonlydir").glob("*.incr.aof")
    start = log.stat().st_size
    with connect(durable.socket) as client:
        store_of(client).rebuild(live=MERGED)
        after = everything(client)
    durable.kill()
    end = log.stat().st_size

    found = []
    for cut in [start, start + 1, *range(start + 500, end, (end - start) // 10), end - 1, end]:
        broken = start_server(*AOF)
        broken.kill()
        shutil.copytree(durable.folder / "appendonlydir", broken.folder / "appendonlydir", dirs_exist_ok=True)
        with (broken.folder / "appendonlydir" / log.name).open("r+b") as file:
            file.truncate(cut)
        broken.start()
        with connect(broken.socket) as client:
            found.append(everything(client))

    assert found == [before] * (len(found) - 1) + [after]


def test_a_restart_changes_nothing_and_collecting_goes_on(durable: Server) -> None:
    before = fill(durable)

    durable.kill()
    durable.start()

    with connect(durable.socket) as client:
        assert everything(client) == before
        store = store_of(client)
        assert store.inspect().faults == ()
        assert not store.write([Tick(NOW, 8)]).rebuilt
        assert_right(client, remembered([*TICKS, Tick(NOW, 8)], NOW), NOW)


@pytest.mark.parametrize("rewrite", [True, False], ids=["rewritten", "as written"])
def test_appends_merges_and_settled_minutes_are_replayed_alike(durable: Server, rewrite: bool) -> None:
    fill(durable)
    minute = NOW - NOW % MINUTE - MINUTE
    with connect(durable.socket) as client:
        store = store_of(client)
        store.write([Tick(minute + 5, 99), Tick(NOW, 8)])
        store.write([Tick(minute + 6, 1)], [Candle(minute, 10, 14, 8, 12)])
        store.write([Tick(NOW - 3 * HOUR, 5), Tick(NOW - HOUR // 2, 6)])
        before = everything(client)
        if rewrite:
            client.config_set("aof-use-rdb-preamble", "no")
            client.execute_command("BGREWRITEAOF")
            while client.info("persistence")["aof_rewrite_in_progress"]:
                pass

    durable.kill()
    durable.start()

    with connect(durable.socket) as client:
        assert everything(client) == before
        assert store_of(client).inspect().faults == ()


@pytest.mark.parametrize("writes", [3, 8, 21, 34])
def test_a_kill_amid_merges_keeps_every_tick_that_was_acknowledged(durable: Server, writes: int) -> None:
    fill(durable)
    acknowledged: list[Tick] = []
    enough = threading.Event()

    def merge_on_and_on() -> None:
        with connect(durable.socket) as client:
            store = store_of(client)
            for tick in wave(NOW - HOUR + MINUTE, NOW, MINUTE)[::-1]:
                store.write([tick])
                acknowledged.append(tick)
                if len(acknowledged) == writes:
                    enough.set()

    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(merge_on_and_on)
        enough.wait()
        durable.kill()
        with pytest.raises(StoreUnreachable):
            writing.result()
    durable.start()

    with connect(durable.socket) as client:
        store = store_of(client)
        store.repair(store.inspect())
        left = samples(client, TICK)
        assert dict([*TICKS, *acknowledged]).items() <= left.items()
        assert len(left) <= len(TICKS) + len(acknowledged) + 1
        assert_right(client, remembered([Tick(*sample) for sample in left.items()], NOW), NOW)
