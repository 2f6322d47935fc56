"""The traps of RedisTimeSeries, T1 to T8 and those measured later, each shown not to catch the store."""

from collections.abc import Callable, Iterator

import pytest
import redis

from btcts.model import Candle, Tick
from btcts.store import Store
from clocks import FakeClock
from conftest import StartServer
from oracle import KEPT, Oracle
from series import (
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
from servers import Server, connect
from workload import all_kinds_of_writes

THIS_MINUTE = NOW - NOW % MINUTE


# T1: a late write recomputes a closed bucket only from the samples that are retained


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


# T2: the same for the open bucket


def test_a_repeated_tick_of_the_open_hour_leaves_its_extremes_alone(client: redis.Redis, store: Store) -> None:
    open_hour = NOW - NOW % HOUR
    store.write([Tick(open_hour, 10), Tick(NOW - MINUTE, 50), Tick(NOW, 40)])

    store.write([Tick(NOW - MINUTE, 51), Tick(NOW, 41)])

    shown = compactions(client, latest=True)
    assert shown["btc:price:hour:min"] == {open_hour: 10}
    assert shown["btc:price:hour:max"] == {open_hour: 51}
    assert shown["btc:price:hour"] == {open_hour: 41}


# T3: TS.DEL of an open bucket crashes the server when a compaction is compressed


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
        store = Store(client, clock=FakeClock(NOW), where="test")
        store.write(wave(NOW - 3 * HOUR, NOW, 10_000))

        client.execute_command("TS.DEL", TICK, NOW - NOW % HOUR, "+")

        assert client.ping()


# T4: one future timestamp hides all data, and every good write is refused then


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


# T5: a bucket that is filled behind a newer one leaves the newest one stale


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


# T6: a rule that emits a bucket older than its destination keeps sends a reply too many


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


# T7: rules vanish without a word


def delete(client: redis.Redis) -> None:
    client.delete("btc:price:hour:max")


def delete_and_create(client: redis.Redis) -> None:
    client.delete("btc:price:15min")
    client.execute_command("TS.CREATE", "btc:price:15min", "LABELS", "app", "btcts")


def rename(client: redis.Redis) -> None:
    client.rename("btc:price:5min:min", "elsewhere")


def dump_and_restore(client: redis.Redis) -> None:
    client.restore("btc:price:minute", 0, client.dump("btc:price:minute"), replace=True)


def dump_and_restore_the_ticks(client: redis.Redis) -> None:
    client.restore(TICK, 0, client.dump(TICK), replace=True)


def delete_a_rule(client: redis.Redis) -> None:
    client.execute_command("TS.DELETERULE", TICK, "btc:price:5min")


def another_rule(client: redis.Redis) -> None:
    client.execute_command("TS.DELETERULE", TICK, "btc:price:5min")
    client.execute_command("TS.CREATERULE", TICK, "btc:price:5min", "AGGREGATION", "avg", 5 * MINUTE)


def copy_over(client: redis.Redis) -> None:
    client.copy("btc:price:hour", "btc:price:hour:min", replace=True)


DAMAGES: list[Callable[[redis.Redis], None]] = [
    delete,
    delete_and_create,
    rename,
    dump_and_restore,
    dump_and_restore_the_ticks,
    delete_a_rule,
    another_rule,
    copy_over,
]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_lost_rule_is_seen_and_made_anew_without_losing_a_tick(
    client: redis.Redis, store: Store, damage: Callable[[redis.Redis], None]
) -> None:
    ticks = wave(FIRST_OF_WINDOW, NOW, 60_000)
    store.write(ticks)
    damage(client)

    found = store.inspect()
    store.repair(found)

    assert found.needs_rebuild
    assert store.inspect().faults == ()
    assert samples(client, TICK) == dict(ticks)
    assert_right(client, remembered(ticks, NOW), NOW)


def test_after_flushall_everything_is_missing_and_made_anew(client: redis.Redis, store: Store) -> None:
    store.write([Tick(NOW, 1)])
    client.flushall()

    found = store.inspect()
    store.repair(found)

    assert found.empty
    assert store.inspect().faults == ()


# T8: a rule that is made on a series with data forgets the open bucket


def test_rules_are_only_made_while_the_ticks_are_empty(server: Server, client: redis.Redis, store: Store) -> None:
    with monitored(server) as commands:
        all_kinds_of_writes(client, store)

    empty = True
    for command in commands:
        if command[0] == "DEL" and TICK in command:
            empty = True
        elif command[:2] == ["TS.MADD", TICK]:
            empty = False
        assert command[0] != "TS.CREATERULE" or empty


def test_the_open_bucket_survives_a_repair(client: redis.Redis, store: Store) -> None:
    open_hour = NOW - NOW % HOUR
    store.write([Tick(open_hour, 10), Tick(open_hour + 1, 90), Tick(NOW, 50)])
    client.delete("btc:price:hour:min", "btc:price:hour:max")

    store.repair(store.inspect())

    assert samples(client, "btc:price:hour:min", latest=True) == {open_hour: 10}
    assert samples(client, "btc:price:hour:max", latest=True) == {open_hour: 90}


# Measured with this layout


def test_thirty_hours_of_ticks_leave_exactly_the_kept_buckets_and_all_are_right(
    client: redis.Redis, store: Store, clock: FakeClock
) -> None:
    ticks = wave(NOW - 30 * HOUR, NOW + 1, 20_000)
    store.rebuild()

    for number in range(0, len(ticks), 180):
        hour = ticks[number : number + 180]
        clock.advance(hour[-1].time_ms - clock.now_ms())
        assert not store.write(hour).rebuilt

    assert_right(client, remembered(ticks, NOW), NOW)
    assert {each: len(samples(client, f"btc:price:{each}")) for each in KEPT} == {
        "minute": 60,
        "5min": 12,
        "15min": 4,
        "hour": 24,
    }
    assert len(samples(client, "btc:price:hour", latest=True)) == 25


def test_a_tick_20_h_late_lowers_its_hour_and_touches_no_5min_bucket(client: redis.Redis, store: Store) -> None:
    store.write(wave(FIRST_OF_WINDOW, NOW, 20_000))
    before = compactions(client, latest=True)
    hour = NOW - NOW % HOUR - 20 * HOUR

    store.write([Tick(hour + 1, 5)])

    expected = before | {"btc:price:hour:min": before["btc:price:hour:min"] | {hour: 5}}
    assert compactions(client, latest=True) == expected


def test_a_tick_10_min_late_lowers_its_5min_15min_and_open_hour_bucket(client: redis.Redis, store: Store) -> None:
    store.write(wave(FIRST_OF_WINDOW, NOW, 20_000))

    late = NOW - 10 * MINUTE + 1
    store.write([Tick(late, 5)])

    shown = compactions(client, latest=True)
    for resolution in ("5min", "15min", "hour"):
        length, _ = KEPT[resolution]
        assert shown[f"btc:price:{resolution}:min"][late - late % length] == 5


def test_a_rebuild_never_publishes_part_of_an_hour(client: redis.Redis, store: Store, clock: FakeClock) -> None:
    hour = NOW - NOW % HOUR - 24 * HOUR
    store.write([Tick(hour, 1.0), *wave(hour + MINUTE, NOW, MINUTE)])
    clock.advance(HOUR + 50 * MINUTE)
    store.write([Tick(NOW + HOUR + 50 * MINUTE, 70_000)])

    store.rebuild()

    assert hour not in samples(client, "btc:price:hour:min")
    assert min(samples(client, TICK)) >= hour + HOUR


def test_a_rebuild_removes_what_the_clock_says_is_expired(client: redis.Redis, store: Store, clock: FakeClock) -> None:
    store.write(wave(FIRST_OF_WINDOW, NOW, MINUTE))
    clock.advance(2 * HOUR)

    store.rebuild()

    assert {key for key in COMPACTIONS if samples(client, key)} == {
        "btc:price:hour",
        "btc:price:hour:min",
        "btc:price:hour:max",
    }
    assert min(samples(client, "btc:price:hour")) == NOW - NOW % HOUR - 22 * HOUR


# In other databases than 0 the rules only ever follow ascending ticks; LATEST and recomputed buckets are those of the
# series of the same name in database 0


@pytest.fixture
def third(server: Server, client: redis.Redis) -> Iterator[redis.Redis]:
    """A client of database 3 of the same, empty server."""
    with connect(server.socket, db=3) as connected:
        yield connected


def all_right(store: Store, oracle: Oracle) -> bool:
    """Whether the store's own reading of every slot is what the oracle says."""
    found = store.buckets()
    for resolution, (length, _) in KEPT.items():
        expected = oracle.buckets(resolution)
        slots = [*oracle.closed(resolution, NOW), NOW // length * length]
        for field, values in found[resolution].items():
            if values != {start: getattr(expected[start], field) for start in slots if start in expected}:
                return False
    return True


def test_late_ticks_reach_their_buckets_in_any_database(third: redis.Redis) -> None:
    store = Store(third, clock=FakeClock(NOW), where="test")
    ticks = wave(FIRST_OF_WINDOW, NOW, 50_000)
    late = [Tick(ticks[-5].time_ms + 1, 5), Tick(NOW - 20 * HOUR, 7), Tick(NOW, 8), ticks[-1]]
    store.write(ticks)

    for tick in late:
        store.write([tick])

    assert store.inspect().faults == ()
    assert all_right(store, remembered([*ticks, *late], NOW))


def test_the_store_of_one_database_leaves_that_of_another_alone(client: redis.Redis, third: redis.Redis) -> None:
    stores = [Store(each, clock=FakeClock(NOW), where="test") for each in (client, third)]
    told = [wave(FIRST_OF_WINDOW, NOW, 50_000), wave(FIRST_OF_WINDOW + 7, NOW, 70_000)]
    late = [Tick(NOW - 20 * HOUR, 7), Tick(NOW - HOUR, 6), Tick(NOW - 2, 5), Tick(NOW - 1, 4), Tick(NOW - 3, 3)]

    for store, ticks in zip(stores, told, strict=True):
        store.write(ticks)
    for tick in late:
        for store in stores:
            store.write([tick])
    third.delete("btc:price:hour", "btc:price:5min:min")
    stores[1].repair(stores[1].inspect())

    assert [store.inspect().faults for store in stores] == [(), ()]
    assert all_right(stores[0], remembered([*told[0], *late], NOW))
    assert all_right(stores[1], remembered([*told[1], *late], NOW))


def test_settling_reaches_the_buckets_of_any_database(third: redis.Redis) -> None:
    store = Store(third, clock=FakeClock(NOW), where="test")
    minute = THIS_MINUTE - MINUTE
    store.write([Tick(minute + 5_000, 99), Tick(NOW, 11)])

    store.write([], [Candle(minute, open=10, high=14, low=8, close=12)])

    assert store.buckets("minute") == {"minute": {"close": {minute: 12, THIS_MINUTE: 11}}}
    assert max(store.buckets("hour")["hour"]["max"].values()) == 14
