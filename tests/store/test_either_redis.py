"""The store on fakeredis and on a redis-server: what needs no late price, no script and no retention."""

from collections.abc import Callable

import pytest
import redis
from fakeredis import FakeServer

from btcts.config import BTC_USD
from btcts.domain.layout import RESOLUTIONS
from btcts.domain.model import Gap, Span
from btcts.errors import StoreUnreachable
from btcts.store import Inspection, State, Store
from support.clocks import FakeClock
from support.fake_redis import connect_fake
from support.oracle import KEPT, buckets_of
from support.series import COMPACTIONS, HOUR, MINUTE, NOW, samples, wave

THIS_MINUTE = NOW - NOW % MINUTE

NOTHING = Inspection(NOW, None, {}, (), ())

TICKS = wave(NOW - 3 * HOUR, NOW, 20_000)


@pytest.fixture
def either(either_client: redis.Redis, clock: FakeClock) -> Store:
    """A store that holds three hours of ticks."""
    store = Store(either_client, BTC_USD, clock=clock, where="test")
    store.rebuild(NOTHING, live=TICKS)
    return store


def test_ascending_ticks_come_back(either: Store) -> None:
    assert either.ticks(Span(0, NOW)) == TICKS
    assert either.latest() == TICKS[-1]


def test_every_closed_bucket_of_ascending_ticks_is_what_they_make(either: Store, either_client: redis.Redis) -> None:
    pairs = [(tick.time_ms, tick.price) for tick in TICKS]
    for name, (length, _) in KEPT.items():
        made = buckets_of(pairs, length)
        for place, field in enumerate(RESOLUTIONS[name].fields):
            key = next(item.key for item in either.layout.list_compactions(RESOLUTIONS[name]) if item.field == field)
            kept = RESOLUTIONS[name].closed(NOW)
            closed = {
                start: bucket[place] for start, bucket in made.items() if start in range(kept.start_ms, kept.end_ms)
            }
            assert samples(either_client, key) == closed


def test_the_layout_that_a_first_rebuild_makes_has_no_fault(either: Store) -> None:
    found = either.inspect()

    assert found.faults == ()
    assert set(found.series) == {either.layout.tick, *COMPACTIONS}


def test_a_rebuild_keeps_what_collectors_remember(either_client: redis.Redis, clock: FakeClock) -> None:
    store, gaps = Store(either_client, BTC_USD, clock=clock, where="test"), {THIS_MINUTE: Gap("no_trades", 1, NOW)}
    store.remember(State(cadence_s=10.0))
    store.record_gaps(gaps)

    store.rebuild(NOTHING, live=TICKS)

    assert store.state().cadence_s == 10
    assert store.gaps() == gaps


def test_keys_that_are_not_in_the_layout_are_found_by_our_prefix_alone(
    either: Store, either_client: redis.Redis
) -> None:
    strangers = ("btc:price:week", "btc:price:[ab]", "btc:price:hour:avg")
    for key in (*strangers, "btc:prices", "xbtc:price:week", "btc:price", "btc:price:tick:before-btcts"):
        either_client.set(key, "somebody's")

    assert either.find_unknown_keys() == tuple(sorted(strangers))


def test_very_many_keys_are_scanned_to_the_end(either: Store, either_client: redis.Redis) -> None:
    for number in range(2500):
        either_client.set(f"eth:price:{number}", "x")
    either_client.set("btc:price:week", "x")

    assert either.find_unknown_keys() == ("btc:price:week",)


@pytest.mark.parametrize(
    "use",
    [
        *(Store.latest, Store.state, Store.gaps, Store.inspect, Store.find_unknown_keys, Store.excess),
        lambda store: store.rebuild(NOTHING, live=TICKS),
        lambda store: store.remember(State(cadence_s=20.0)),
        lambda store: store.tell({}, simulated=True),
        lambda store: store.record_gaps({}, forget=[THIS_MINUTE]),
    ],
)
def test_a_server_that_goes_away_is_unreachable_and_what_it_held_is_there_when_it_is_back(
    use: Callable[[Store], object],
) -> None:
    server = FakeServer()
    with connect_fake(server) as client:
        store = Store(client, BTC_USD, clock=FakeClock(NOW), where="redis.example:6379")
        state, gaps = State(cadence_s=10.0), {THIS_MINUTE: Gap("no_trades", 1, NOW)}
        store.remember(state)
        store.record_gaps(gaps)

        server.connected = False
        with pytest.raises(StoreUnreachable, match=r" redis\.example:6379 \("):
            use(store)
        server.connected = True

        assert (store.state(), store.gaps()) == (state, gaps)
