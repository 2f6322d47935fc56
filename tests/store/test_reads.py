"""Reads: slots by the clock, present or missing, now or at a time of the past."""

import pytest
import redis

from btcts.domain.layout import RESOLUTIONS
from btcts.domain.model import Candle, Gap, ProviderState, Slot, Span, Tick
from btcts.store import State, Store
from support.clocks import FakeClock
from support.series import FIRST_OF_WINDOW, HOUR, MINUTE, NOW, remembered, wave

THIS_MINUTE = NOW - NOW % MINUTE
SLOTS = {"minute": 61, "5min": 13, "15min": 5, "hour": 25}


def values(slot: Slot) -> tuple[float | None, float | None, float | None]:
    """Close, minimum and maximum of a slot."""
    return slot.close, slot.min, slot.max


# The slots


@pytest.mark.parametrize(("name", "count"), SLOTS.items())
def test_the_closed_slots_and_the_open_one_are_all_there(full: Store, name: str, count: int) -> None:
    slots = full.slots(name)

    assert [slot.start_ms for slot in slots] == list(RESOLUTIONS[name].slots(NOW))
    assert [slot.closed for slot in slots] == [True] * (count - 1) + [False]
    assert not any(slot.missing for slot in slots)


@pytest.mark.parametrize("name", SLOTS)
def test_every_slot_has_the_values_of_its_ticks(full: Store, name: str) -> None:
    expected = remembered(wave(FIRST_OF_WINDOW, NOW, 30_000), NOW).buckets(name)

    for slot in full.slots(name):
        assert values(slot) == expected[slot.start_ms][:3]


def test_an_empty_store_has_every_slot_and_nothing_in_it(store: Store) -> None:
    snapshot = store.snapshot()

    assert snapshot.newest is None
    assert snapshot.state == State()
    assert {name: len(slots) for name, slots in snapshot.slots.items()} == {
        "minute": 61,
        "5min": 13,
        "15min": 5,
        "hour": 25,
    }
    for slots in snapshot.slots.values():
        assert all(slot.missing and not slot.settled and slot.minutes == 0 for slot in slots)
        assert {(slot.min, slot.max, slot.reason) for slot in slots} == {(None, None, None)}


def test_other_reads_of_an_empty_store_find_nothing(store: Store) -> None:
    assert store.latest() is None
    assert store.ticks(Span(0, NOW)) == []
    assert store.settled([THIS_MINUTE]) == set()
    assert store.gaps() == {}
    assert store.buckets("hour") == {"hour": {"close": {}, "min": {}, "max": {}}}


def test_a_gap_is_a_slot_that_is_missing(store: Store) -> None:
    store.write([Tick(THIS_MINUTE - 3 * MINUTE, 1), Tick(THIS_MINUTE - MINUTE, 2)])

    missing = [slot.start_ms for slot in store.slots("minute") if not slot.missing]

    assert missing == [THIS_MINUTE - 3 * MINUTE, THIS_MINUTE - MINUTE]


def test_a_slot_counts_its_minutes_and_is_settled_when_all_of_them_are(store: Store) -> None:
    bucket = NOW - NOW % (5 * MINUTE) - 5 * MINUTE
    minutes = [bucket, bucket + MINUTE, bucket + 3 * MINUTE]
    store.write([Tick(bucket + 3 * MINUTE + 1, 11)], [Candle(minute, 10, 14, 8, 12) for minute in minutes[:2]])

    before = store.slots("5min")[-2]
    store.write([], [Candle(minutes[2], 10, 14, 8, 12)])
    after = store.slots("5min")[-2]

    assert (before.minutes, before.settled) == (3, False)
    assert (after.minutes, after.settled) == (3, True)


def test_the_extremes_of_a_minute_come_from_its_ticks(store: Store) -> None:
    store.write(
        [Tick(THIS_MINUTE + 5, 5), Tick(THIS_MINUTE + 6, 9), Tick(THIS_MINUTE + 7, 3), Tick(THIS_MINUTE + 8, 7)]
    )

    slot = store.slots("minute")[-1]

    assert slot == Slot(THIS_MINUTE, close=7, min=3, max=9, closed=False, settled=False, minutes=1, open=5)


def test_the_reason_of_a_slot_is_the_commonest_of_its_unsettled_minutes(store: Store) -> None:
    bucket = NOW - NOW % (5 * MINUTE) - 5 * MINUTE
    reasons = ["no_trades", "providers_down", "providers_down", "no_trades", "no_trades"]
    gaps = {bucket + number * MINUTE: Gap(reason, 1, NOW) for number, reason in enumerate(reasons)}
    store.write([Tick(NOW, 1)], [Candle(bucket, 10, 14, 8, 12), Candle(bucket + 3 * MINUTE, 10, 14, 8, 12)])
    store.record_gaps(gaps)

    slots = {slot.start_ms: slot for slot in store.slots("5min")}

    assert slots[bucket].reason == "providers_down"
    assert {slot.reason for start, slot in slots.items() if start != bucket} == {None}


