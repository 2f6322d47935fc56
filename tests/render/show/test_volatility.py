"""The volatility as columns of text."""

import re
from dataclasses import replace

import numpy as np
import pytest

from btcts.domain.layout import RESOLUTIONS
from btcts.domain.volatility import volatility
from btcts.render.show.volatility import build_volatility_columns, describe_basis
from btcts.services.show import Shown
from render.views import Walk, view_of, walk, without

GAPPY = without(walk(), range(13, 27))


def shown(minutes: Walk, name: str = "5min") -> Shown:
    return view_of(minutes, name).shown


def rows(of: Shown, *, places: int = 2) -> list[list[str]]:
    """The rows, as the texts of their cells."""
    measured = volatility(of.slots, of.resolution.bucket_ms)
    columns = build_volatility_columns(measured, of, currency="USD", places=places, utc=True)
    cells = zip(*(each.cells for each in columns.values()), strict=True)
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
    of = shown(GAPPY)

    text = describe_basis(volatility(of.slots, of.resolution.bucket_ms))

    assert re.findall(r"\d+ [a-z ]+", text) == ["10 closed slots", "8 returns"]


def test_the_basis_knows_one_from_many() -> None:
    of = shown(walk())

    text = describe_basis(volatility(of.slots[-3:], of.resolution.bucket_ms))

    assert re.findall(r"\d+ [a-z ]+", text) == ["2 closed slots", "1 return"]
