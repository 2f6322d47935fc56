"""Fewer ticks, the same buckets."""

from hypothesis import given
from hypothesis import strategies as st

from btcts.domain.candles import combine
from btcts.domain.model import Candle, Tick
from btcts.store.plan import MOST_TICKS, condense
from support.oracle import KEPT, buckets_of
from support.series import HOUR, MINUTE, NOW, wave

THIS_HOUR = NOW - NOW % HOUR
THIS_MINUTE = NOW - NOW % MINUTE
CANDLE = (0, 20_000, 40_000, 59_999)

PRICES = st.integers(1, 40).map(float)
TICKS = st.dictionaries(st.integers(NOW - 3 * HOUR, NOW), PRICES, min_size=1)
CROWDS = st.builds(
    lambda minute, offsets, prices: {minute + offset: price for offset, price in zip(offsets, prices, strict=False)},
    st.integers(1, 180).map(lambda back: THIS_MINUTE - back * MINUTE),
    st.lists(st.one_of(st.sampled_from(CANDLE), st.integers(0, 59_999)), unique=True, min_size=4, max_size=30),
    st.lists(PRICES, min_size=30, max_size=30),
)


def made(ticks: dict[int, float]) -> dict[str, dict[int, tuple[float, float, float]]]:
    """Close, minimum and maximum of all buckets."""
    found = {name: buckets_of(sorted(ticks.items()), length) for name, (length, _) in KEPT.items()}
    return {name: {start: bucket[:3] for start, bucket in buckets.items()} for name, buckets in found.items()}


@given(TICKS, st.lists(CROWDS), st.integers(0, 100))
def test_every_bucket_is_what_all_ticks_make(some: dict[int, float], crowds: list[dict[int, float]], most: int) -> None:
    ticks = dict(sorted({**some, **{stamp: price for crowd in crowds for stamp, price in crowd.items()}}.items()))

    condensed = dict(condense(ticks, NOW, most))

    assert list(condensed) == sorted(condensed)
    assert condensed.items() <= ticks.items()
    assert made(condensed) == made(ticks)
    assert condense(condensed, NOW, most) == condensed


def test_of_a_settled_minute_its_candle_remains() -> None:
    minute = THIS_HOUR - 5 * HOUR
    candle = Candle(minute, 10, 14, 8, 12)
    ticks = combine({}, wave(minute, minute + MINUTE, 1_000)[::-1], [candle])

    assert condense(ticks, NOW, most=4) == {minute: 10, minute + 20_000: 8, minute + 40_000: 14, minute + 59_999: 12}


def test_of_a_polled_minute_the_first_lowest_highest_and_last_tick_remain() -> None:
    minute = THIS_HOUR - 5 * HOUR
    ticks = {minute + number: float(price) for number, price in enumerate([5, 9, 2, 2, 9, 4])}

    assert condense(ticks, NOW, most=5) == {minute: 5, minute + 1: 9, minute + 2: 2, minute + 5: 4}


def test_what_is_not_too_much_stays_as_it_is() -> None:
    ticks = dict(wave(NOW - 1_000 * MOST_TICKS, NOW, 1_000))

    assert len(ticks) == MOST_TICKS
    assert condense(ticks, NOW) is ticks


def test_later_minutes_are_condensed_only_when_earlier_ones_do_not_do() -> None:
    ticks = dict(wave(THIS_HOUR - 3 * HOUR, NOW, 1_000))
    late = [len([stamp for stamp in ticks if stamp >= start]) for start in (THIS_HOUR - HOUR, THIS_HOUR, THIS_MINUTE)]

    for most, kept in zip((8_000, 4_000, 10), late, strict=True):
        condensed = condense(ticks, NOW, most)
        newest = list(ticks.items())[-kept:]
        assert list(condensed.items())[-kept:] == newest
        assert len(condensed) < kept + 4 * 240
    assert condense({NOW: Tick(NOW, 5).price}, NOW, most=0) == {NOW: 5}
