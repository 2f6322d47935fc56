"""The columns of a table of slots, their figures against numpy on the same prices."""

from dataclasses import replace

import numpy as np
import pytest

from btcts.domain.layout import FIVE_MINUTES, RESOLUTIONS
from btcts.render.columns import Column
from btcts.render.show.slots import build_slot_columns, describe_gaps
from btcts.services.show import Shown
from render.views import NOW_MS, Walk, polled, view_of, walk, without

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
    slots = tuple(replace(slot, min=100.0, max=200.0, close=each) for each in low_to_high)

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


def test_a_minute_has_no_minutes_to_count() -> None:
    slots = shown(GAPPY, "minute")

    assert "minutes" not in columns(slots)
    assert {*texts(slots, "word")} == {"settled", "live", "gap", "open 0:50"}


@pytest.mark.parametrize(
    ("minutes", "text"),
    [
        (walk(), ""),
        (polled(walk()), ""),
        (without(walk(), range(45, 46)), "1 incomplete (not reached)"),
        (without(walk(), range(12, 18)), "1 empty, 1 incomplete (not reached)"),
        ({}, "12 empty (not reached)"),
    ],
)
def test_gaps_are_counted_by_how_much_is_missing(minutes: Walk, text: str) -> None:
    assert describe_gaps(shown(minutes)) == text


def test_gaps_without_a_known_reason_are_counted_too() -> None:
    slots = shown({})

    assert describe_gaps(replace(slots, slots=tuple(replace(each, reason=None) for each in slots.slots))) == "12 empty"
