"""`prune` on a real Redis."""

import pytest
import redis
from hypothesis import given
from hypothesis import strategies as st

from btcts.config import BTC_USD
from btcts.domain.layout import RESOLUTIONS, Layout
from btcts.domain.model import Tick
from btcts.errors import ForeignKey
from btcts.services.collect.loop import once
from btcts.services.prune import prune
from btcts.store import Store
from btcts.store.expire import find_excess
from services.conftest import MakeCollector
from support.backups import FillOnce
from support.clocks import FakeClock
from support.series import COMPACTIONS, DAY, HOUR, MINUTE, NOW, TICK, compactions, monitored, put, samples, wave
from support.servers import Server

FULL = {"minute": 60, "5min": 12, "15min": 4, "hour": 24}


@pytest.fixture
def filled(store: Store, fill_once: FillOnce) -> Store:
    """A store with a full day of ticks."""
    fill_once("25 hours", lambda: store.write(wave(NOW - 25 * HOUR, NOW, 30_000)))
    return store


def test_a_feed_that_died_long_ago_loses_its_expired_buckets_and_no_tick(
    server: Server, filled: Store, client: redis.Redis, clock: FakeClock
) -> None:
    ticks = samples(client, TICK)
    clock.advance(5 * DAY)

    with monitored(server) as commands:
        pruned = prune(filled)

    removed = [(each.key, each.count) for each in pruned.removed]
    assert removed == [(each.key, each.resolution.entries) for each in Layout(BTC_USD).compactions]
    assert not any(compactions(client).values())
    assert samples(client, TICK) == ticks
    assert {command[1] for command in commands if command[0] == "TS.DEL"} == set(COMPACTIONS)


def test_no_rebuild_brings_expired_buckets_back(filled: Store, client: redis.Redis, clock: FakeClock) -> None:
    clock.advance(5 * DAY)
    prune(filled)

    filled.rebuild()

    assert not any(compactions(client).values())


@pytest.mark.parametrize("rebuild", [False, True])
def test_a_collect_after_a_long_silence_and_a_prune_starts_clean(
    store: Store, client: redis.Redis, clock: FakeClock, make_collector: MakeCollector, *, rebuild: bool
) -> None:
    once(make_collector())
    clock.advance(5 * DAY)
    prune(store)
    if rebuild:
        store.rebuild()

    cycle = once(make_collector())

    assert cycle.unsettled == 0
    assert cycle.repaired == ()
    assert {name: sum(slot.settled for slot in slots) for name, slots in store.snapshot().slots.items()} == FULL
    assert {each.key: list(samples(client, each.key)) for each in Layout(BTC_USD).compactions} == {
        each.key: list(each.resolution.slots(clock.now_ms()))[:-1] for each in Layout(BTC_USD).compactions
    }


def test_a_feed_that_died_two_hours_ago_keeps_what_is_still_in_its_windows(
    filled: Store, client: redis.Redis, clock: FakeClock
) -> None:
    before = compactions(client)
    clock.advance(2 * HOUR)

    prune(filled)

    kept = {each.key: each.resolution.closed(clock.now_ms()) for each in Layout(BTC_USD).compactions}
    assert compactions(client) == {
        key: {start: value for start, value in before[key].items() if start in kept[key]} for key in COMPACTIONS
    }
    assert len(samples(client, "btc:price:hour")) == 22


def test_with_nothing_to_remove_nothing_is_written(server: Server, filled: Store) -> None:
    with monitored(server) as commands:
        pruned = prune(filled)

    assert pruned.removed == ()
    assert {command[0] for command in commands} <= {"TIME", "TS.GET", "TS.INFO", "HGETALL", "TS.RANGE", "SCAN"}


def test_a_second_run_has_nothing_to_do(filled: Store, clock: FakeClock) -> None:
    clock.advance(DAY)
    first = prune(filled)

    assert first.removed
    assert prune(filled).removed == ()


def test_a_dry_run_says_the_same_and_changes_nothing(filled: Store, client: redis.Redis, clock: FakeClock) -> None:
    clock.advance(DAY)
    before = compactions(client)

    planned = prune(filled, dry_run=True)

    assert compactions(client) == before
    assert planned == prune(filled)


