"""The traps of RedisTimeSeries, each shown not to catch the store."""

import pytest
import redis

from btcts.config import BTC_USD
from btcts.domain.model import Tick
from btcts.store import Store
from support.clocks import FakeClock
from support.oracle import KEPT
from support.series import (
    COMPACTIONS,
    DAY,
    FIRST_OF_WINDOW,
    HOUR,
    MINUTE,
    NOW,
    TICK,
    assert_right,
    compactions,
    monitored,
    put,
    remembered,
    samples,
    wave,
)
from support.servers import Server, StartServer, connect
from support.workload import all_kinds_of_writes

THIS_MINUTE = NOW - NOW % MINUTE


# A late write recomputes a closed bucket only from the samples that are retained


@pytest.mark.parametrize("hours_ago", [0, 1, 5, 23, 24])
def test_a_tick_repeated_anywhere_in_the_window_leaves_its_buckets_alone(
    client: redis.Redis, store: Store, hours_ago: int
) -> None:
    ticks = wave(FIRST_OF_WINDOW, NOW, 100_000)
    store.write(ticks)
    start = NOW - NOW % HOUR - hours_ago * HOUR

    store.write([tick for tick in ticks if start <= tick.time_ms < start + HOUR])

    assert_right(client, remembered(ticks, NOW), NOW)


@pytest.mark.parametrize("hours_ago", [0, 1, 5, 23, 24])
def test_a_late_tick_anywhere_in_the_window_adds_to_its_buckets_and_forgets_nothing(
    client: redis.Redis, store: Store, hours_ago: int
) -> None:
    ticks = wave(FIRST_OF_WINDOW, NOW, 100_000)
    oracle = remembered(ticks, NOW)
    store.write(ticks)
    late = [Tick(NOW - NOW % HOUR - hours_ago * HOUR + offset, price) for offset, price in [(1, 1.0), (100_001, 1e6)]]

    for tick in late:
        store.write([tick])
        oracle.tick(NOW, *tick)

    assert_right(client, oracle, NOW)


# The same for the open bucket


def test_a_repeated_tick_of_the_open_hour_leaves_its_extremes_alone(client: redis.Redis, store: Store) -> None:
    open_hour = NOW - NOW % HOUR
    store.write([Tick(open_hour, 10), Tick(NOW - MINUTE, 50), Tick(NOW, 40)])

    store.write([Tick(NOW - MINUTE, 51), Tick(NOW, 41)])

    shown = compactions(client, latest=True)
    assert shown["btc:price:hour:min"] == {open_hour: 10}
    assert shown["btc:price:hour:max"] == {open_hour: 51}
    assert shown["btc:price:hour"] == {open_hour: 41}


# TS.DEL of an open bucket crashes the server when a compaction is compressed


def test_nothing_is_ever_deleted_from_the_ticks(server: Server, client: redis.Redis, store: Store) -> None:
    with monitored(server) as commands:
        all_kinds_of_writes(client, store)

    assert [command for command in commands if command[:2] == ["TS.DEL", TICK]] == []
    assert [command for command in commands if command[0].startswith("FLUSH")] == []


def test_every_compaction_is_uncompressed(client: redis.Redis, store: Store) -> None:
    all_kinds_of_writes(client, store)

    assert {client.execute_command("TS.INFO", key)["chunkType"] for key in COMPACTIONS} == {"uncompressed"}


def test_the_server_survives_somebody_elses_deletion_of_the_open_bucket(start_server: StartServer) -> None:
    with connect(start_server().socket) as client:
        store = Store(client, BTC_USD, clock=FakeClock(NOW), where="test")
        store.write(wave(NOW - 3 * HOUR, NOW, 10_000))

        client.execute_command("TS.DEL", TICK, NOW - NOW % HOUR, "+")

        assert client.ping()


# One future timestamp hides all data, and every good write is refused then


@pytest.mark.parametrize("ahead_ms", [10_001, HOUR, DAY, 30 * DAY])
def test_a_future_tick_is_refused(client: redis.Redis, store: Store, ahead_ms: int) -> None:
    store.write([Tick(NOW, 1)])

    written = store.write([Tick(NOW + ahead_ms, 2)])

    assert written.too_early == 1
    assert samples(client, TICK) == {NOW: 1}


POISONS = {
    "an hour ahead": [NOW + HOUR],
    "just too far ahead": [NOW + 10_001],
    "a day ahead": [NOW + DAY],
    "thirty days ahead": [NOW + 30 * DAY],
    "twice, the second hiding the first": [NOW + DAY, NOW + 30 * DAY],
    "in one hour": [NOW + DAY, NOW + DAY + MINUTE],
}


