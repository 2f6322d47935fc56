"""A plot in rows of characters."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from btcts.render.chart.canvas import AXIS_WIDTH, TIME_WIDTH, WIDEST_SLOT, WIDEST_STICK, Canvas
from btcts.render.chart.plot import plot
from render.charts import VIEWS

drawn = pytest.mark.parametrize("name", [name for name in VIEWS if name not in ("empty", "long-ago")])


def canvas(name: str, *, columns: int = 100, rows: int = 20, ascii_only: bool = False) -> Canvas:
    plotted = plot(VIEWS[name], most=columns, rows=rows)
    assert plotted is not None
    return Canvas(plotted, columns, 2, ascii_only)


def lines(of: Canvas) -> list[str]:
    return [line.plain for line in of.draw_lines(utc=True)]


@drawn
@pytest.mark.parametrize("ascii_only", [False, True])
def test_there_is_a_line_for_each_row_and_for_the_axis_the_times_and_the_days(name: str, *, ascii_only: bool) -> None:
    of = canvas(name, ascii_only=ascii_only)

    page = lines(of)

    assert len(page) == 20 + Canvas.BELOW
    assert max(map(len, page)) <= of.width
    assert all(line.isascii() for line in page) == ascii_only


@given(columns=st.integers(25, 700))
def test_slots_share_the_columns_evenly_and_candlesticks_are_narrower_than_a_wall(columns: int) -> None:
    of = canvas("hour", columns=columns)

    count = len(of.plot.candlesticks)
    assert of.pitch == min(WIDEST_SLOT, columns // count)
    assert of.stick_width % 2 == 1
    assert of.stick_width <= min(WIDEST_STICK, of.pitch)
    assert of.width == of.pitch * count + AXIS_WIDTH + of.label_width


@drawn
def test_the_newest_price_is_marked_once_on_the_axis(name: str) -> None:
    of = canvas(name)

    marked = [line for line in lines(of) if of.signs.newest in line]

    assert len(marked) == (of.plot.marked is not None)


def test_decimal_points_of_the_prices_are_aligned() -> None:
    of = canvas("price-of-one")

    prices = [line.rpartition(" ")[2] for line in lines(of)[:20] if line[-1].isdigit()]
    ends = {line.rindex(".") for line in lines(of)[:20] if line[-1].isdigit()}

    assert len(prices) > 3
    assert len(ends) == 1


def test_times_stand_under_their_slots() -> None:
    of = canvas("hour")
    *_, floor, times, _ = lines(of)

    ticks = [at for at, sign in enumerate(floor) if sign in (of.signs.time, of.signs.running_time)]
    labels = [found.start() + TIME_WIDTH // 2 for found in re.finditer(r"\d\d:\d\d", times)]

    assert len(labels) > 3
    assert ticks[1:] == labels[1:]  # the first one is moved inwards


def test_a_gap_is_marked_in_each_of_its_rows() -> None:
    of = canvas("gaps")
    gaps = sum(slot.closed and slot.missing for slot in of.plot.shown.slots)

    rows = lines(of)[:20]

    assert gaps
    assert [row.count(of.signs.missing) for row in rows] == [gaps] * 20


@pytest.mark.parametrize(("trend", "sample"), [(1, "▐ ▌"), (-1, "▐█▌"), (0, "╶─╴")])
def test_the_legend_has_a_sample_of_each_trend(trend: int, sample: str) -> None:
    assert len(canvas("hour").sample(trend)) == len(sample) == 3
