"""The columns of a table of slots and of their volatility, the figures against numpy on the same prices."""

import re
from dataclasses import replace

import numpy as np
import pytest

from btcts.domain.layout import FIVE_MINUTES, RESOLUTIONS
from btcts.domain.statistics import volatility_of
from btcts.render.columns import Column
from btcts.render.figures import price
from btcts.render.show.slots import build_slot_columns, build_volatility_columns, describe_basis
from btcts.services.show import Shown
from render.views import NOW_MS, Walk, view_of, walk, with_slots, with_trades, without

WALKS = {"cents": walk(0.5), "usual": walk(), "extreme": walk(swing=0.2), "million": walk(1e6)}
GAPPY = without(walk(), range(13, 27), range(45, 46))


def shown(minutes: Walk, name: str = "5min") -> Shown:
    return view_of(minutes, name).shown


def columns(of: Shown, *, places: int = 2) -> dict[str, Column]:
    return build_slot_columns(of, now_ms=NOW_MS, places=places, utc=True, ascii_only=True)


def texts(of: Shown, name: str, *, places: int = 2) -> list[str]:
    return [each.text for each in columns(of, places=places)[name].cells]


@pytest.mark.parametrize("name", RESOLUTIONS)
@pytest.mark.parametrize("prices", WALKS)
def test_changes_are_what_numpy_makes_of_the_closes(prices: str, name: str) -> None:
    slots = shown(WALKS[prices], name)
    closes = np.array([each.close for each in slots.slots])

    first, *changes = texts(slots, "change", places=4)

    expected = zip(np.diff(closes), np.diff(closes) / closes[:-1], strict=True)
    assert first.strip() == ""
    assert [each.split() for each in changes] == [
        [f"{usd:+z,.4f}".replace("+0.0000", "0.0000"), f"{ratio:+z,.2%}".replace("+0.00%", "0.00%")]
        for usd, ratio in expected
    ]


@pytest.mark.parametrize("name", RESOLUTIONS)
@pytest.mark.parametrize("prices", WALKS)
def test_ranges_are_what_numpy_makes_of_min_and_max(prices: str, name: str) -> None:
    slots = shown(WALKS[prices], name)
    lows, highs = (np.array([getattr(each, field) for each in slots.slots]) for field in ("min", "max"))

    ranges = texts(slots, "range", places=4)

    expected = zip(highs - lows, highs / lows - 1, strict=True)
    assert [each.split() for each in ranges] == [[f"{usd:,.4f}", f"{ratio:,.3%}"] for usd, ratio in expected]


def test_the_percent_stands_alone_where_the_dollars_are_given_up() -> None:
    slots = shown(walk())

    assert texts(slots, "change%") == ["", *(each.split()[1] for each in texts(slots, "change")[1:])]
    assert texts(slots, "range%") == [each.split()[1] for each in texts(slots, "range")]


def test_no_change_is_told_into_or_out_of_a_missing_slot() -> None:
    slots = shown(GAPPY)

    changes = dict(zip(texts(slots, "start"), texts(slots, "change%"), strict=True))

    assert {start for start, change in changes.items() if not change} == {"15:20", "16:00", "16:05", "16:10"}


def test_a_missing_slot_has_neither_prices_nor_a_bar() -> None:
    slots = shown(GAPPY)
    at = texts(slots, "start").index("16:00")

    row = {name: texts(slots, name)[at].strip() for name in ("close", "min", "place", "max", "range", "minutes")}

    assert row == {"close": "no price", "min": "", "place": "", "max": "", "range": "", "minutes": "0/5"}


def test_the_bar_marks_the_close_between_min_and_max() -> None:
    (slot,) = shown(walk()).slots[-1:]
    low_to_high = (100.0, 101.0, 150.0, 199.0, 200.0)
    slots = tuple(slot._replace(min=100.0, max=200.0, close=each) for each in low_to_high)

    bars = texts(Shown(FIVE_MINUTES, slots), "place")

    assert bars == ["*-----]", "[*----]", "[--*--]", "[----*]", "[-----*"]


def test_the_state_counts_minutes_where_it_stands_alone() -> None:
    slots = shown(GAPPY)
    at = texts(slots, "start").index("15:35")

    forms = {name: texts(slots, name)[at] for name in ("minutes", "state", "brief", "word")}

    assert forms == {
        "minutes": "4/5",
        "state": "gap: not reached",
        "brief": "gap 4/5: not reached",
        "word": "gap 4/5",
    }


