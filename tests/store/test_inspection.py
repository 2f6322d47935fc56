"""Keys and rules compared with the layout and put right: what `init-keys` and every cycle rely on."""

from collections.abc import Callable

import pytest
import redis

from btcts.domain.codes import FaultCode
from btcts.domain.model import Tick
from btcts.errors import ForeignKey
from btcts.store import Fault, Store
from support.clocks import FakeClock
from support.series import COMPACTIONS, HOUR, MINUTE, NOW, TICK, compactions, monitored, put, samples, wave
from support.servers import Server, connect
from support.workload import all_kinds_of_writes

READS = {"TIME", "TS.GET", "TS.INFO", "TS.RANGE", "HLEN", "HGET", "HGETALL"}
SIDE_KEYS = ["btc:price:state", "btc:price:gaps"]

Change = tuple[str, ...]


@pytest.fixture
def filled(store: Store) -> Store:
    """A store with three hours of ticks."""
    store.write(wave(NOW - 3 * HOUR, NOW, 30_000))
    return store


def foreign_rules_of(store: Store) -> object:
    """The rules of the tick series into keys that are not ours."""
    source = store.inspect().series[TICK]
    assert source
    return source.find_foreign_rules(store.layout)


def test_nothing_there_is_a_fault_of_every_series(store: Store) -> None:
    found = store.inspect()

    assert found.empty
    assert {fault.key: fault.code for fault in found.faults} == dict.fromkeys([TICK, *COMPACTIONS], FaultCode.MISSING)
    assert found.needs_rebuild


def test_an_inspection_writes_nothing_whatever_it_finds(server: Server, store: Store) -> None:
    with monitored(server) as commands:
        store.inspect()

    assert {command[0] for command in commands} <= READS


def test_the_second_time_there_is_nothing_to_do(server: Server, filled: Store) -> None:
    with monitored(server) as commands:
        done = filled.repair(filled.inspect())

    assert done == ()
    assert {command[0] for command in commands} <= READS


def test_what_differs_is_said_with_both_values(client: redis.Redis, filled: Store) -> None:
    change = ("RETENTION", 5, "DUPLICATE_POLICY", "MIN", "IGNORE", 60_000, 50)
    client.execute_command("TS.ALTER", "btc:price:hour", *change)
    client.execute_command("TS.DELETERULE", TICK, "btc:price:5min")
    client.execute_command("TS.CREATERULE", TICK, "btc:price:5min", "AGGREGATION", "avg", 300_000, 60_000)

    assert [(fault.key, fault.code, *fault.values.values()) for fault in filled.inspect().faults] == [
        ("btc:price:hour", FaultCode.WRONG_RETENTION, 5, 82_800_000),
        ("btc:price:hour", FaultCode.WRONG_POLICY, "min", "last"),
        ("btc:price:hour", FaultCode.WRONG_FILTER, (60_000, 50.0), (0, 0.0)),
        ("btc:price:5min", FaultCode.WRONG_RULE, (300_000, "avg", 60_000), (300_000, "last", 0)),
    ]


@pytest.mark.parametrize("key", [TICK, "btc:price:minute", "btc:price:hour:max"])
@pytest.mark.parametrize(
    "change",
    [
        ("RETENTION", "0"),
        ("RETENTION", "172800000"),
        ("CHUNK_SIZE", "256"),
        ("DUPLICATE_POLICY", "MIN"),
        ("IGNORE", "60000", "50"),
        ("IGNORE", "0", "0.5"),
        ("LABELS", "app", "btcts", "asset", "gold"),
        ("LABELS",),
    ],
)
def test_what_can_be_altered_is_put_right_in_place(
    server: Server, client: redis.Redis, filled: Store, key: str, change: Change
) -> None:
    before = {TICK: samples(client, TICK), **compactions(client)}
    client.execute_command("TS.ALTER", key, *change)

    with monitored(server) as commands:
        done = filled.repair(filled.inspect())

    assert {fault.key for fault in done} == {key}
    assert {command[0] for command in commands} - READS == {"TS.ALTER"}
    assert filled.inspect().faults == ()
    assert {TICK: samples(client, TICK), **compactions(client)} == before


