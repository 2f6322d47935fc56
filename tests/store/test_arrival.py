"""Any order of arrival comes to the same: the script, the rebuild and the pure function agree."""

from collections.abc import Callable, Mapping

import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from btcts.domain.candles import combine, move_off_the_mark
from btcts.domain.model import Candle, Tick
from btcts.store import Store
from support.series import COMPACTIONS, MINUTE, NOW, TICK, compactions, put, samples

on_a_real_server = settings(
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],  # each example empties the server itself
)

FIRST = NOW - NOW % MINUTE - 6 * MINUTE
"""Six closed minutes before the running one; they lie in three buckets of 5 minutes and two of 15."""

minutes = st.integers(0, 5).map(lambda number: FIRST + number * MINUTE)
offsets = st.sampled_from([0, 1, 5_000, 19_999, 20_000, 30_000, 40_000, 59_997, 59_998, 59_999])
stamps = st.builds(int.__add__, minutes, offsets) | st.integers(0, 56).map(lambda seconds: NOW - seconds * 1_000)
prices = st.integers(1, 30).map(float)
ticks = st.builds(Tick, stamps, prices)


@st.composite
def candles(draw: st.DrawFn) -> Candle:
    low, first, second, high = sorted(draw(st.tuples(prices, prices, prices, prices)))
    opened, close = draw(st.permutations([first, second]))
    return Candle(draw(minutes), opened, high, low, close)


AGGREGATORS: dict[str, Callable[[list[float]], float]] = {"last": lambda values: values[-1], "min": min, "max": max}


def aggregate(ticks: Mapping[int, float], bucket_ms: int, choose: Callable[[list[float]], float]) -> dict[int, float]:
    """The buckets of the ticks, worked out plainly."""
    grouped: dict[int, list[float]] = {}
    for stamp in sorted(ticks):
        grouped.setdefault(stamp - stamp % bucket_ms, []).append(ticks[stamp])
    return {start: choose(values) for start, values in grouped.items()}


@on_a_real_server
@given(
    stored=st.dictionaries(stamps, prices, max_size=25),
    live=st.lists(ticks, max_size=6),
    settling=st.lists(candles(), max_size=3),
)
def test_an_append_and_a_rebuild_leave_the_ticks_that_the_pure_function_does_and_their_plain_aggregation(
    client: redis.Redis, store: Store, stored: dict[int, float], live: list[Tick], settling: list[Candle]
) -> None:
    expected = combine(stored, map(move_off_the_mark, live), settling)

    for write in (store.write, lambda live, candles: store.rebuild(live=live, candles=candles)):
        client.flushall()
        store.rebuild()
        put(client, TICK, sorted(stored.items()))
        write(live, settling)
        assert samples(client, TICK) == expected
        assert compactions(client, latest=True) == {
            item.key: aggregate(expected, item.resolution.bucket_ms, AGGREGATORS[item.aggregator])
            for item in store.layout.compactions
        }


@on_a_real_server
@given(
    live=st.lists(ticks, max_size=12, unique_by=lambda tick: move_off_the_mark(tick).time_ms),
    settling=st.lists(candles(), max_size=6, unique_by=lambda candle: candle.start_ms),
    data=st.data(),
)
def test_the_order_of_arrival_does_not_matter(
    client: redis.Redis, store: Store, live: list[Tick], settling: list[Candle], data: st.DataObject
) -> None:
    arrivals = [*live, *settling]
    outcomes = []

    for order in (arrivals, data.draw(st.permutations(arrivals))):
        client.flushall()
        store.rebuild()
        for arrival in order:
            store.write(*(([], [arrival]) if isinstance(arrival, Candle) else ([arrival], [])))
        outcomes.append((samples(client, TICK), compactions(client, latest=True)))

    assert outcomes[0] == outcomes[1]


@on_a_real_server
@given(live=st.lists(ticks, min_size=1, max_size=6), settling=st.lists(candles(), max_size=3))
def test_writing_twice_equals_once(client: redis.Redis, store: Store, live: list[Tick], settling: list[Candle]) -> None:
    client.flushall()
    store.write(live, settling)
    once = {key: samples(client, key, latest=key != TICK) for key in (TICK, *COMPACTIONS)}

    store.write(live, settling)

    assert {key: samples(client, key, latest=key != TICK) for key in (TICK, *COMPACTIONS)} == once