def test_what_was_removed_is_told_by_its_first_and_its_last_bucket(filled: Store, clock: FakeClock) -> None:
    clock.advance(30 * DAY)

    removed = {each.key: each for each in prune(filled).removed}

    hours = removed["btc:price:hour"]
    this_hour = NOW - NOW % HOUR
    assert (hours.count, hours.first_ms, hours.last_ms) == (24, this_hour - 24 * HOUR, this_hour - HOUR)
    assert not hours.future


def test_buckets_of_the_future_go_and_those_that_they_hid_come_back(filled: Store, client: redis.Redis) -> None:
    before = samples(client, "btc:price:minute")
    future = NOW - NOW % MINUTE + 3 * HOUR
    put(client, "btc:price:minute", {future: 5.0, future + MINUTE: 6.0})

    pruned = prune(filled)

    (excess,) = pruned.removed
    assert (excess.key, excess.count, excess.first_ms, excess.future) == ("btc:price:minute", 2, future, True)
    assert samples(client, "btc:price:minute") == before


def test_ticks_of_the_future_are_left_out_by_a_rebuild_that_keeps_all_others(
    filled: Store, client: redis.Redis
) -> None:
    before = {TICK: samples(client, TICK), **compactions(client, latest=True)}
    put(client, TICK, {NOW + 30 * DAY: 5.0, NOW + 31 * DAY: 6.0})

    planned = prune(filled, dry_run=True)
    hidden = samples(client, TICK)
    pruned = prune(filled)

    assert planned.poisoned
    assert pruned.poisoned
    assert min(hidden) > NOW
    assert {TICK: samples(client, TICK), **compactions(client, latest=True)} == before
    assert not filled.inspect().needs_rebuild


def test_keys_that_are_not_of_the_layout_are_named_and_left_alone(filled: Store, client: redis.Redis) -> None:
    filled.record_gaps({})
    client.set("btc:price:1h", "of another program")
    client.hset("btc:price:tick:meta", "a", "hash")
    client.set("btc:price:tick:before-btcts", "adopted")
    client.set("btc:pricey", "of somebody else")

    pruned = prune(filled)

    assert pruned.unknown == ("btc:price:1h", "btc:price:tick:meta")
    assert client.get("btc:price:1h") == "of another program"


def test_nothing_is_deleted_from_a_series_that_is_not_ours(client: redis.Redis, store: Store) -> None:
    client.execute_command("TS.CREATE", "btc:price:hour", "LABELS", "app", "another")
    put(client, "btc:price:hour", {5: 7.5})

    with pytest.raises(ForeignKey, match="btc:price:hour"):
        prune(store)

    assert samples(client, "btc:price:hour") == {5: 7.5}


def test_an_empty_store_stays_empty(store: Store, client: redis.Redis) -> None:
    pruned = prune(store)

    assert (pruned.removed, pruned.unknown, client.keys()) == ((), (), [])


@given(
    now_ms=st.integers(NOW, NOW + DAY),
    name=st.sampled_from(sorted(RESOLUTIONS)),
    offsets=st.sets(st.integers(-40, 40)),
)
def test_a_bucket_is_in_excess_exactly_when_it_is_no_slot_of_the_clock(
    now_ms: int, name: str, offsets: set[int]
) -> None:
    compaction = next(each for each in Layout(BTC_USD).compactions if each.resolution.name == name)
    resolution = compaction.resolution
    starts = [resolution.start_of(now_ms) + offset * resolution.bucket_ms for offset in offsets]

    excess = find_excess(compaction, starts, now_ms)

    covered = {start for start in starts for each in excess if each.first_ms <= start <= each.last_ms}
    assert covered == set(starts) - set(resolution.slots(now_ms))
    assert sum(each.count for each in excess) == len(covered)
    assert all((each.first_ms > now_ms) == each.future for each in excess)


def test_a_live_price_alone_after_a_long_silence_is_shown_alone(
    filled: Store, client: redis.Redis, clock: FakeClock
) -> None:
    clock.advance(5 * DAY)
    prune(filled)

    filled.write([Tick(clock.now_ms(), 70_000.0)])

    present = [slot for slots in filled.snapshot().slots.values() for slot in slots if not slot.missing]
    assert {slot.close for slot in present} == {70_000.0}
    assert all(not slot.closed for slot in present)
