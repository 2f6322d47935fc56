"""Compaction rules vanish without a word; the check sees it and a rebuild makes them anew without losing a tick."""

from collections.abc import Callable

import pytest
import redis

from btcts.domain.model import Tick
from btcts.store import Store
from support.series import FIRST_OF_WINDOW, HOUR, MINUTE, NOW, TICK, assert_right, monitored, remembered, samples, wave
from support.servers import Server
from support.workload import all_kinds_of_writes


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


# A rule that is made on a series with data forgets the open bucket


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