def test_a_retention_cut_short_by_hand_is_put_back_before_ticks_are_lost(client: redis.Redis, filled: Store) -> None:
    before = samples(client, TICK)
    client.execute_command("TS.ALTER", TICK, "RETENTION", 60_000)
    client.delete("btc:price:hour")

    filled.repair(filled.inspect())

    assert samples(client, TICK) == before


def test_the_lifted_retention_of_a_crashed_rebuild_is_put_back(client: redis.Redis, filled: Store) -> None:
    client.execute_command("TS.ALTER", TICK, "RETENTION", 0)

    done = filled.repair(filled.inspect())

    assert done == (Fault(TICK, FaultCode.WRONG_RETENTION, {"found": 0, "wanted": 93_600_000}, rebuild=False),)
    assert client.execute_command("TS.INFO", TICK)["retentionTime"] == 93_600_000


def test_a_compaction_of_the_wrong_encoding_is_made_anew(client: redis.Redis, filled: Store) -> None:
    before = compactions(client, latest=True)
    client.delete("btc:price:hour")
    client.execute_command("TS.CREATE", "btc:price:hour", "LABELS", "app", "btcts")
    client.execute_command("TS.CREATERULE", TICK, "btc:price:hour", "AGGREGATION", "last", HOUR)

    filled.repair(filled.inspect())

    assert client.execute_command("TS.INFO", "btc:price:hour")["chunkType"] == "uncompressed"
    assert compactions(client, latest=True) == before


@pytest.mark.parametrize("key", [TICK, "btc:price:15min:min"])
def test_a_key_of_ours_that_only_lost_its_labels_is_ours(client: redis.Redis, filled: Store, key: str) -> None:
    client.execute_command("TS.ALTER", key, "LABELS")

    found = filled.inspect()

    assert found.foreign == ()
    assert not found.needs_rebuild


# Keys that are not ours


def a_string(client: redis.Redis, key: str) -> None:
    client.set(key, "somebody's")


def a_list(client: redis.Redis, key: str) -> None:
    client.rpush(key, "somebody's", "list")


def a_series(client: redis.Redis, key: str) -> None:
    client.execute_command("TS.CREATE", key, "RETENTION", 1000, "LABELS", "app", "another")
    client.execute_command("TS.ADD", key, 5, 7.5)


def held(client: redis.Redis, key: str) -> object:
    """Return the value of a stranger's key; DUMP will not do, for a series states its own name there."""
    kind = client.type(key)
    if kind == "string":
        return client.get(key)
    return (
        client.lrange(key, 0, -1)
        if kind == "list"
        else (samples(client, key), client.execute_command("TS.INFO", key)["labels"])
    )


STRANGERS = [
    (key, kind)
    for key in (TICK, "btc:price:minute", "btc:price:hour:min", *SIDE_KEYS)
    for kind in (a_string, a_list, a_series)
]


@pytest.mark.parametrize(("key", "make"), STRANGERS)
def test_a_key_that_is_not_ours_is_named_and_left_alone(
    client: redis.Redis, store: Store, key: str, make: Callable[[redis.Redis, str], None]
) -> None:
    make(client, key)
    before = client.dump(key)

    found = store.inspect()
    with pytest.raises(ForeignKey, match=f"^{key} at test .* init-keys --adopt$"):
        store.repair(found)
    with pytest.raises(ForeignKey, match=key):
        store.rebuild()

    assert found.foreign == (key,)
    assert client.keys() == [key]
    assert client.dump(key) == before


@pytest.mark.parametrize(("key", "make"), STRANGERS)
def test_adopting_renames_a_key_that_is_not_ours_and_keeps_what_it_holds(
    client: redis.Redis, store: Store, key: str, make: Callable[[redis.Redis, str], None]
) -> None:
    make(client, key)
    before = held(client, key)

    renamed = store.adopt(store.inspect())
    store.repair(store.inspect())

    assert renamed == ((key, f"{key}:before-btcts"),)
    assert held(client, f"{key}:before-btcts") == before
    assert store.inspect().faults == ()


