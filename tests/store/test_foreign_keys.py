"""Keys that are not ours, under our names and beside them: named, renamed when asked to, and never written to."""

from collections.abc import Callable

import pytest
import redis

from btcts.domain.codes import FaultCode
from btcts.domain.model import Tick
from btcts.errors import ForeignKey
from btcts.store import Fault, Store
from support.series import COMPACTIONS, MINUTE, NOW, TICK, compactions, put, samples
from support.servers import Server, connect
from support.wording import Wording
from support.workload import all_kinds_of_writes

wording = Wording(__file__)

SIDE_KEYS = ["btc:price:state", "btc:price:gaps"]


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
    with pytest.raises(ForeignKey) as refused:
        store.repair(found)
    with pytest.raises(ForeignKey, match=key):
        store.rebuild()

    wording.check("a key that is not ours", str(refused.value), key=key)
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
    keys = {key: "somebody's" for key in (TICK, "btc:price:minute", "btc:price:hour:max")}
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


def foreign_rules_of(store: Store) -> object:
    """The rules of the tick series into keys that are not ours."""
    source = store.inspect().series[TICK]
    assert source
    return source.find_foreign_rules(store.layout)


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
