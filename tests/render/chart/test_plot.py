"""The axes of a chart, and what it shows of which slots, in figures."""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from btcts.domain.layout import FIVE_MINUTES, RESOLUTIONS, Resolution
from btcts.domain.model import HOUR_MS, Slot, Tick
from btcts.render.chart.plot import (
    Candlestick,
    Label,
    PriceAxis,
    fit_price_axis,
    label_days,
    label_times,
    make_plot,
    place_labels,
)
from btcts.services.show import Shown, SlotsView
from render.charts import VIEWS
from render.views import NOW_MS, view_of

MORE_THAN_A_MOMENT = 1.001
JANUARY_MS = 1_768_348_800_000
"""2026-01-14 00:00 UTC."""

prices = st.floats(min_value=1e-5, max_value=1e8)
bounds = st.tuples(prices, prices).map(sorted)
heights = st.integers(min_value=4, max_value=200)

ROWS = 20


def labelled(axis: PriceAxis) -> list[Decimal]:
    return [Decimal(each.text.replace(",", "")) for each in axis.labels]


@given(bounds, heights)
def test_all_prices_have_room_on_their_axis(bounds: tuple[float, float], rows: int) -> None:
    low, high = bounds

    axis = fit_price_axis(low, high, rows=rows)

    assert 0 <= axis.height(low) <= axis.height(high) < rows


@given(bounds, heights, st.data())
def test_a_higher_price_never_stands_lower(bounds: tuple[float, float], rows: int, data: st.DataObject) -> None:
    axis = fit_price_axis(*bounds, rows=rows)
    values = sorted(data.draw(st.lists(st.floats(*bounds), min_size=2)))

    drawn = [axis.height(each) for each in values]

    assert drawn == sorted(drawn)


@given(bounds, heights)
def test_labels_are_round_and_a_round_step_apart(bounds: tuple[float, float], rows: int) -> None:
    values = labelled(fit_price_axis(*bounds, rows=rows))

    steps = {after - before for before, after in pairwise(values)}

    assert len(steps) <= 1
    assert {"".join(map(str, each.normalize().as_tuple().digits)) for each in steps} <= {"1", "2", "25", "5"}
    assert [value for value in values for step in steps if value % step] == []


@given(bounds, heights)
def test_a_label_stands_in_the_row_of_its_price(bounds: tuple[float, float], rows: int) -> None:
    axis = fit_price_axis(*bounds, rows=rows)

    stands = [int(axis.height(float(each))) for each in labelled(axis)]

    assert stands == [each.at for each in axis.labels]
    assert all(0 <= each < rows for each in stands)


@given(bounds, heights)
def test_there_is_a_label_and_from_ten_rows_on_there_are_two(bounds: tuple[float, float], rows: int) -> None:
    axis = fit_price_axis(*bounds, rows=rows)

    assert len(axis.labels) >= (2 if rows >= 10 else 1)


@given(prices, st.floats(min_value=MORE_THAN_A_MOMENT, max_value=1000), st.integers(min_value=10, max_value=200))
def test_most_of_the_height_is_used(low: float, times: float, rows: int) -> None:
    axis = fit_price_axis(low, low * times, rows=rows)

    assert axis.height(low * times) - axis.height(low) > 0.6 * rows


@given(prices, heights)
def test_what_hardly_moves_is_not_blown_up(price: float, rows: int) -> None:
    axis = fit_price_axis(price, price * 1.0001, rows=rows)

    assert axis.height(price * 1.0001) - axis.height(price) < rows / 9


@pytest.mark.parametrize(
    ("low", "high", "texts"),
    [
        (64_012.0, 64_987.0, ["64,000", "64,200", "64,400", "64,600", "64,800", "65,000"]),
        (1.0, 1.012, ["1.0000", "1.0025", "1.0050", "1.0075", "1.0100", "1.0125"]),
        (0.000012, 0.0000121, ["0.00001200", "0.00001202", "0.00001204", "0.00001206", "0.00001208", "0.00001210"]),
        (995_000.0, 1_032_000.0, ["1,000,000", "1,010,000", "1,020,000", "1,030,000"]),
        (6_400.0, 64_000.0, ["20,000", "40,000", "60,000"]),
        (64_000.0, 64_000.0, ["63,975", "64,000", "64,025"]),
    ],
)
def test_labels_have_the_decimals_of_their_step(low: float, high: float, texts: list[str]) -> None:
    axis = fit_price_axis(low, high, rows=16)

    assert [each.text for each in axis.labels] == texts