def test_a_slot_held_within_trades_is_exact_until_it_is_settled() -> None:
    slots = with_slots(view_of(GAPPY, "5min"), with_trades).parts[0]

    forms = {name: texts(slots, name) for name in ("state", "brief", "word")}

    assert {name: states[-1] for name, states in forms.items()} == {
        "state": "exact, 2:50 left",
        "brief": "exact 2:50",
        "word": "exact 2:50",
    }
    assert {*forms["word"][:-1]} == {"settled", "gap 0/5", "gap 1/5", "gap 4/5"}
    minutes = with_slots(view_of(GAPPY, "minute"), with_trades).parts[0]
    assert texts(minutes, "state")[-3:] == ["settled", "exact", "exact, 0:50 left"]


def test_the_open_is_a_column_where_any_is_known() -> None:
    known = with_slots(view_of(GAPPY, "5min"), with_trades).parts[0]

    assert texts(known, "open") == ["" if slot.open is None else price(slot.open, 2) for slot in known.slots]
    assert "open" not in columns(shown(GAPPY))


def test_a_minute_has_no_minutes_to_count() -> None:
    slots = shown(GAPPY, "minute")

    assert "minutes" not in columns(slots)
    assert {*texts(slots, "word")} == {"settled", "live", "gap", "open 0:50"}


def rows(of: Shown) -> list[list[str]]:
    """The rows of the volatility, as the texts of their cells."""
    measured = volatility_of(of.slots, of.resolution.bucket_ms)
    found = build_volatility_columns(measured, of, currency="USD", places=2, utc=True)
    cells = zip(*(each.cells for each in found.values()), strict=True)
    return [[cell.text for cell in row] for row in cells]


@pytest.mark.parametrize("name", RESOLUTIONS)
def test_the_figures_are_those_that_numpy_makes_of_the_closed_slots(name: str) -> None:
    of = shown(walk(), name)
    closed = of.slots[:-1]
    closes, lows, highs = (np.array([getattr(each, field) for each in closed]) for field in ("close", "min", "max"))
    realised = np.sqrt(np.mean(np.log(closes[1:] / closes[:-1]) ** 2))
    parkinson = np.sqrt(np.mean(np.log(highs / lows) ** 2) / (4 * np.log(2)))
    year = np.sqrt(365 * 86_400_000 / of.resolution.bucket_ms)

    high, low, whole, widest, *estimates = rows(of)

    at = np.argmax(highs - lows)
    assert (high[1:], low[1:]) == ([f"{highs.max():,.2f}", "", ""], [f"{lows.min():,.2f}", "", ""])
    assert whole[1:] == [f"{highs.max() - lows.min():,.2f}", f"{highs.max() / lows.min() - 1:.3%}", ""]
    assert widest[1:] == [f"{highs[at] - lows[at]:,.2f}", f"{highs[at] / lows[at] - 1:.3%}", ""]
    assert estimates == [
        ["Realised", "", f"{realised:.3%}", f"{realised * year:.1%}"],
        ["Parkinson", "", f"{parkinson:.3%}", f"{parkinson * year:.1%}"],
    ]


def test_the_widest_slot_is_named_by_its_start() -> None:
    assert [each[0] for each in rows(shown(walk()))][3] == "Widest 15:40"


def test_the_widest_slot_is_named_with_its_day_where_the_table_names_days() -> None:
    assert [each[0] for each in rows(shown(walk(), "hour"))][3] == "Widest Wed 04:00"


def test_what_too_few_slots_allow_no_word_on_is_a_dash() -> None:
    of = shown(walk())
    one_closed = replace(of, slots=of.slots[-2:])

    assert rows(one_closed)[-2:] == [["Realised", "", "-", "-"], ["Parkinson", "", "-", "-"]]


@pytest.mark.parametrize("minutes", [{}, without(walk(), range(3, 10_000))])
def test_without_a_closed_slot_with_a_price_there_is_nothing_to_tell(minutes: Walk) -> None:
    assert rows(shown(minutes)) == []


def test_the_basis_counts_slots_and_returns() -> None:
    of = shown(without(walk(), range(13, 27)))

    text = describe_basis(volatility_of(of.slots, of.resolution.bucket_ms))

    assert re.findall(r"\d+ [a-z ]+", text) == ["10 closed slots", "8 returns"]


def test_the_basis_knows_one_from_many() -> None:
    of = shown(walk())

    text = describe_basis(volatility_of(of.slots[-3:], of.resolution.bucket_ms))

    assert re.findall(r"\d+ [a-z ]+", text) == ["2 closed slots", "1 return"]
