"""Candles in Redis: a settled minute has the market's range, whoever polled it and whenever."""

import pytest
import redis

from btcts.domain.model import Candle, Tick
from btcts.store import Store
from support.series import MINUTE, NOW, TICK, compactions, samples, wave

LAST = NOW - NOW % MINUTE - MINUTE
"""The newest closed minute, 12:33."""
EARLIER = LAST - 3 * MINUTE
"""The first minute of the 5min bucket of LAST."""
CANDLE = Candle(LAST, open=10, high=14, low=8, close=12)


@pytest.fixture
def polled(store: Store) -> Store:
    """Three polls in the minute, below, inside and above the range of its candle, and one after it."""
    store.write([Tick(LAST + 5_000, 7), Tick(LAST + 15_000, 9), Tick(LAST + 25_000, 99), Tick(NOW, 11)])
    return store


def test_settling_moves_the_polls_into_the_range_of_the_candle(client: redis.Redis, polled: Store) -> None:
    polled.write([], [CANDLE])

    assert samples(client, TICK) == {
        LAST: 10,
        LAST + 5_000: 8,
        LAST + 15_000: 9,
        LAST + 20_000: 8,
        LAST + 25_000: 14,
        LAST + 40_000: 14,
        LAST + 59_999: 12,
        NOW: 11,
    }


def test_settling_a_polled_minute_is_an_append(polled: Store) -> None:
    assert not polled.write([], [CANDLE]).rebuilt


def test_the_extremes_of_a_bucket_are_the_markets_not_those_of_the_polls(client: redis.Redis, polled: Store) -> None:
    bucket = LAST - LAST % (5 * MINUTE)

    polled.write([], [CANDLE])

    shown = compactions(client, latest=True)
    assert shown["btc:price:5min:min"][bucket] == 8
    assert shown["btc:price:5min:max"][bucket] == 14
    assert shown["btc:price:minute"][LAST] == 12


def test_a_late_poll_of_a_settled_minute_is_moved_too(client: redis.Redis, polled: Store) -> None:
    polled.write([], [CANDLE])

    polled.write([Tick(LAST + 33_000, 1_000)])

    assert samples(client, TICK)[LAST + 33_000] == 14


@pytest.mark.parametrize("offset", [0, 20_000, 40_000])
def test_a_late_poll_on_a_stamp_of_the_candle_changes_nothing(client: redis.Redis, polled: Store, offset: int) -> None:
    polled.write([], [CANDLE])
    before = samples(client, TICK)

    polled.write([Tick(LAST + offset, 11)])

    assert samples(client, TICK) == before


def test_a_poll_in_the_same_write_as_the_candle_is_moved_too(client: redis.Redis, polled: Store) -> None:
    polled.write([Tick(LAST + 33_000, 1_000)], [CANDLE])

    assert samples(client, TICK)[LAST + 33_000] == 14


def test_a_second_candle_takes_the_place_of_the_first(client: redis.Redis, polled: Store) -> None:
    polled.write([], [CANDLE])

    polled.write([], [Candle(LAST, open=20, high=30, low=18, close=25)])

    assert samples(client, TICK) == {
        LAST: 20,
        LAST + 5_000: 18,
        LAST + 15_000: 18,
        LAST + 20_000: 18,
        LAST + 25_000: 18,
        LAST + 40_000: 30,
        LAST + 59_999: 25,
        NOW: 11,
    }


def test_of_two_candles_in_one_write_the_later_counts(client: redis.Redis, polled: Store) -> None:
    polled.write([], [CANDLE, Candle(LAST, open=20, high=30, low=5, close=25)])

    assert samples(client, TICK)[LAST + 5_000] == 7
    assert samples(client, TICK)[LAST + 59_999] == 25


def test_only_the_minutes_asked_for_are_told_to_be_settled(polled: Store) -> None:
    polled.write([], [CANDLE])

    assert polled.settled([LAST - MINUTE, LAST, LAST + MINUTE]) == {LAST}
    assert polled.settled([]) == set()


def test_every_settled_minute_of_a_whole_window_is_found(store: Store) -> None:
    minutes = range(NOW - NOW % MINUTE - 1_470 * MINUTE, LAST + 1, MINUTE)
    store.write([Tick(NOW, 11)], [Candle(minute, 10, 14, 8, 12) for minute in minutes if minute % (7 * MINUTE)])

    found = store.settled(minutes)

    assert found == {minute for minute in minutes if minute % (7 * MINUTE)}


def test_the_candle_of_an_unpolled_minute_behind_the_newest_is_merged(client: redis.Redis, store: Store) -> None:
    store.write([Tick(EARLIER + 1, 10), Tick(NOW, 11)])

    written = store.write([], [CANDLE])

    assert written.rebuilt
    assert samples(client, "btc:price:minute", latest=True) == {EARLIER: 10, LAST: 12, LAST + MINUTE: 11}


def test_a_candle_and_the_price_behind_it_are_one_append(client: redis.Redis, store: Store) -> None:
    store.write([Tick(LAST - 1, 9)])

    written = store.write([Tick(NOW, 11)], [CANDLE])

    assert not written.rebuilt
    assert samples(client, "btc:price:minute") == {LAST - MINUTE: 9, LAST: 12}


def test_two_stores_that_polled_at_other_moments_come_to_the_same_buckets(client: redis.Redis, store: Store) -> None:
    minutes = range(LAST - 30 * MINUTE, LAST + 1, MINUTE)
    candles = [Candle(minute, open=100, high=104 + minute % 7, low=98 - minute % 5, close=101) for minute in minutes]
    outcomes = []

    for offset in (1_234, 33_333):
        client.flushall()
        store.write([Tick(tick.time_ms + offset, tick.price) for tick in wave(minutes[0], LAST + 1, MINUTE)])
        store.write([], candles)
        store.write([Tick(NOW, 100)])
        outcomes.append(compactions(client, latest=True))

    assert outcomes[0] == outcomes[1]
