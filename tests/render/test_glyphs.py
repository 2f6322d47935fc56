"""Prices as characters: spark lines, bars that show where a price stands, candlesticks."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from btcts.render.glyphs import ASCII, ASCII_MISSING, BLOCKS, MISSING, Shape, draw_place, draw_spark

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


def drawn(shape: Shape, width: int, *, ascii_only: bool = False, rows: int = 4) -> list[str]:
    cells = shape.draw_ascii_cells if ascii_only else shape.draw_cells
    return [cells(row, width) for row in reversed(range(rows))]


@pytest.mark.parametrize(
    ("shape", "lines"),
    [
        (Shape(0, 7, 2, 5, 1), [" │ ", "▐▀▌", "▐▄▌", " │ "]),
        (Shape(0, 7, 2, 5, -1), [" │ ", "▐█▌", "▐█▌", " │ "]),
        (Shape(1, 6, 1, 6, 1), ["▗▄▖", "▐ ▌", "▐ ▌", "▝▀▘"]),
        (Shape(1, 6, 1, 6, -1), ["▗▄▖", "▐█▌", "▐█▌", "▝▀▘"]),
        (Shape(2, 3, 2, 3, 1), ["   ", "   ", "▐▔▌", "   "]),
        (Shape(2, 2, 2, 2, 1), ["   ", "   ", "▗▁▖", "   "]),
        (Shape(3, 3, 3, 3, 1), ["   ", "   ", "▝▔▘", "   "]),
        (Shape(0, 7, 4, 4, 0), [" │ ", "╶┼╴", " │ ", " │ "]),
        (Shape(4, 7, 4, 4, 0), [" │ ", "╶┴╴", "   ", "   "]),
        (Shape(0, 4, 4, 4, 0), ["   ", "╶┬╴", " │ ", " │ "]),
        (Shape(4, 4, 4, 4, 0), ["   ", "╶─╴", "   ", "   "]),
    ],
)
def test_a_rise_is_hollow_a_fall_is_filled_and_neither_is_a_dash(shape: Shape, lines: list[str]) -> None:
    assert drawn(shape, 3) == lines


@pytest.mark.parametrize(
    ("shape", "lines"),
    [
        (Shape(0, 7, 3, 4, 1), ["│", "╽", "╿", "│"]),
        (Shape(1, 6, 2, 5, 1), ["╷", "┃", "┃", "╵"]),
        (Shape(3, 4, 3, 4, 1), [" ", "╻", "╹", " "]),
        (Shape(2, 5, 3, 4, -1), [" ", "█", "█", " "]),
        (Shape(3, 4, 3, 4, -1), [" ", "▄", "▀", " "]),
        (Shape(0, 7, 4, 4, 0), ["│", "┼", "│", "│"]),
    ],
)
def test_in_one_column_a_rise_is_a_line_and_a_fall_is_a_block(shape: Shape, lines: list[str]) -> None:
    assert drawn(shape, 1) == lines


def test_a_body_reaches_to_where_the_wick_goes_on() -> None:
    assert drawn(Shape(0, 7, 3, 4, -1), 3) == [" │ ", "▐█▌", "▐█▌", " │ "]


@pytest.mark.parametrize(
    ("trend", "width", "lines"),
    [
        (1, 5, ["  |  ", "[   ]", "[   ]", "  |  "]),
        (-1, 5, ["  |  ", "[###]", "[###]", "  |  "]),
        (1, 1, ["|", "O", "O", "|"]),
        (-1, 1, ["|", "#", "#", "|"]),
    ],
)
def test_in_ascii_there_is_one_level_to_a_row(trend: int, width: int, lines: list[str]) -> None:
    assert drawn(Shape(0, 7, 3, 4, trend), width, ascii_only=True) == lines


@st.composite
def shapes(draw: st.DrawFn) -> Shape:
    """A wick with its close on it and a body that may reach beyond."""
    low, close, high = sorted(draw(st.tuples(*[st.integers(0, 19)] * 3)))
    other = draw(st.integers(0, 19))
    bottom, top = sorted((close, other))
    return Shape(low, high, bottom, top, draw(st.sampled_from([1, -1])) if bottom < top else 0)


either = st.booleans()
widths = st.sampled_from([1, 3, 5, 7, 9])


@given(shapes(), widths, either)
def test_every_row_has_the_width_that_was_asked_for(shape: Shape, width: int, ascii_only: bool) -> None:
    assert {len(each) for each in drawn(shape, width, ascii_only=ascii_only, rows=10)} == {width}


@given(shapes(), widths, either)
def test_something_is_drawn_in_the_rows_of_the_candlestick_and_in_no_others(
    shape: Shape, width: int, ascii_only: bool
) -> None:
    lines = drawn(shape, width, ascii_only=ascii_only, rows=10)[::-1]

    taken = range(min(shape.low, shape.bottom) // 2, max(shape.high, shape.top) // 2 + 1)
    assert [row for row, line in enumerate(lines) if line.strip()] == list(taken)


@given(shapes(), widths, either)
def test_a_rise_never_looks_like_a_fall(shape: Shape, width: int, ascii_only: bool) -> None:
    rise, fall = (drawn(shape._replace(trend=trend), width, ascii_only=ascii_only, rows=10) for trend in (1, -1))

    assert rise != fall
