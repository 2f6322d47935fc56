"""Damages of a store: what `verify` finds of each, and that its repair puts it right."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from math import inf, nextafter

import pytest
import redis

from btcts.domain.codes import FaultCode, FindingCode
from btcts.services.collect.collector import Collector
from btcts.services.verify.run import verify
from btcts.store import Store
from services.verify.conftest import closed_buckets, settled_minute
from support.clocks import FakeClock
from support.oracle import KEPT
from support.series import COMPACTIONS, DAY, HOUR, TICK, compactions, put

ALL = (TICK, *COMPACTIONS)
HIGHS = "btc:price:hour:max"

Seen = tuple[str, FaultCode | FindingCode, int | None, float | None, float | None]
"""A finding: the key, the code, the start, and the stored and the expected value."""


@dataclass(frozen=True)
class Site:
    """The store to be damaged, with what its compactions hold."""

    client: redis.Redis
    store: Store
    clock: FakeClock
    before: dict[str, dict[int, float]]


# Buckets


def change_closed(site: Site, key: str) -> list[Seen]:
    slots = closed_buckets(key, site.clock)
    put(site.client, key, dict.fromkeys(slots, 1.0))
    return [(key, FindingCode.WRONG_BUCKET, slot, 1.0, site.before[key][slot]) for slot in slots]


def delete_closed(site: Site, key: str) -> list[Seen]:
    slots = closed_buckets(key, site.clock)
    site.client.execute_command("TS.DEL", key, slots[0], slots[-1])
    return [(key, FindingCode.MISSING_BUCKET, slot, None, site.before[key][slot]) for slot in slots]


def nudge_the_oldest_and_lose_the_newest(site: Site, key: str) -> list[Seen]:
    oldest, *_, newest = closed_buckets(key, site.clock)
    right = site.before[key][oldest]
    put(site.client, key, {oldest: nextafter(right, inf)})
    site.client.execute_command("TS.DEL", key, newest, newest)
    return [
        (key, FindingCode.WRONG_BUCKET, oldest, nextafter(right, inf), right),
        (key, FindingCode.MISSING_BUCKET, newest, None, site.before[key][newest]),
    ]


def overwrite_open(site: Site, key: str) -> list[Seen]:
    slot = max(site.before[key])
    put(site.client, key, {slot: 777.0})
    return [(key, FindingCode.WRONG_BUCKET, slot, 777.0, site.before[key][slot])]


def add_a_future_bucket(site: Site, key: str) -> list[Seen]:
    stamp = site.clock.now_ms() + DAY
    put(site.client, key, {stamp: 1.0})
    return [(key, FindingCode.IN_FUTURE, stamp, 1.0, None)]


# Series and rules


def drop_the_rule(site: Site, key: str) -> list[Seen]:
    site.client.execute_command("TS.DELETERULE", TICK, key)
    return [(key, FaultCode.NO_RULE, None, None, None)]


def delete_the_series(site: Site, key: str) -> list[Seen]:
    site.client.delete(key)
    return [(key, FaultCode.MISSING, None, None, None)]


def change_each_retention(site: Site, _: str, *, more_ms: int) -> list[Seen]:
    for definition in site.store.layout.definitions:
        site.client.execute_command("TS.ALTER", definition.key, "RETENTION", definition.retention_ms + more_ms)
    return [(key, FaultCode.WRONG_RETENTION, None, None, None) for key in ALL]


def change_a_label_of_each(site: Site, _: str, *, label: str, value: str | None) -> list[Seen]:
    for definition in site.store.layout.definitions:
        labels = {name: text for name, text in (definition.labels | {label: value}).items() if text is not None}
        site.client.execute_command("TS.ALTER", definition.key, "LABELS", *chain.from_iterable(labels.items()))
    return [(key, FaultCode.WRONG_LABELS, None, None, None) for key in ALL]


# Ticks


def add_a_future_tick(site: Site, _: str, *, ahead_ms: int) -> list[Seen]:
    stamp = site.clock.now_ms() + ahead_ms
    put(site.client, TICK, {stamp: 1.0})
    return [(TICK, FindingCode.IN_FUTURE, stamp, 1.0, None)]


def add_no_price(site: Site, _: str) -> list[Seen]:
    """A negative price lowers the buckets that it lies in."""
    stamp = settled_minute(site.clock) + 30_001
    put(site.client, TICK, {stamp: -5.0})
    spoilt = ((f"btc:price:{name}:min", stamp - stamp % KEPT[name][0]) for name in ("5min", "15min", "hour"))
    return [
        (TICK, FindingCode.NO_PRICE, stamp, -5.0, None),
        *((key, FindingCode.WRONG_BUCKET, slot, -5.0, site.before[key][slot]) for key, slot in spoilt),
    ]


@dataclass(frozen=True)
class Damage:
    """One way to damage each of these keys; `alone` when nothing else is found besides."""

    inflict: Callable[[Site, str], list[Seen]]
    keys: Sequence[str]
    alone: bool = True


DAMAGES = {
    "each closed value changed": Damage(change_closed, COMPACTIONS),
    "each closed bucket deleted": Damage(delete_closed, COMPACTIONS),
    "the oldest changed by the least, the newest lost": Damage(nudge_the_oldest_and_lose_the_newest, COMPACTIONS),
    "the open bucket overwritten": Damage(overwrite_open, COMPACTIONS, alone=False),
    "a bucket from the future": Damage(add_a_future_bucket, [HIGHS], alone=False),
    "no rule": Damage(drop_the_rule, COMPACTIONS, alone=False),
    "no series": Damage(delete_the_series, COMPACTIONS),
    **{
        f"each retention {more_ms:+d} ms": Damage(partial(change_each_retention, more_ms=more_ms), ["*"], alone=False)
        for more_ms in (-1, 1)
    },
    **{
        f"each label {label}={value}": Damage(partial(change_a_label_of_each, label=label, value=value), ["*"])
        for label in ("asset", "quote", "resolution", "field")
        for value in ("other", None)
    },
    **{
        f"a tick {ahead_ms} ms ahead": Damage(partial(add_a_future_tick, ahead_ms=ahead_ms), [TICK], alone=False)
        for ahead_ms in (10_001, HOUR, DAY, 30 * DAY, 1_000_000 * DAY)
    },
    "no price": Damage(add_no_price, [TICK]),
}


@pytest.mark.parametrize(
    ("name", "key"), [(name, key) for name, damage in DAMAGES.items() for key in damage.keys], ids=str
)
def test_a_damage_is_found_and_a_repair_leaves_the_store_as_it_was(
    client: redis.Redis, store: Store, clock: FakeClock, collector: Collector, name: str, key: str
) -> None:
    damage, before = DAMAGES[name], compactions(client, latest=True)
    expected = damage.inflict(Site(client, store, clock, before), key)

    findings = verify(store).findings
    repaired = verify(store, repair=True)

    found = [(each.key, each.code, each.start_ms, each.stored, each.expected) for each in findings]
    assert [seen for seen in expected if seen not in found] == []
    assert not damage.alone or sorted(found, key=str) == sorted(expected, key=str)
    assert (repaired.repaired, repaired.left) == (True, ())
    assert compactions(client, latest=True) == before
