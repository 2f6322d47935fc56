"""What a chart shows of which slots, in figures."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from btcts.domain.layout import FIVE_MINUTES
from btcts.domain.model import Slot, Tick
from btcts.render.chart.plot import Candlestick, plot
from btcts.services.show import Shown, SlotsView
from render.charts import VIEWS
from render.views import NOW_MS, view_of

ROWS = 20


def view_with(*slots: Slot, newest: float | None = None) -> SlotsView:
    tick = None if newest is None else Tick(NOW_MS, newest)
    return replace(view_of({}, "5min"), newest=tick, shown=Shown(FIVE_MINUTES, slots))


def slot(at: int, close: float | None, low: float | None = None, high: float | None = None) -> Slot:
    start_ms = FIVE_MINUTES.start_of(NOW_MS) + at * FIVE_MINUTES.bucket_ms
    return Slot(start_ms, close, low or close, high or close, closed=True, settled=True, minutes=5)


def candlesticks(*slots: Slot) -> list[Candlestick | None]:
    plotted = plot(view_with(*slots), most=len(slots), rows=ROWS)
    assert plotted is not None
    return list(plotted.candlesticks)


def test_a_body_opens_at_the_close_of_the_slot_before() -> None:
    assert candlesticks(slot(0, 10.0), slot(1, 12.0, 9.0, 13.0))[1] == Candlestick(10.0, 12.0, 9.0, 13.0)


def test_the_first_slot_and_one_after_a_gap_have_no_open() -> None:
    drawn = candlesticks(slot(0, 10.0), slot(1, None), slot(2, 12.0))

    assert drawn == [Candlestick(None, 10.0, 10.0, 10.0), None, Candlestick(None, 12.0, 12.0, 12.0)]


def test_a_slot_that_was_left_out_still_gives_the_open_of_the_next() -> None:
    plotted = plot(view_with(slot(0, 10.0), slot(1, 12.0)), most=1, rows=ROWS)

    assert plotted is not None
    assert plotted.candlesticks == (Candlestick(10.0, 12.0, 12.0, 12.0),)
    assert plotted.left_out == 1


@pytest.mark.parametrize(
    ("opened", "close", "trend", "body"),
    [
        (10.0, 12.0, 1, (10.0, 12.0)),
        (12.0, 10.0, -1, (10.0, 12.0)),
        (10.0, 10.0, 0, (10.0, 10.0)),
        (None, 10.0, 0, (10.0, 10.0)),
    ],
)
def test_the_trend_says_how_the_close_differs_from_the_open(
    opened: float | None, close: float, trend: int, body: tuple[float, float]
) -> None:
    stick = Candlestick(opened, close, 9.0, 13.0)

    assert (stick.trend, stick.body) == (trend, body)


def test_without_a_price_in_any_slot_there_is_no_plot() -> None:
    assert plot(view_with(slot(0, None), slot(1, None), newest=10.0), most=2, rows=ROWS) is None


def test_the_newest_price_is_marked_where_it_lies_on_the_axis() -> None:
    view = view_with(slot(0, 10.0), slot(1, 12.0), newest=11.0)

    plotted = plot(view, most=2, rows=ROWS)

    assert plotted is not None
    assert plotted.marked == 11.0


@pytest.mark.parametrize("newest", [Tick(NOW_MS, 100.0), Tick(NOW_MS, 0.1), None])
def test_a_newest_price_beyond_the_slots_moves_no_axis(newest: Tick | None) -> None:
    view = view_with(slot(0, 10.0), slot(1, 12.0))

    plotted = plot(replace(view, newest=newest), most=2, rows=ROWS)

    assert plotted == plot(view, most=2, rows=ROWS)


prices = st.floats(min_value=1e-4, max_value=1e8)
slots = st.lists(st.none() | st.tuples(prices, prices, prices).map(sorted), min_size=1, max_size=70)


@given(slots, st.integers(min_value=1, max_value=80), st.integers(min_value=4, max_value=100))
def test_every_candlestick_lies_on_the_axis(slots: list[list[float] | None], most: int, rows: int) -> None:
    view = view_with(*(slot(at, each and each[1], each and each[0], each and each[2]) for at, each in enumerate(slots)))

    plotted = plot(view, most=most, rows=rows)

    drawn = [each for each in plotted.candlesticks if each] if plotted else []
    for stick in drawn:
        low, close, high = map(plotted.axis.height, (stick.min, stick.close, stick.max))
        bottom, top = map(plotted.axis.height, stick.body)
        assert 0 <= min(low, bottom) <= low <= close <= high <= max(high, top) < rows
        assert bottom <= close <= top


@pytest.mark.parametrize("most", [1, 5, 60, 100])
def test_the_newest_slots_that_have_room_are_plotted(most: int) -> None:
    slots = VIEWS["minute"].shown.slots

    plotted = plot(VIEWS["minute"], most=most, rows=ROWS)

    assert plotted is not None
    assert plotted.shown.slots == slots[-most:]
    assert plotted.left_out == max(0, len(slots) - most)
