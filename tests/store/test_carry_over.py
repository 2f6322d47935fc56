"""Buckets whose ticks were lost: they stay until each of their minutes is settled, and are never made worse."""

import json

import pytest
import redis

from btcts.domain.model import Candle, Gap, Tick
from btcts.store import Store
from support.clocks import FakeClock
from support.oracle import KEPT
from support.series import COMPACTIONS, FIRST_OF_WINDOW, HOUR, MINUTE, NOW, TICK, compactions, put, samples, wave

STATE = "btc:price:state"
THIS_MINUTE = NOW - NOW % MINUTE
LAST_HOUR = NOW - NOW % HOUR - HOUR


def candle(minute_ms: int) -> Candle:
    """A candle unlike any tick of the wave."""
    return Candle(minute_ms, open=11, high=14, low=8, close=12)


@pytest.fixture
def bereft(client: redis.Redis, full: Store) -> Store:
    """A store with a whole window of closed buckets that has lost its ticks."""
    client.delete(TICK)
    return full


def closed_by_clock(client: redis.Redis) -> dict[str, dict[int, float]]:
    """The closed slots of the compactions, whatever Redis thinks is open."""
    now_open = {key: NOW // length * length for name, (length, _) in KEPT.items() for key in keys_of(name)}
    return {
        key: {start: value for start, value in values.items() if start < now_open[key]}
        for key, values in compactions(client).items()
    }


def keys_of(resolution: str) -> list[str]:
    return [key for key in COMPACTIONS if key.split(":")[2] == resolution]


def test_every_closed_bucket_outlives_its_ticks(client: redis.Redis, bereft: Store) -> None:
    before = closed_by_clock(client)

    bereft.repair(bereft.inspect())

    assert closed_by_clock(client) == before
    assert {len(before[f"btc:price:{name}"]) for name in KEPT} == {60, 12, 4, 24}
    assert bereft.inspect().faults == ()


def test_a_carried_bucket_that_a_sample_from_the_future_hides_is_not_lost(client: redis.Redis, bereft: Store) -> None:
    before = closed_by_clock(client)
    for key in COMPACTIONS:
        put(client, key, {NOW + 30 * HOUR: 1.0})
    hidden = closed_by_clock(client)

    bereft.rebuild()

    assert {len(values) for values in hidden.values()} == {0}
    assert closed_by_clock(client) == before
    assert bereft.inspect().faults == ()


def test_live_ticks_go_on_behind_the_carried_buckets(client: redis.Redis, bereft: Store, clock: FakeClock) -> None:
    before = closed_by_clock(client)

    bereft.write([Tick(NOW, 7)])
    clock.advance(MINUTE)
    written = bereft.write([Tick(NOW + MINUTE, 9)])

    assert not written.rebuilt
    _, *kept = before["btc:price:minute"].items()
    shown = samples(client, "btc:price:minute", latest=True)
    assert shown == dict(kept) | {THIS_MINUTE: 7, THIS_MINUTE + MINUTE: 9}


def test_reads_show_the_carried_buckets_without_coverage(bereft: Store) -> None:
    bereft.write([Tick(NOW, 7)])

    *closed, running = bereft.slots("hour")

    assert [slot.missing for slot in closed] == [False] * 24
    assert {(slot.minutes, slot.settled) for slot in closed} == {(0, False)}
    assert (running.close, running.minutes) == (7, 1)


def test_a_tick_before_the_end_of_what_is_carried_is_merged_and_replaces_no_bucket(
    client: redis.Redis, bereft: Store
) -> None:
    before = closed_by_clock(client)
    bereft.write([Tick(NOW, 7)])

    written = bereft.write([Tick(LAST_HOUR + 1, 1.0)])

    assert written.rebuilt
    assert closed_by_clock(client) == before


def test_a_settled_minute_replaces_its_minute_and_no_longer_bucket(client: redis.Redis, bereft: Store) -> None:
    before = closed_by_clock(client)
    minute = THIS_MINUTE - 10 * MINUTE
    bereft.write([Tick(NOW, 7)])

    bereft.write([], [candle(minute)])

    expected = before | {"btc:price:minute": before["btc:price:minute"] | {minute: 12}}
    assert closed_by_clock(client) == expected


def test_a_bucket_gives_way_when_its_last_minute_is_settled(client: redis.Redis, bereft: Store) -> None:
    bucket = NOW - NOW % (5 * MINUTE) - 10 * MINUTE
    minutes = range(bucket, bucket + 5 * MINUTE, MINUTE)
    before = closed_by_clock(client)
    bereft.write([Tick(NOW, 7)])

    bereft.write([], [candle(minute) for minute in minutes[:-1]])
    at_four = samples(client, "btc:price:5min:max")[bucket]
    bereft.write([], [candle(minutes[-1])])

    assert at_four == before["btc:price:5min:max"][bucket]
    assert samples(client, "btc:price:5min:max")[bucket] == 14
    assert samples(client, "btc:price:5min:min")[bucket] == 8
    assert samples(client, "btc:price:5min")[bucket] == 12
    assert samples(client, "btc:price:15min:max") == before["btc:price:15min:max"]


def test_a_bucket_that_was_never_there_follows_its_ticks(client: redis.Redis, store: Store) -> None:
    hole = LAST_HOUR - 5 * HOUR
    store.write([tick for tick in wave(FIRST_OF_WINDOW, NOW, 30_000) if not 0 <= tick.time_ms - hole < HOUR])
    client.delete(TICK)
    store.write([Tick(NOW, 7)])

    store.write([Tick(hole + 1, 50), Tick(hole + 2, 60)])
    store.write([Tick(hole + MINUTE, 40)])

    assert samples(client, "btc:price:hour:min")[hole] == 40
    assert samples(client, "btc:price:hour:max")[hole] == 60
    assert samples(client, "btc:price:hour")[hole] == 40


def test_candles_alone_never_hide_a_carried_bucket_behind_an_open_one(client: redis.Redis, bereft: Store) -> None:
    before = closed_by_clock(client)

    bereft.write([], [candle(LAST_HOUR + MINUTE)])

    assert closed_by_clock(client) == before
    shown = bereft.buckets("hour")["hour"]
    assert shown["close"] == before["btc:price:hour"]
    assert shown["min"] == before["btc:price:hour:min"]
    assert [slot.close for slot in bereft.slots("hour")[:-1]] == list(before["btc:price:hour"].values())


def test_ticks_after_candles_alone_keep_the_carried_buckets_too(client: redis.Redis, bereft: Store) -> None:
    before = closed_by_clock(client)
    bereft.write([], [candle(LAST_HOUR + MINUTE)])

    written = bereft.write([Tick(NOW, 7)])

    assert written.rebuilt
    assert closed_by_clock(client) == before
    assert client.echo("in step") == "in step"


def test_when_the_whole_window_is_settled_nothing_is_carried_any_more(client: redis.Redis, bereft: Store) -> None:
    minutes = range(FIRST_OF_WINDOW, THIS_MINUTE, MINUTE)

    bereft.write([Tick(NOW, 7)], [candle(minute) for minute in minutes])

    assert set(samples(client, "btc:price:hour").values()) == {12}
    assert set(samples(client, "btc:price:hour:min").values()) == {8}
    assert client.hkeys(STATE) == ["swept_ms"]


def test_only_what_is_carried_is_remembered(client: redis.Redis, bereft: Store) -> None:
    bereft.write([Tick(NOW, 7)])

    assert client.hget(STATE, "carried_until_ms") == str(THIS_MINUTE)
    carried = json.loads(str(client.hget(STATE, "carried")))
    assert carried == {key: list(values) for key, values in closed_by_clock(client).items()}


def test_the_memory_is_gone_when_the_window_has_passed_it(client: redis.Redis, bereft: Store, clock: FakeClock) -> None:
    bereft.write([Tick(NOW, 7)])
    clock.advance(25 * HOUR)

    bereft.write([Tick(NOW + 25 * HOUR, 8)])
    bereft.rebuild()

    assert client.hkeys(STATE) == ["swept_ms"]
    assert samples(client, TICK)[NOW + 25 * HOUR] == 8


def test_a_tick_ahead_of_the_clock_keeps_no_bucket_from_being_carried(
    client: redis.Redis, bereft: Store, clock: FakeClock
) -> None:
    clock.advance(3_000)
    next_minute = THIS_MINUTE + MINUTE

    written = bereft.write([Tick(NOW, 7), Tick(next_minute + 5_000, 8)])

    assert (written.rebuilt, written.too_early) == (True, 0)
    assert len(samples(client, "btc:price:minute", latest=True)) == 61
    assert bereft.inspect().faults == ()


def test_losing_the_ticks_twice_loses_no_bucket(client: redis.Redis, bereft: Store) -> None:
    bereft.write([Tick(NOW, 7)])
    before = closed_by_clock(client)
    client.delete(TICK)

    bereft.write([Tick(NOW + 1, 8)])

    assert closed_by_clock(client) == before


def test_what_is_carried_survives_the_loss_of_a_rule(client: redis.Redis, bereft: Store) -> None:
    bereft.write([Tick(NOW, 7)])
    before = closed_by_clock(client)
    client.execute_command("TS.DELETERULE", TICK, "btc:price:hour")

    bereft.repair(bereft.inspect())

    assert closed_by_clock(client) == before


def test_what_is_no_price_or_no_closed_bucket_of_the_window_is_not_carried(client: redis.Redis, store: Store) -> None:
    store.rebuild()
    bucket = LAST_HOUR
    put(client, "btc:price:hour", {FIRST_OF_WINDOW - HOUR: 5.0, bucket - HOUR: -1.0, bucket: 5.0, bucket + 7: 5.0})
    client.delete(TICK)

    store.rebuild()

    assert samples(client, "btc:price:hour") == {bucket: 5}


def test_an_unreadable_memory_counts_as_none(client: redis.Redis, store: Store) -> None:
    store.write([Tick(NOW - 1, 7)])
    client.hset(STATE, mapping={"carried": "nonsense", "carried_until_ms": str(NOW)})

    store.write([Tick(NOW, 8)])

    assert samples(client, TICK) == {NOW - 1: 7, NOW: 8}
    assert client.hkeys(STATE) == ["swept_ms"]


def test_after_a_day_of_collecting_a_bereft_store_is_as_good_as_new(
    client: redis.Redis, bereft: Store, clock: FakeClock
) -> None:
    bereft.write([Tick(NOW, 7)])
    ticks = wave(NOW + 60_000, NOW + 25 * HOUR, 60_000)

    for number in range(0, len(ticks), 30):
        clock.advance(30 * MINUTE)
        bereft.write(ticks[number : number + 30])

    end = ticks[-1].time_ms
    assert {name: len(samples(client, f"btc:price:{name}")) for name in KEPT} == {
        "minute": 60,
        "5min": 12,
        "15min": 4,
        "hour": 24,
    }
    assert min(samples(client, "btc:price:hour")) == end - end % HOUR - 24 * HOUR


def test_a_carried_bucket_gives_way_when_the_minutes_that_it_lacks_had_no_trades(
    client: redis.Redis, bereft: Store
) -> None:
    *traded, quiet = range(LAST_HOUR, LAST_HOUR + HOUR, MINUTE)
    gap = {quiet: Gap("no_trades", 1, NOW)}
    bereft.write([Tick(NOW, 7)], [candle(minute) for minute in traded])
    carried = samples(client, "btc:price:hour:max")[LAST_HOUR]

    bereft.record_gaps(gap)
    recorded = samples(client, "btc:price:hour:max")[LAST_HOUR]
    released = [bereft.release_carried(found) for found in ({}, gap)]

    assert (carried != 14, recorded) == (True, carried)
    assert [bool(rebuilt) for rebuilt in released] == [False, True]
    assert samples(client, "btc:price:hour:max")[LAST_HOUR] == 14