def test_an_axis_does_not_go_below_zero_dollars() -> None:
    axis = fit_price_axis(0.1, 34.0, rows=20)

    assert axis.labels[0] == Label(0, "0")


@pytest.mark.parametrize(
    ("name", "apart", "texts"),
    [
        ("minute", 7, ["15:30", "15:40", "15:50", "16:00", "16:10", "16:20"]),
        ("5min", 1.75, ["15:20", "15:30", "15:40", "15:50", "16:00", "16:10", "16:20"]),
        ("15min", 0.3, ["15:15", "15:30", "15:45", "16:00", "16:15"]),
        ("hour", 3.5, ["16:00", "20:00", "00:00", "04:00", "08:00", "12:00", "16:00"]),
        ("hour", 99, ["00:00"]),
    ],
)
def test_labelled_times_are_round(name: str, apart: float, texts: list[str]) -> None:
    resolution = RESOLUTIONS[name]
    starts_ms = resolution.slots(NOW_MS)

    labels = label_times(starts_ms, bucket_ms=resolution.bucket_ms, apart=apart, utc=True)

    assert [each.text for each in labels] == texts


@given(st.sampled_from([*RESOLUTIONS.values()]), st.floats(min_value=0.1, max_value=24))
def test_labelled_times_are_as_far_apart_as_asked(resolution: Resolution, apart: float) -> None:
    starts_ms = resolution.slots(NOW_MS)

    places = [each.at for each in label_times(starts_ms, bucket_ms=resolution.bucket_ms, apart=apart, utc=True)]

    assert all(after - before >= apart for before, after in pairwise(places))


def test_where_hours_do_not_start_on_the_hour_those_of_the_day_are_counted(set_zone: Callable[[str], None]) -> None:
    set_zone("Asia/Kathmandu")
    starts_ms = range(JANUARY_MS, JANUARY_MS + 12 * HOUR_MS, HOUR_MS)

    labels = label_times(starts_ms, bucket_ms=HOUR_MS, apart=3.5, utc=False)

    assert list(labels) == [Label(3, "08:45"), Label(7, "12:45"), Label(11, "16:45")]


def test_the_day_is_said_at_first_and_where_another_begins() -> None:
    starts_ms = range(JANUARY_MS - 5 * HOUR_MS, JANUARY_MS + 5 * HOUR_MS, HOUR_MS)

    assert list(label_days(starts_ms, utc=True)) == [Label(0, "Tue 13 Jan"), Label(5, "Wed 14 Jan")]


@pytest.mark.parametrize(
    ("midnight_ms", "labels"),
    [
        (1_774_742_400_000, [Label(0, "Sun 29 Mar CET"), Label(1, "Sun 29 Mar CEST")]),
        (1_792_886_400_000, [Label(0, "Sun 25 Oct CEST"), Label(1, "Sun 25 Oct CET")]),
    ],
)
def test_the_zones_are_said_where_the_clocks_change(
    midnight_ms: int, labels: list[Label], set_zone: Callable[[str], None]
) -> None:
    set_zone("Europe/Berlin")
    starts_ms = range(midnight_ms, midnight_ms + 3 * HOUR_MS, HOUR_MS)

    assert list(label_days(starts_ms, utc=False)) == labels


labels = st.lists(
    st.builds(Label, at=st.just(0), text=st.text("0", min_size=1, max_size=12), start=st.integers(-10, 100).map(float)),
    max_size=20,
)


@given(labels, st.integers(min_value=1, max_value=100))
def test_placed_labels_never_touch_and_never_leave_the_room(labels: list[Label], room: int) -> None:
    kept = sorted(place_labels(labels, letter=1, right=room), key=lambda each: each.start)

    assert all(0 <= each.start <= room - len(each.text) for each in kept)
    assert all(before.start + len(before.text) + 2 <= after.start for before, after in pairwise(kept))


def test_of_labels_that_collide_the_newer_one_stays() -> None:
    wanted = [Label(0, "Tue 13 Jan", 0), Label(5, "Wed 14 Jan", 5)]

    assert place_labels(wanted, letter=1, right=40) == [wanted[1]]


