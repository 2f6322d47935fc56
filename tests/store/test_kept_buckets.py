"""Exactly the buckets of the contract are kept, and late ticks reach those they belong to and no others."""

import redis

from btcts.domain.layout import RESOLUTIONS
from btcts.domain.model import Tick
from btcts.store import Store
from support.clocks import FakeClock
from support.oracle import KEPT
from support.series import (
    COMPACTIONS,
    FIRST_OF_WINDOW,
    HOUR,
    MINUTE,
    NOW,
    TICK,
    assert_right,
    compactions,
    remembered,
    samples,
    wave,
)


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
    assert {resolution: len(samples(client, f"btc:price:{resolution}")) for resolution in KEPT} == {
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


def test_the_first_price_after_a_long_silence_publishes_no_outdated_bucket(store: Store, clock: FakeClock) -> None:
    store.write([Tick(clock.now_ms() - MINUTE, 60_000.0), Tick(clock.now_ms(), 60_001.0)])
    clock.advance(30 * HOUR)

    store.write([Tick(clock.now_ms(), 70_000.0)])

    found = store.buckets()
    open_slots = {name: [resolution.start_of(clock.now_ms())] for name, resolution in RESOLUTIONS.items()}
    assert {name: list(fields["close"]) for name, fields in found.items()} == open_slots
    assert store.excess() == ()