def test_a_name_that_is_taken_is_not_adopted_over(client: redis.Redis, store: Store) -> None:
    client.set(TICK, "somebody's")
    client.set(f"{TICK}:before-btcts", "of an earlier time")

    with pytest.raises(ForeignKey, match="btc:price:tick:before-btcts exists already"):
        store.adopt(store.inspect())

    assert client.get(TICK) == "somebody's"


def test_when_one_new_name_is_taken_no_key_is_renamed(client: redis.Redis, store: Store) -> None:
    keys = {each: "somebody's" for each in (TICK, "btc:price:minute", "btc:price:hour:max")}
    for last in keys:
        client.flushall()
        client.mset(keys | {f"{last}:before-btcts": "of an earlier time"})

        with pytest.raises(ForeignKey, match=f"^{last} cannot be renamed: {last}:before-btcts exists already"):
            store.adopt(store.inspect())

        assert set(client.keys()) == keys.keys() | {f"{last}:before-btcts"}


@pytest.mark.parametrize("key", SIDE_KEYS)
def test_a_side_key_of_another_type_is_a_fault_besides(client: redis.Redis, filled: Store, key: str) -> None:
    client.delete(key)
    client.set(key, "somebody's")

    assert filled.inspect().faults == (Fault(key, FaultCode.WRONG_TYPE, rebuild=True),)


# Rules into keys that are not ours


def test_rules_into_other_keys_survive_a_rebuild_and_nothing_is_written_there(
    client: redis.Redis, filled: Store
) -> None:
    client.execute_command("TS.CREATE", "foreign", "LABELS", "app", "another")
    client.execute_command("TS.CREATERULE", TICK, "foreign", "AGGREGATION", "count", 120_000, 60_000)
    filled.write([Tick(NOW + 3_000, 5)])
    before = samples(client, "foreign")

    filled.rebuild()

    assert foreign_rules_of(filled) == {"foreign": (120_000, "count", 60_000)}
    assert filled.inspect().faults == ()
    assert samples(client, "foreign") == before


def test_a_rule_made_after_the_inspection_survives_too(client: redis.Redis, filled: Store) -> None:
    inspection = filled.inspect()
    client.execute_command("TS.CREATE", "foreign")
    client.execute_command("TS.CREATERULE", TICK, "foreign", "AGGREGATION", "avg", MINUTE)

    filled.rebuild(inspection)

    assert foreign_rules_of(filled) == {"foreign": (MINUTE, "avg", 0)}


def test_a_renamed_tick_series_stays_as_it_was_and_ours_begins_anew(client: redis.Redis, filled: Store) -> None:
    before = samples(client, TICK)
    shown = compactions(client)
    client.rename(TICK, "elsewhere")

    filled.repair(filled.inspect())

    assert samples(client, "elsewhere") == before
    assert compactions(client) == shown
    assert filled.inspect().faults == ()


# Everybody else's keys


def test_keys_of_other_applications_and_other_databases_are_never_touched(
    server: Server, client: redis.Redis, store: Store
) -> None:
    client.set("btc:price", "a string")
    client.hset("btc:price:tick:meta", mapping={"a": "hash"})
    client.rpush("queue", "a", "list")
    client.execute_command("TS.CREATE", "eth:price:tick", "LABELS", "app", "another", "asset", "eth")
    put(client, "eth:price:tick", {NOW: 5.0})
    others = ["btc:price", "btc:price:tick:meta", "queue", "eth:price:tick"]
    before = [client.dump(key) for key in others]

    with connect(server.socket, db=5) as fifth:
        fifth.set(TICK, "another database")
        all_kinds_of_writes(client, store)
        in_the_fifth = {key: fifth.get(key) for key in fifth.scan_iter()}

    assert [client.dump(key) for key in others] == before
    assert in_the_fifth == {TICK: "another database"}
    assert set(client.keys()) == {*others, TICK, *COMPACTIONS, *SIDE_KEYS}


def test_a_clock_behind_the_one_by_which_buckets_were_removed_is_a_fault_that_a_rebuild_mends(
    full: Store, clock: FakeClock
) -> None:
    full.rebuild()
    clock.step(-HOUR)

    inspection = full.inspect()
    full.rebuild(inspection)

    assert [(fault.key, fault.rebuild) for fault in inspection.faults] == [("btc:price:state", True)]
    assert full.inspect().faults == ()