@pytest.mark.parametrize("stamps", POISONS.values(), ids=POISONS)
def test_ticks_hidden_by_future_samples_all_come_back_with_the_next_write(
    client: redis.Redis, store: Store, stamps: list[int]
) -> None:
    ticks = wave(FIRST_OF_WINDOW, NOW - 1, 30_000)
    store.write(ticks)
    put(client, TICK, dict.fromkeys(stamps, 1.0))

    store.write([Tick(NOW, 5)])

    assert samples(client, TICK) == dict([*ticks, Tick(NOW, 5)])
    assert_right(client, remembered([*ticks, Tick(NOW, 5)], NOW), NOW)


@pytest.mark.parametrize("stamps", POISONS.values(), ids=POISONS)
def test_ticks_hidden_by_future_samples_all_come_back_with_a_repair(
    client: redis.Redis, store: Store, stamps: list[int]
) -> None:
    ticks = wave(FIRST_OF_WINDOW, NOW, 30_000)
    store.write(ticks)
    put(client, TICK, dict.fromkeys(stamps, 1.0))

    inspection = store.inspect()
    store.repair(inspection)

    assert inspection.poisoned
    assert samples(client, TICK) == dict(ticks)
    assert not store.inspect().needs_rebuild


def test_a_tick_10_s_ahead_is_no_poison(store: Store) -> None:
    store.write([Tick(NOW - 1, 1), Tick(NOW + 10_000, 2)])

    assert not store.inspect().poisoned
    assert not store.write([Tick(NOW, 3)]).rebuilt


# A bucket that is filled behind a newer one leaves the newest one stale


def test_after_a_gap_is_filled_every_compaction_ends_with_its_newest_bucket(client: redis.Redis, store: Store) -> None:
    store.write(wave(NOW - 3 * HOUR, NOW - 2 * HOUR, 30_000))
    store.write([Tick(NOW, 5)])

    store.write(wave(NOW - 2 * HOUR, NOW - 30_000, 30_000))

    for key in COMPACTIONS:
        stamp, value = client.execute_command("TS.GET", key)
        assert [(stamp, value)] == list(map(tuple, client.execute_command("TS.REVRANGE", key, "-", "+", "COUNT", 1)))
        assert client.execute_command("TS.INFO", key)["lastTimestamp"] == stamp


@pytest.mark.parametrize("behind", [MINUTE, 5 * MINUTE, HOUR, 23 * HOUR])
def test_no_compaction_ever_shows_more_than_its_entries(client: redis.Redis, store: Store, behind: int) -> None:
    gap = THIS_MINUTE - behind
    store.write([tick for tick in wave(FIRST_OF_WINDOW, NOW, 30_000) if not 0 <= tick.time_ms - gap < MINUTE])

    store.write([Tick(gap, 5)])

    for resolution, (_, entries) in KEPT.items():
        key = f"btc:price:{resolution}"
        assert len(samples(client, key)) == entries
        assert len(samples(client, key, latest=True)) == entries + 1


# A rule that emits a bucket older than its destination keeps sends a reply too many


def test_after_every_kind_of_write_the_replies_are_in_step(client: redis.Redis, store: Store) -> None:
    all_kinds_of_writes(client, store)

    connections = [client.connection_pool.get_connection() for _ in range(4)]
    for number, connection in enumerate(connections):
        connection.send_command("ECHO", f"number {number}")
    answers = [connection.read_response() for connection in connections]
    for connection in connections:
        client.connection_pool.release(connection)

    assert answers == [f"number {number}" for number in range(4)]


def test_a_strangers_series_that_answers_too_much_neither_shifts_replies_nor_loses_ticks(
    client: redis.Redis, store: Store
) -> None:
    store.rebuild()
    client.execute_command("TS.CREATE", "stranger", "RETENTION", 10)
    client.execute_command("TS.CREATERULE", TICK, "stranger", "AGGREGATION", "last", MINUTE)
    client.execute_command("TS.ADD", "stranger", NOW + HOUR, 9)
    store.write([Tick(NOW - 2 * MINUTE, 1)])

    with pytest.raises(Exception, match="older than retention"):
        store.write([Tick(NOW - MINUTE, 2)])

    assert client.echo("in step") == "in step"
    assert samples(client, TICK) == {NOW - 2 * MINUTE: 1, NOW - MINUTE: 2}
