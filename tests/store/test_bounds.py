"""Bounds in Redis: an unsettled minute has the range of the trades received, not that of its polls."""

import pytest
import redis

from btcts.domain.model import Bounds, Candle, Tick
from btcts.errors import StoreError
from btcts.store import Store
from support.series import MINUTE, NOW, TICK, compactions, samples

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
