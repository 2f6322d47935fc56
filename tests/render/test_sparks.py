"""Spark lines."""

from hypothesis import given
from hypothesis import strategies as st

from btcts.render.sparks import ASCII, ASCII_MISSING, BLOCKS, MISSING, spark

prices = st.lists(st.none() | st.floats(min_value=1e-8, max_value=1e8))


def test_the_lowest_and_the_highest_price_take_the_ends_of_the_range() -> None:
    assert spark([1.0, 2.0, 3.0, 8.0], ascii_only=False) == "▁▂▃█"


def test_equal_prices_lie_in_the_middle() -> None:
    assert spark([5.0, 5.0], ascii_only=False) == "▄▄"


def test_a_missing_price_is_marked() -> None:
    assert spark([1.0, None, 2.0], ascii_only=False) == "▁·█"


def test_without_any_price_all_are_marked_as_missing() -> None:
    assert spark([None, None], ascii_only=True) == "??"


@given(prices, st.booleans())
def test_each_price_takes_one_character_of_its_alphabet(values: list[float | None], ascii_only: bool) -> None:
    line = spark(values, ascii_only=ascii_only)

    assert len(line) == len(values)
    assert set(line) <= set(ASCII + ASCII_MISSING if ascii_only else BLOCKS + MISSING)


@given(prices)
def test_a_higher_price_is_never_drawn_lower(values: list[float | None]) -> None:
    drawn = [(value, level) for value, level in zip(values, spark(values, ascii_only=False), strict=True) if value]

    assert [level for _, level in sorted(drawn)] == sorted(level for _, level in drawn)
