"""Candlesticks as characters."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from btcts.render.chart.glyphs import Shape


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