def test_a_label_beyond_the_edge_is_moved_inwards() -> None:
    assert place_labels([Label(3, "16:00", 18)], letter=1, right=20) == [Label(3, "16:00", 15)]


def view_with(*slots: Slot, newest: float | None = None) -> SlotsView:
    tick = None if newest is None else Tick(NOW_MS, newest)
    return replace(view_of({}, "5min"), newest=tick, shown=Shown(FIVE_MINUTES, slots))


def slot(at: int, close: float | None, low: float | None = None, high: float | None = None) -> Slot:
    start_ms = FIVE_MINUTES.start_of(NOW_MS) + at * FIVE_MINUTES.bucket_ms
    return Slot(start_ms, close, low or close, high or close, closed=True, settled=True, minutes=5)


def candlesticks(*slots: Slot) -> list[Candlestick | None]:
    plotted = make_plot(view_with(*slots), most=len(slots), rows=ROWS)
    assert plotted is not None
    return list(plotted.candlesticks)


def test_without_it_a_body_opens_at_the_close_of_the_slot_before() -> None:
    assert candlesticks(slot(0, 10.0), slot(1, 12.0, 9.0, 13.0))[1] == Candlestick(10.0, 12.0, 9.0, 13.0)


def test_a_body_opens_at_the_first_price_of_its_slot_where_that_is_known() -> None:
    opened = slot(1, 12.0, 9.0, 13.0)._replace(open=11.0)

    drawn = candlesticks(slot(0, 10.0), opened, slot(2, 14.0))

    assert drawn[1:] == [Candlestick(11.0, 12.0, 9.0, 13.0), Candlestick(12.0, 14.0, 14.0, 14.0)]


def test_the_first_slot_and_one_after_a_gap_have_no_open() -> None:
    drawn = candlesticks(slot(0, 10.0), slot(1, None), slot(2, 12.0))

    assert drawn == [Candlestick(None, 10.0, 10.0, 10.0), None, Candlestick(None, 12.0, 12.0, 12.0)]


def test_a_slot_that_was_left_out_still_gives_the_open_of_the_next() -> None:
    plotted = make_plot(view_with(slot(0, 10.0), slot(1, 12.0)), most=1, rows=ROWS)

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
    assert make_plot(view_with(slot(0, None), slot(1, None), newest=10.0), most=2, rows=ROWS) is None


def test_the_newest_price_is_marked_where_it_lies_on_the_axis() -> None:
    view = view_with(slot(0, 10.0), slot(1, 12.0), newest=11.0)

    plotted = make_plot(view, most=2, rows=ROWS)

    assert plotted is not None
    assert plotted.marked == 11.0


@pytest.mark.parametrize("newest", [Tick(NOW_MS, 100.0), Tick(NOW_MS, 0.1), None])
def test_a_newest_price_beyond_the_slots_moves_no_axis(newest: Tick | None) -> None:
    view = view_with(slot(0, 10.0), slot(1, 12.0))

    plotted = make_plot(replace(view, newest=newest), most=2, rows=ROWS)

    assert plotted == make_plot(view, most=2, rows=ROWS)


slots = st.lists(st.none() | st.tuples(prices, prices, prices).map(sorted), min_size=1, max_size=70)


@given(slots, st.integers(min_value=1, max_value=80), st.integers(min_value=4, max_value=100))
def test_every_candlestick_lies_on_the_axis(slots: list[list[float] | None], most: int, rows: int) -> None:
    view = view_with(*(slot(at, each and each[1], each and each[0], each and each[2]) for at, each in enumerate(slots)))

    plotted = make_plot(view, most=most, rows=rows)

    drawn = [each for each in plotted.candlesticks if each] if plotted else []
    for stick in drawn:
        low, close, high = map(plotted.axis.height, (stick.min, stick.close, stick.max))
        bottom, top = map(plotted.axis.height, stick.body)
        assert 0 <= min(low, bottom) <= low <= close <= high <= max(high, top) < rows
        assert bottom <= close <= top


@pytest.mark.parametrize("most", [1, 5, 60, 100])
def test_the_newest_slots_that_have_room_are_plotted(most: int) -> None:
    slots = VIEWS["minute"].shown.slots

    plotted = make_plot(VIEWS["minute"], most=most, rows=ROWS)

    assert plotted is not None
    assert plotted.shown.slots == slots[-most:]
    assert plotted.left_out == max(0, len(slots) - most)
