"""Other databases than 0, where RedisTimeSeries takes LATEST and recomputed buckets from or into database 0."""

from collections.abc import Iterator

import pytest
import redis

from btcts.config import BTC_USD
from btcts.domain.model import Candle, Tick
from btcts.store import Store
from support.clocks import FakeClock
from support.oracle import KEPT, Oracle
from support.series import FIRST_OF_WINDOW, HOUR, MINUTE, NOW, remembered, wave
from support.servers import Server, connect

THIS_MINUTE = NOW - NOW % MINUTE


@pytest.fixture
def third(server: Server, client: redis.Redis) -> Iterator[redis.Redis]:
    """A client of database 3 of the same, empty server."""
    with connect(server.socket, db=3) as connected:
        yield connected


def all_right(store: Store, oracle: Oracle) -> bool:
    """Tell whether the store's own reading of every slot is what the oracle says."""
    found = store.buckets()
    for resolution, (length, _) in KEPT.items():
        expected = oracle.buckets(resolution)
        slots = [*oracle.closed(resolution, NOW), NOW // length * length]
        for field, values in found[resolution].items():
            if values != {start: getattr(expected[start], field) for start in slots if start in expected}:
                return False
    return True


def test_late_ticks_reach_their_buckets_in_any_database(third: redis.Redis) -> None:
    store = Store(third, BTC_USD, clock=FakeClock(NOW), where="test")
    ticks = wave(FIRST_OF_WINDOW, NOW, 50_000)
    late = [Tick(ticks[-5].time_ms + 1, 5), Tick(NOW - 20 * HOUR, 7), Tick(NOW, 8), ticks[-1]]
    store.write(ticks)

    for tick in late:
        store.write([tick])

    assert store.inspect().faults == ()
    assert all_right(store, remembered([*ticks, *late], NOW))


def test_the_store_of_one_database_leaves_that_of_another_alone(client: redis.Redis, third: redis.Redis) -> None:
    stores = [Store(place, BTC_USD, clock=FakeClock(NOW), where="test") for place in (client, third)]
    told = [wave(FIRST_OF_WINDOW, NOW, 50_000), wave(FIRST_OF_WINDOW + 7, NOW, 70_000)]
    late = [Tick(NOW - 20 * HOUR, 7), Tick(NOW - HOUR, 6), Tick(NOW - 2, 5), Tick(NOW - 1, 4), Tick(NOW - 3, 3)]

    for store, ticks in zip(stores, told, strict=True):
        store.write(ticks)
    for tick in late:
        for store in stores:
            store.write([tick])
    third.delete("btc:price:hour", "btc:price:5min:min")
    stores[1].repair(stores[1].inspect())

    assert [store.inspect().faults for store in stores] == [(), ()]
    assert all_right(stores[0], remembered([*told[0], *late], NOW))
    assert all_right(stores[1], remembered([*told[1], *late], NOW))


def test_settling_reaches_the_buckets_of_any_database(third: redis.Redis) -> None:
    store = Store(third, BTC_USD, clock=FakeClock(NOW), where="test")
    minute = THIS_MINUTE - MINUTE
    store.write([Tick(minute + 5_000, 99), Tick(NOW, 11)])

    store.write([], [Candle(minute, open=10, high=14, low=8, close=12)])

    assert store.buckets("minute") == {"minute": {"close": {minute: 12, THIS_MINUTE: 11}}}
    assert max(store.buckets("hour")["hour"]["max"].values()) == 14
