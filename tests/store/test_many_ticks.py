"""A tick each second for a day: what a write costs Redis is bounded, and no bucket is another one for it."""

import pytest
import redis

from btcts.domain.candles import combine
from btcts.domain.model import Candle, Tick
from btcts.store import Store
from btcts.store.check import THINNED_ABOVE
from btcts.store.plan import MOST_TICKS
from support.backups import FillOnce
from support.series import FIRST_OF_WINDOW, MINUTE, NOW, TICK, assert_right, monitored, put, remembered, samples, wave
from support.servers import Server

THIS_MINUTE = NOW - NOW % MINUTE
EACH_SECOND = wave(FIRST_OF_WINDOW, NOW, 1_000)
MINUTES = range(FIRST_OF_WINDOW, THIS_MINUTE, MINUTE)

A_DAY_OF_CANDLES = [
    Candle(minute, 60_000, 64_000, 59_000, 60_000)
    for minute in range(THIS_MINUTE - 1_440 * MINUTE, THIS_MINUTE, MINUTE)
]

MOST_LATE_WRITES = 110
"""So often may the rules look through an hour of 3 600 ticks: 25 ms on one machine, 60 ms on another."""


def beside(minute: int) -> Candle:
    """A candle below all live prices of its minute."""
    return Candle(minute, 59_300, 59_400, 59_200, 59_310)


@pytest.fixture
def polled(client: redis.Redis, store: Store, fill_once: FillOnce) -> Store:
    """A store with a tick each second, none of which is settled."""

    def fill() -> None:
        store.rebuild()
        for start in range(0, len(EACH_SECOND), 1_000):
            put(client, TICK, EACH_SECOND[start : start + 1_000])

    fill_once("a tick each second", fill)
    return store


@pytest.mark.parametrize(
    "minutes",
    [MINUTES, MINUTES[-600:], MINUTES[-60:], MINUTES[300:310], MINUTES[-10:]],
    ids=["all", "ten hours", "the last hour", "ten", "the last ten"],
)
def test_many_minutes_are_settled_by_a_rebuild_of_few_ticks(client: redis.Redis, polled: Store, minutes: range) -> None:
    candles = [beside(minute) for minute in minutes]

    written = polled.write([Tick(NOW, 59_999)], candles)

    oracle = remembered(EACH_SECOND, NOW, candles)
    oracle.tick(NOW, NOW, 59_999)
    assert written.rebuilt
    assert len(samples(client, TICK)) <= MOST_TICKS
    assert polled.settled(MINUTES) == set(minutes)
    assert_right(client, oracle, NOW)


@pytest.mark.parametrize("minute", [MINUTES[0], MINUTES[700], MINUTES[-1]])
def test_a_single_minute_is_settled_by_an_append(server: Server, polled: Store, minute: int) -> None:
    with monitored(server) as commands:
        written = polled.write([], [beside(minute)])

    late = sum(len(command[1:]) // 3 for command in commands if command[0] == "TS.MADD")
    assert not written.rebuilt
    assert 60 <= late <= MOST_LATE_WRITES


def test_an_append_that_is_too_much_is_not_begun(server: Server, client: redis.Redis, polled: Store) -> None:
    candles = [beside(minute) for minute in MINUTES[::50]]

    with monitored(server) as commands:
        polled.write([], candles)

    words = [command[0] for command in commands]
    assert "TS.MADD" not in words[: words.index("MULTI")]
    assert_right(client, remembered(EACH_SECOND, NOW, candles), NOW)


def test_a_rebuild_keeps_what_the_buckets_need(client: redis.Redis, polled: Store) -> None:
    client.delete("btc:price:hour")

    polled.repair(polled.inspect())

    assert len(samples(client, TICK)) <= MOST_TICKS
    assert samples(client, TICK).items() >= {tick for tick in EACH_SECOND if tick.time_ms >= THIS_MINUTE - 60 * MINUTE}
    assert_right(client, remembered(EACH_SECOND, NOW), NOW)


def test_prices_of_a_day_that_waited_for_redis_are_written_by_a_rebuild(client: redis.Redis, store: Store) -> None:
    store.write([Tick(FIRST_OF_WINDOW, 5)])

    written = store.write(EACH_SECOND)

    assert (written.rebuilt, written.too_old, written.too_early) == (True, 0, 0)
    assert len(samples(client, TICK)) <= MOST_TICKS
    assert_right(client, remembered(EACH_SECOND, NOW), NOW)


def test_with_a_tick_each_ten_seconds_none_is_given_up(client: redis.Redis, store: Store) -> None:
    ticks = wave(NOW - 25 * 60 * MINUTE, NOW, 10_000)
    candles = [Candle(minute, 59_300, 64_000, 59_200, 59_310) for minute in MINUTES]

    store.write(ticks)
    written = store.write([], candles[:100])
    store.write([], candles)

    assert not written.rebuilt
    assert samples(client, TICK) == dict(remembered(ticks, NOW, candles).ticks())


# A rebuild is due before it would hold Redis for long


@pytest.mark.parametrize(("count", "needs"), [(31_000, False), (31_001, True)])
def test_ticks_are_to_be_thinned_when_there_are_more_than_a_thinned_day_and_three_hours_come_to(
    client: redis.Redis, store: Store, count: int, needs: bool
) -> None:
    store.rebuild()
    put(client, TICK, wave(NOW - 1_000 * (count - 1), NOW + 1, 1_000))

    assert store.inspect().needs_thinning == needs


def test_a_rebuild_of_a_settled_day_leaves_room_for_three_hours(client: redis.Redis, store: Store) -> None:
    store.rebuild()
    put(client, TICK, combine({}, wave(NOW - 32_000_000, NOW, 1_000), A_DAY_OF_CANDLES))

    rebuilt = store.rebuild()

    assert rebuilt.stored > THINNED_ABOVE
    assert rebuilt.ticks + 3 * 60 * 64 < THINNED_ABOVE
    assert not store.inspect().needs_thinning
