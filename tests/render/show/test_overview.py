"""Moves and completeness in the overview."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from btcts.domain.layout import HOUR, RESOLUTIONS
from btcts.domain.model import HOUR_MS, MINUTE_MS
from btcts.domain.statistics import volatility_of
from btcts.render.columns import Column
from btcts.render.show.overview import build_moves_columns, build_summary_columns
from render.views import NOW_MS, Minute, Walk, view_of, walk, with_slots, without

MOVES = ("5min", "15min", "1h", "24h")


def row(columns: Mapping[str, Column], number: int = 0) -> dict[str, str]:
    """The texts of one row by the names of the columns."""
    return {name: column.cells[number].text for name, column in columns.items()}


def moves(minutes: Walk) -> dict[str, str]:
    return row(build_moves_columns(view_of(minutes, *RESOLUTIONS), places=2, ascii_only=True))


def at_100() -> dict[int, Minute]:
    """A walk that stands still."""
    return {start_ms: Minute(100.0, 100.0, 100.0) for start_ms in walk()}


@pytest.mark.parametrize(("name", "minutes_ago"), [("5min", 5), ("15min", 15), ("1h", 60)])
def test_a_move_counts_from_the_close_of_the_minute_that_long_ago(name: str, minutes_ago: int) -> None:
    minutes = at_100()
    minutes[max(minutes) - minutes_ago * MINUTE_MS] = Minute(80.0, 80.0, 80.0)

    measured = moves(minutes)

    assert {each: measured[each] for each in MOVES} == dict.fromkeys(MOVES, "0.00%") | {name: "+25.00%"}


def test_the_move_of_a_day_counts_from_the_close_of_the_hour_that_long_ago() -> None:
    minutes = at_100()
    minutes[min(minutes) + 59 * MINUTE_MS] = Minute(50.0, 50.0, 50.0)

    assert moves(minutes)["24h"] == "+100.00%"


def test_low_and_high_are_those_of_all_hours() -> None:
    minutes = at_100()
    minutes[min(minutes)] = Minute(90.0, 100.0, 100.0)
    minutes[max(minutes)] = Minute(100.0, 110.0, 100.0)

    measured = moves(minutes)

    assert (measured["low"], measured["high"], measured["range%"]) == ("90.00", "110.00", "22.222%")


@pytest.mark.parametrize(
    ("close", "bar"),
    [(90.0, "*---------------]"), (100.0, "[-------*-------]"), (110.0, "[---------------*")],
)
def test_the_newest_price_is_marked_between_the_low_and_the_high(close: float, bar: str) -> None:
    minutes = at_100()
    minutes[min(minutes)] = Minute(90.0, 110.0, 100.0)
    minutes[max(minutes)] = Minute(close, close, close)

    assert moves(minutes)["place"] == bar


def test_a_move_from_a_minute_without_a_price_is_not_invented() -> None:
    measured = moves(without(at_100(), range(15, 16)))

    assert (measured["5min"], measured["15min"], measured["1h"]) == ("0.00%", "-", "0.00%")


def test_what_the_slots_do_not_reach_back_to_is_not_known() -> None:
    last_ten = with_slots(view_of(at_100(), *RESOLUTIONS), lambda slots: slots[-10:])

    measured = row(build_moves_columns(last_ten, places=2, ascii_only=True))

    unknown = dict.fromkeys(("15min", "1h", "24h", "low", "high", "range%"), "-")
    assert measured == unknown | {"5min": "0.00%", "place": ""}


def test_without_a_newest_price_there_is_no_move() -> None:
    view = replace(view_of(at_100(), *RESOLUTIONS), newest=None)

    measured = row(build_moves_columns(view, places=2, ascii_only=True))

    assert {measured[each] for each in MOVES} == {"-"}
    assert measured["place"] == ""


def test_a_resolution_is_told_by_its_newest_closed_slot_and_its_completeness() -> None:
    minutes = without(walk(), range(600, 720))
    minutes[min(minutes)] = replace(minutes[min(minutes)], settled=False)
    view = view_of(minutes, "hour")

    summary = row(build_summary_columns(view.parts, places=2, utc=True, ascii_only=True))

    slot = view.shown.slots[-2]
    assert slot.start_ms == HOUR.start_of(NOW_MS) - HOUR.bucket_ms
    assert summary == {
        "name": "hour",
        "start": "15:00",
        "close": f"{slot.close:,.2f}",
        "min": f"{slot.min:,.2f}",
        "max": f"{slot.max:,.2f}",
        "place": "*-----]",
        "range": "1,122.52  1.727%",
        "range%": "1.727%",
        "slots": "23/24",
        "settled": "22/24",
        "volatility": f"{volatility_of(view.shown.slots, HOUR_MS).realised_per_year:.1%} a year",
    }


def test_without_a_closed_slot_the_open_one_stands_for_its_resolution() -> None:
    only_open = with_slots(view_of(walk(), "hour"), lambda slots: slots[-1:])

    summary = row(build_summary_columns(only_open.parts, places=2, utc=True, ascii_only=True))

    assert (summary["start"], summary["slots"], summary["settled"]) == ("16:00", "0/0", "0/0")
    assert summary["volatility"] == "-"
