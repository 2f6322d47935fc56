"""Candles as ticks, and what becomes of the live ticks of a settled minute."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from btcts.domain.candles import combine, minute_of, move_off_the_mark, settled_stamp, ticks_of
from btcts.domain.model import Candle, Tick

MINUTE = 1_767_225_600_000
CANDLE = Candle(MINUTE, open=10, high=14, low=8, close=12)
CANDLE_STAMPS = [MINUTE, MINUTE + 20_000, MINUTE + 40_000, MINUTE + 59_999]

prices = st.integers(1, 20).map(float)
live_stamps = (
    st.integers(0, 2 * 60_000 - 1).map(lambda offset: MINUTE + offset).filter(lambda ms: ms % 60_000 != 59_999)
)
live_ticks = st.lists(st.builds(Tick, live_stamps, prices), max_size=8)


@st.composite
def candles(draw: st.DrawFn, minute_ms: int = MINUTE) -> Candle:
    low, middle, high = sorted(draw(st.tuples(prices, prices, prices)))
    opened, close = draw(st.permutations([middle, draw(st.sampled_from([low, middle, high]))]))
    return Candle(minute_ms, opened, high, low, close)


def test_a_candle_is_stored_as_open_low_high_and_close() -> None:
    assert ticks_of(CANDLE) == (
        (MINUTE, 10),
        (MINUTE + 20_000, 8),
        (MINUTE + 40_000, 14),
        (MINUTE + 59_999, 12),
    )


def test_a_minute_is_marked_settled_by_its_last_millisecond() -> None:
    assert settled_stamp(MINUTE) == MINUTE + 59_999
    assert minute_of(settled_stamp(MINUTE)) == MINUTE


@pytest.mark.parametrize(("stamp", "stored"), [(59_999, 59_998), (59_998, 59_998), (60_000, 60_000), (0, 0)])
def test_a_live_tick_never_takes_the_stamp_that_marks_a_minute_settled(stamp: int, stored: int) -> None:
    assert move_off_the_mark(Tick(MINUTE + stamp, 10)) == (MINUTE + stored, 10)


@pytest.mark.parametrize(("stamp", "stored"), [(1, 3), (2, 3), (3, 3), (60_001, 60_003)])
def test_a_live_tick_never_takes_a_stamp_of_the_bounds_of_a_minute(stamp: int, stored: int) -> None:
    assert move_off_the_mark(Tick(MINUTE + stamp, 10)) == (MINUTE + stored, 10)


def test_combining_nothing_keeps_what_is_stored() -> None:
    assert combine({MINUTE + 5: 10.0}, [], []) == {MINUTE + 5: 10.0}


def test_a_later_live_tick_replaces_one_of_the_same_stamp() -> None:
    assert combine({MINUTE + 5: 10.0}, [Tick(MINUTE + 5, 11), Tick(MINUTE + 5, 12)], []) == {MINUTE + 5: 12}


def test_the_ticks_come_out_ascending() -> None:
    combined = combine({MINUTE + 5: 10.0}, [Tick(MINUTE + 90_000, 1), Tick(MINUTE + 3, 11)], [CANDLE])

    assert list(combined) == sorted(combined)


@pytest.mark.parametrize(("price", "moved"), [(7, 8), (8, 8), (9.5, 9.5), (14, 14), (99, 14)])
def test_settling_moves_a_live_tick_to_the_nearer_bound_of_the_candle(price: float, moved: float) -> None:
    combined = combine({MINUTE + 5: price}, [], [CANDLE])

    assert combined[MINUTE + 5] == moved


@pytest.mark.parametrize(("price", "moved"), [(7, 8), (9.5, 9.5), (99, 14)])
def test_a_live_tick_of_a_minute_settled_before_is_moved_too(price: float, moved: float) -> None:
    combined = combine(dict(ticks_of(CANDLE)), [Tick(MINUTE + 5, price)], [])

    assert combined[MINUTE + 5] == moved


@pytest.mark.parametrize("stamp", CANDLE_STAMPS[:3])
def test_a_live_tick_never_replaces_a_tick_of_a_candle(stamp: int) -> None:
    settled = dict(ticks_of(CANDLE))

    assert combine(settled, [Tick(stamp, 11)], []) == settled


def test_other_minutes_are_left_alone() -> None:
    stored = {MINUTE - 1: 99.0, MINUTE + 60_000: 99.0}

    combined = combine(stored, [], [CANDLE])

    assert {stamp: combined[stamp] for stamp in stored} == stored


def test_a_later_candle_replaces_the_candle_of_its_minute() -> None:
    other = Candle(MINUTE, open=20, high=30, low=20, close=25)

    assert combine(dict(ticks_of(CANDLE)), [], [other]) == dict(ticks_of(other))


@given(live=live_ticks, candle=candles())
def test_a_settled_minute_has_the_extremes_and_the_close_of_its_candle(live: list[Tick], candle: Candle) -> None:
    combined = combine({}, live, [candle])

    inside = [price for stamp, price in combined.items() if minute_of(stamp) == MINUTE]
    assert (min(inside), max(inside), inside[-1]) == (candle.low, candle.high, candle.close)


@given(live=live_ticks, candle=candles())
def test_live_ticks_before_or_after_the_candle_come_to_the_same(live: list[Tick], candle: Candle) -> None:
    live_first = combine(combine({}, live, []), [], [candle])
    candle_first = combine(combine({}, [], [candle]), live, [])

    assert live_first == candle_first == combine({}, live, [candle])


@given(live=live_ticks, candle=candles(), following=candles(MINUTE + 60_000))
def test_combining_twice_equals_once(live: list[Tick], candle: Candle, following: Candle) -> None:
    once = combine({}, live, [candle, following])

    assert combine(once, live, [candle, following]) == once
