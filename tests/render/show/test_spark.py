"""Spark lines, and bars that show where a price stands."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from btcts.render.show.spark import ASCII, ASCII_MISSING, BLOCKS, MISSING, draw_place, draw_spark

price = st.floats(min_value=1e-8, max_value=1e8)
prices = st.lists(st.none() | price)


def test_the_lowest_and_the_highest_price_take_the_ends_of_the_range() -> None:
    assert draw_spark([1.0, 2.0, 3.0, 8.0], ascii_only=False) == "▁▂▃█"


def test_equal_prices_lie_in_the_middle() -> None:
    assert draw_spark([5.0, 5.0], ascii_only=False) == "▄▄"


def test_a_missing_price_is_marked() -> None:
    assert draw_spark([1.0, None, 2.0], ascii_only=False) == "▁·█"


def test_without_any_price_all_are_marked_as_missing() -> None:
    assert draw_spark([None, None], ascii_only=True) == "??"


@given(prices, st.booleans())
def test_each_price_takes_one_character_of_its_alphabet(values: list[float | None], ascii_only: bool) -> None:
    line = draw_spark(values, ascii_only=ascii_only)

    assert len(line) == len(values)
    assert set(line) <= set(ASCII + ASCII_MISSING if ascii_only else BLOCKS + MISSING)


@given(prices)
def test_a_higher_price_is_never_drawn_lower(values: list[float | None]) -> None:
    drawn = [(value, level) for value, level in zip(values, draw_spark(values, ascii_only=False), strict=True) if value]

    assert [level for _, level in sorted(drawn)] == sorted(level for _, level in drawn)


@pytest.mark.parametrize(
    ("close", "bar"),
    [
        (100.0, "●─────┤"),
        (100.1, "├●────┤"),
        (150.0, "├──●──┤"),
        (199.9, "├────●┤"),
        (200.0, "├─────●"),
    ],
)
def test_the_mark_stands_where_the_price_lies_and_takes_an_end_only_at_the_end(close: float, bar: str) -> None:
    assert draw_place(close, 100.0, 200.0, width=7, ascii_only=False) == bar


def test_a_range_of_one_price_is_marked_in_the_middle() -> None:
    assert draw_place(5.0, 5.0, 5.0, width=7, ascii_only=False) == "├──●──┤"


@pytest.mark.parametrize(("close", "bar"), [(99.0, "*-----]"), (201.0, "[-----*")])
def test_a_price_outside_the_range_is_marked_at_the_nearer_end(close: float, bar: str) -> None:
    assert draw_place(close, 100.0, 200.0, width=7, ascii_only=True) == bar


@given(st.tuples(price, price, price).map(sorted), st.integers(min_value=1, max_value=20), st.booleans())
def test_a_bar_has_its_width_and_one_mark(ascending: list[float], half: int, ascii_only: bool) -> None:
    low, close, high = ascending
    width = 2 * half + 1

    bar = draw_place(close, low, high, width=width, ascii_only=ascii_only)

    assert len(bar) == width
    assert bar.count("*" if ascii_only else "●") == 1
    assert bar.isascii() is ascii_only


@given(st.tuples(price, price, price, price).map(sorted))
def test_of_two_prices_in_a_range_the_higher_is_never_marked_further_left(ascending: list[float]) -> None:
    low, lower, higher, high = ascending

    bars = [draw_place(each, low, high, width=17, ascii_only=True) for each in (lower, higher)]

    assert bars[0].index("*") <= bars[1].index("*")
