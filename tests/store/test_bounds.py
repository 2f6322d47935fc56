"""Bounds in Redis: an unsettled minute has the range of the trades received, not that of its polls."""

import pytest
import redis

from btcts.domain.model import Bounds, Candle, Tick
from btcts.errors import StoreError
from btcts.store import Store
from support.series import HOUR, MINUTE, NOW, TICK, compactions, put, samples, wave

RUNNING = NOW - NOW % MINUTE
LAST = RUNNING - MINUTE
FIVE = RUNNING - RUNNING % (5 * MINUTE)


@pytest.fixture
def polled(store: Store) -> Store:
    """Three polls in the running minute, and one in the minute before it."""
    store.write([Tick(LAST + 30_000, 10), Tick(RUNNING + 5_000, 7), Tick(RUNNING + 15_000, 9), Tick(NOW - 1, 99)])
    return store


def test_bounds_move_the_ticks_of_their_minute_and_are_reached(client: redis.Redis, polled: Store) -> None:
    written = polled.write([Tick(NOW, 11)], bounds=[Bounds(RUNNING, 6, 20)])

    assert not written.rebuilt
    assert samples(client, TICK) == {
        LAST + 30_000: 10,
        RUNNING: 7,
        RUNNING + 1: 6,
        RUNNING + 5_000: 7,
        RUNNING + 15_000: 9,
        NOW - 1: 20,
        NOW: 11,
    }


def test_the_extremes_of_a_bucket_are_those_of_the_bounds(client: redis.Redis, polled: Store) -> None:
    polled.write([Tick(NOW, 11)], bounds=[Bounds(LAST, 8, 12), Bounds(RUNNING, 9, 20)])

    shown = compactions(client, latest=True)
    assert (shown["btc:price:5min:min"][FIVE], shown["btc:price:5min:max"][FIVE]) == (8, 20)
    assert shown["btc:price:5min"][FIVE] == 11


@pytest.mark.parametrize("price", [5, 11, 50])
def test_the_newest_tick_stays_the_price_within_its_bounds(polled: Store, price: float) -> None:
    polled.write([Tick(NOW, price)], bounds=[Bounds(RUNNING, 9, 20)])

    assert polled.latest() == (NOW, min(max(price, 9), 20))


def test_bounds_without_a_price_are_ignored(client: redis.Redis, polled: Store) -> None:
    before = samples(client, TICK)

    polled.write([], [Candle(LAST, 10, 12, 8, 10)], bounds=[Bounds(RUNNING, 9, 20)])

    assert samples(client, TICK).items() >= {(stamp, price) for stamp, price in before.items() if stamp >= RUNNING}


@pytest.mark.parametrize("bounds", [Bounds(RUNNING, 9, 8), Bounds(RUNNING, 0, 8), Bounds(RUNNING + 1, 8, 9)])
def test_what_cannot_be_bounds_is_refused_and_nothing_is_written(polled: Store, bounds: Bounds) -> None:
    with pytest.raises(StoreError, match="bounds"):
        polled.write([Tick(NOW, 11)], bounds=[bounds])

    assert polled.latest() == (NOW - 1, 99)


def test_bounds_behind_what_was_settled_or_is_settled_now_are_ignored(client: redis.Redis, polled: Store) -> None:
    candle = Candle(LAST, 10, 12, 8, 11)

    polled.write([Tick(NOW, 11)], [candle], bounds=[Bounds(LAST, 1, 2)])
    polled.write([Tick(NOW, 11)], bounds=[Bounds(LAST, 1, 2)])

    assert samples(client, TICK).items() >= {(LAST, 10), (LAST + 20_000, 8), (LAST + 30_000, 10), (LAST + 40_000, 12)}
    assert LAST + 1 not in samples(client, TICK)


def test_settling_takes_the_place_of_bounds(client: redis.Redis, polled: Store) -> None:
    polled.write([Tick(NOW, 11)], bounds=[Bounds(LAST, 1, 99), Bounds(RUNNING, 7, 20)])

    polled.write([], [Candle(LAST, 10, 12, 8, 11)])

    shown = compactions(client, latest=True)
    assert (shown["btc:price:5min:min"][FIVE], shown["btc:price:5min:max"][FIVE]) == (7, 20)


def test_bounds_of_a_minute_without_a_live_tick_are_ignored(client: redis.Redis, polled: Store) -> None:
    before = samples(client, TICK)

    polled.write([Tick(NOW - 1, 99)], bounds=[Bounds(LAST - MINUTE, 1, 2), Bounds(RUNNING + MINUTE, 1, 2)])

    assert samples(client, TICK) == before


def test_a_candle_a_new_minute_and_its_bounds_are_one_append(client: redis.Redis, store: Store) -> None:
    store.write([Tick(LAST - 10, 10)])

    written = store.write([Tick(NOW, 11)], [Candle(LAST, 10, 12, 8, 11)], bounds=[Bounds(RUNNING, 7, 13)])

    assert not written.rebuilt
    assert samples(client, "btc:price:minute", latest=True) == {LAST - MINUTE: 10, LAST: 11, RUNNING: 11}
    assert compactions(client, latest=True)["btc:price:hour:max"] == {NOW - NOW % HOUR: 13}


def test_bounds_that_move_very_many_ticks_let_the_price_pass_and_are_met_by_the_next_append(
    client: redis.Redis, store: Store
) -> None:
    store.rebuild()
    put(client, TICK, wave(NOW - NOW % HOUR, NOW - 10, 500))

    found = []
    for stamp in (NOW - 1, NOW):
        written = store.write([Tick(stamp, 5)], bounds=[Bounds(RUNNING, 1, 10)])
        found.append((written.rebuilt, store.latest(), store.state().exact_since_ms))

    assert found == [(False, (NOW - 1, 5), None), (False, (NOW, 5), RUNNING)]
    assert store.slots("minute")[-1].max == 10