def test_an_unreadable_gap_counts_as_none(client: redis.Redis, store: Store) -> None:
    client.hset("btc:price:gaps", mapping={"nonsense": "[]", str(THIS_MINUTE): "{", str(THIS_MINUTE - MINUTE): "[1]"})

    assert store.gaps() == {}
    assert store.slots("minute")[-1].reason is None


def test_a_bucket_that_no_later_tick_has_closed_is_closed_by_the_clock(store: Store, clock: FakeClock) -> None:
    store.write([Tick(THIS_MINUTE, 5)])
    clock.advance(3 * MINUTE)

    *_, dead, _, _, running = store.slots("minute")

    assert (dead.start_ms, dead.close, dead.closed) == (THIS_MINUTE, 5, True)
    assert running.missing


def test_a_dead_feed_leaves_the_window_by_the_clock(full: Store, clock: FakeClock) -> None:
    clock.advance(2 * HOUR)

    snapshot = full.snapshot()

    assert all(slot.missing for slot in snapshot.slots["minute"])
    assert [slot.missing for slot in snapshot.slots["hour"]] == [False] * 23 + [True] * 2


def test_a_snapshot_has_the_newest_tick_and_the_state_of_the_collectors(full: Store) -> None:
    state = State(cadence_s=10.0, last_cycle_ms=NOW, simulated=False, providers={"kraken": ProviderState(error="down")})
    full.remember(state)

    snapshot = full.snapshot("hour")

    assert snapshot.now_ms == NOW
    assert snapshot.newest == wave(FIRST_OF_WINDOW, NOW, 30_000)[-1]
    assert snapshot.state == state
    assert list(snapshot.slots) == ["hour"]


def test_the_fast_read_has_the_same_values_as_the_slots(full: Store) -> None:
    found = full.buckets()

    for name, slots in full.snapshot().slots.items():
        for field, values in found[name].items():
            assert list(values.items()) == [(slot.start_ms, getattr(slot, field)) for slot in slots]


def test_ticks_of_a_span_exclude_its_end(full: Store) -> None:
    ticks = wave(FIRST_OF_WINDOW, NOW, 30_000)

    found = full.ticks(Span(ticks[5].time_ms, ticks[9].time_ms))

    assert found == ticks[5:9]


# At a time of the past


def test_at_a_time_of_the_past_every_slot_is_what_it_was_then(store: Store, clock: FakeClock) -> None:
    ticks = wave(FIRST_OF_WINDOW, NOW, 30_000)
    at_ms = NOW - 90 * MINUTE - 12_345
    until_then = [tick for tick in ticks if tick.time_ms <= at_ms]
    oracle = remembered(until_then, NOW)
    store.write(ticks)

    snapshot = store.snapshot(at_ms=at_ms)

    assert snapshot.now_ms == at_ms
    for name, slots in snapshot.slots.items():
        expected = oracle.buckets(name)
        assert [slot.start_ms for slot in slots] == list(RESOLUTIONS[name].slots(at_ms))
        for slot in slots:
            bucket = expected.get(slot.start_ms)
            assert (slot.close, slot.min, slot.max) == (
                (bucket.close, bucket.min, bucket.max) if bucket else (None,) * 3
            )
            assert slot.closed == (slot.start_ms != slots[-1].start_ms)


def test_a_minute_that_was_settled_later_was_open_then(store: Store) -> None:
    store.write([Tick(NOW, 11)], [Candle(THIS_MINUTE - 5 * MINUTE, 10, 14, 8, 12)])

    then = store.slots("minute", at_ms=THIS_MINUTE - 5 * MINUTE + 30_000)[-1]

    assert values(then) == (8, 8, 10)
    assert (then.settled, then.closed) == (False, False)


def test_at_the_end_of_a_minute_it_is_settled(store: Store) -> None:
    store.write([Tick(NOW, 11)], [Candle(THIS_MINUTE - 5 * MINUTE, 10, 14, 8, 12)])

    then = store.slots("minute", at_ms=THIS_MINUTE - 4 * MINUTE)[-2]

    assert (then.close, then.settled, then.closed) == (12, True, True)


def test_carried_buckets_are_shown_at_a_time_of_the_past(client: redis.Redis, full: Store) -> None:
    before = full.slots("hour")[:-1]
    client.delete("btc:price:tick")
    full.write([Tick(NOW, 7)])

    then = full.slots("hour", at_ms=NOW - MINUTE)[:-1]

    assert [slot.close for slot in then] == [slot.close for slot in before]


@pytest.mark.parametrize("at_ms", [0, NOW - 1000 * HOUR, NOW + 1000 * HOUR])
def test_far_away_in_time_everything_is_missing(full: Store, at_ms: int) -> None:
    assert all(slot.missing for slot in full.slots("hour", at_ms=at_ms))
