"""Keys and rules compared with the layout and put right: what `init-keys` and every cycle rely on."""

import pytest
import redis

from btcts.domain.codes import FaultCode
from btcts.store import Fault, Store
from support.clocks import FakeClock
from support.series import COMPACTIONS, HOUR, TICK, compactions, monitored, samples
from support.servers import Server

READS = {"TIME", "TS.GET", "TS.INFO", "TS.RANGE", "HLEN", "HGET", "HGETALL"}
SIDE_KEYS = ["btc:price:state", "btc:price:gaps"]

Change = tuple[str, ...]


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


def test_a_clock_behind_the_one_by_which_buckets_were_removed_is_a_fault_that_a_rebuild_mends(
    full: Store, clock: FakeClock
) -> None:
    full.rebuild()
    clock.step(-HOUR)

    inspection = full.inspect()
    full.rebuild(inspection)

    assert [(fault.key, fault.rebuild) for fault in inspection.faults] == [("btc:price:state", True)]
    assert full.inspect().faults == ()
