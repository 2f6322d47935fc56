"""Columns and the choice of those that fit."""

from hypothesis import given
from hypothesis import strategies as st

from btcts.render.columns import Cell, Column, choose_grid, join_columns

COLUMNS = {name: Column.plain(name, [name * 2]) for name in ("aa", "bbb", "c")}
LAYOUTS = ("aa bbb c", "aa bbb", "aa c", "aa")


def chosen(width: int | None) -> str:
    return " ".join(each.heading for each in choose_grid(COLUMNS, LAYOUTS, width=width).columns)


def test_all_columns_are_kept_where_there_is_room() -> None:
    assert chosen(16) == "aa bbb c"


def test_one_character_less_gives_up_a_column() -> None:
    assert chosen(15) == "aa bbb"


def test_any_width_takes_the_richest_layout() -> None:
    assert chosen(None) == "aa bbb c"


def test_too_little_room_takes_the_poorest_layout() -> None:
    assert chosen(1) == "aa"


def test_a_layout_may_name_columns_that_are_not_there() -> None:
    grid = choose_grid(COLUMNS, ("aa minutes c",), width=80)

    assert [each.heading for each in grid.columns] == ["aa", "c"]


def test_numbers_stand_to_the_right_and_words_to_the_left() -> None:
    number, word = Column.plain("Close", ["1"]), Column.plain("State", ["open"], words=True)

    assert (number.align("1"), word.align("open")) == ("    1", "open ")


def test_joined_columns_stay_aligned_under_one_heading() -> None:
    usd = Column("", (Cell("+1,305.66", "green"), Cell("-2.10", "red")))
    ratio = Column.plain("", ["+2.04%", "-12.00%"])

    both = join_columns("Change", usd, ratio)

    assert both == Column("Change", (Cell("+1,305.66   +2.04%", "green"), Cell("    -2.10  -12.00%", "red")))


@given(st.integers(min_value=4, max_value=40))
def test_the_choice_fits_whatever_the_width(width: int) -> None:
    assert choose_grid(COLUMNS, LAYOUTS, width=width).width <= width
