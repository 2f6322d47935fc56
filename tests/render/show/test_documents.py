"""JSON and CSV."""

import csv
import io
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from btcts.domain.layout import FIVE_MINUTES, RESOLUTIONS
from btcts.domain.model import REASONS, Slot, Tick
from btcts.domain.statistics import volatility_of
from btcts.render.figures import percent, price
from btcts.render.show.documents import SLOT_FIELDS, view_csv, view_json
from btcts.render.show.overview import build_moves_columns
from btcts.services.show import Shown, View
from render.views import NOW_MS, polled, view_of, walk, with_slots, with_trades, without
from support.schemas import read_schema

VIEWS = {
    "full": lambda *names: view_of(walk(), *names),
    "gaps": lambda *names: view_of(without(walk(), range(13, 27), range(600, 900)), *names),
    "polls only": lambda *names: view_of(polled(walk()), *names),
    "stale": lambda *names: view_of(without(walk(), range(14)), *names, age_s=843),
    "empty": lambda *names: view_of({}, *names),
    "simulated": lambda *names: view_of(walk(), *names, simulated=True),
}


def schema(name: str) -> dict[str, Any]:
    document: dict[str, Any] = read_schema(name)
    return document


def one_slot(close: float) -> View:
    slot = Slot(FIVE_MINUTES.start_of(NOW_MS), close, close, close, closed=False, settled=False, minutes=1)
    return replace(view_of({}, "5min"), newest=Tick(NOW_MS, close), shown=Shown(FIVE_MINUTES, (slot,)))


@pytest.mark.parametrize("name", ["show", "overview"])
def test_the_schemas_are_schemas(name: str) -> None:
    Draft202012Validator.check_schema(schema(name))


@pytest.mark.parametrize("part", ["slot", "gaps", "volatility", "range"])
def test_both_schemas_describe_what_they_share_alike(part: str) -> None:
    assert schema("show")["$defs"][part] == schema("overview")["$defs"][part]


@pytest.mark.parametrize("name", ["show", "overview"])
def test_the_schemas_say_what_every_field_means(name: str) -> None:
    document = schema(name)
    objects = [document, *(each for part, each in document["$defs"].items())]
    described = [field for each in objects for field in each["properties"].values()]

    assert all(each.get("description") or each.get("$ref") == "#/$defs/resolution" for each in described)


def test_the_schemas_know_the_reasons() -> None:
    parts = schema("show")["$defs"]

    assert parts["slot"]["properties"]["reason"]["enum"] == [*REASONS, None]
    assert parts["gaps"]["properties"]["reasons"]["propertyNames"]["enum"] == [*REASONS, "unknown"]


@pytest.mark.parametrize("resolution", RESOLUTIONS)
@pytest.mark.parametrize("kind", VIEWS)
def test_what_show_says_follows_its_schema(kind: str, resolution: str) -> None:
    document = json.loads(view_json(VIEWS[kind](resolution)))

    Draft202012Validator(schema("show")).validate(document)


@pytest.mark.parametrize("kind", VIEWS)
def test_what_the_overview_says_follows_its_schema(kind: str) -> None:
    document = json.loads(view_json(VIEWS[kind](*RESOLUTIONS)))

    Draft202012Validator(schema("overview")).validate(document)


def test_a_slot_says_when_it_starts_what_it_holds_and_how_far_it_counts() -> None:
    view = view_of(without(walk(), range(7, 8)), "5min")

    slot = json.loads(view_json(view))["slots"][-2]

    assert slot == {
        "start_ms": 1_768_407_300_000,
        "start": "2026-01-14T16:15:00Z",
        "close": view.shown.slots[-2].close,
        "min": view.shown.slots[-2].min,
        "max": view.shown.slots[-2].max,
        "closed": True,
        "settled": True,
        "minutes": 4,
        "missing": False,
        "reason": "not_reached",
        "open": None,
        "exact": False,
    }


def test_a_slot_held_within_trades_says_so_with_its_first_price() -> None:
    view = with_slots(view_of(walk(), *RESOLUTIONS), with_trades)
    first = {shown.resolution.name: [slot.open for slot in shown.slots] for shown in view.parts}

    document = json.loads(view_json(view))

    Draft202012Validator(schema("overview")).validate(document)
    told = {name: part["slots"] for name, part in document["resolutions"].items()}
    assert {name: [slot["open"] for slot in slots] for name, slots in told.items()} == first
    assert all(slot["exact"] for slots in told.values() for slot in slots)


def test_closed_slots_that_lack_minutes_are_counted_by_their_reason() -> None:
    view = view_of(without(walk(), range(13, 27), range(40, 41)), "5min")

    gaps = json.loads(view_json(view))["gaps"]

    assert gaps == {"empty": 2, "incomplete": 2, "minutes": 15, "reasons": {"not_reached": 4}}


def test_what_nobody_looked_into_is_a_gap_for_an_unknown_reason() -> None:
    view = one_slot(64_000.0)
    view = with_slots(view, lambda slots: (slots[0]._replace(closed=True),))

    assert json.loads(view_json(view))["gaps"]["reasons"] == {"unknown": 1}


def test_the_volatility_is_that_of_the_slots_in_the_document() -> None:
    view = view_of(walk(), "5min")
    measured = volatility_of(view.shown.slots, FIVE_MINUTES.bucket_ms)
    assert measured.range
    assert measured.widest

    said = json.loads(view_json(view))["volatility"]

    assert said == {
        "low": measured.range.low,
        "high": measured.range.high,
        "range": {
            "start_ms": measured.range.start_ms,
            "usd": measured.range.high - measured.range.low,
            "ratio": measured.range.ratio,
        },
        "widest": {
            "start_ms": measured.widest.start_ms,
            "usd": measured.widest.width,
            "ratio": measured.widest.ratio,
        },
        "returns": 11,
        "realised": measured.realised,
        "realised_per_year": measured.realised_per_year,
        "ranges": 12,
        "parkinson": measured.parkinson,
        "parkinson_per_year": measured.parkinson_per_year,
    }


def test_what_is_not_known_of_the_volatility_and_the_moves_is_null() -> None:
    empty = json.loads(view_json(view_of({}, *RESOLUTIONS)))
    measured = empty["resolutions"]["hour"]["volatility"]

    assert (measured["low"], measured["range"], measured["widest"], measured["realised"]) == (None, None, None, None)
    assert (measured["returns"], measured["ranges"]) == (0, 0)
    assert empty["change"] == {"5min": None, "15min": None, "1h": None, "24h": None}
    assert (empty["low_24h"], empty["high_24h"]) == (None, None)


def test_the_moves_are_those_of_the_table() -> None:
    view = view_of(walk(), *RESOLUTIONS)
    table = build_moves_columns(view, places=2, ascii_only=False)

    document = json.loads(view_json(view))

    assert {span: percent(each["ratio"]) for span, each in document["change"].items()} == {
        span: table[span].cells[0].text for span in document["change"]
    }
    assert price(document["low_24h"], 2) == table["low"].cells[0].text
    assert price(document["high_24h"], 2) == table["high"].cells[0].text


def test_the_providers_that_agreed_are_named() -> None:
    view = replace(view_of(walk(), "5min"), members=("coinbase", "kraken"))

    assert json.loads(view_json(view))["members"] == ["coinbase", "kraken"]


def test_an_empty_store_has_no_price_no_age_and_is_stale() -> None:
    document = json.loads(view_json(view_of({}, "15min")))

    assert (document["newest_ms"], document["price"], document["age_s"], document["stale"]) == (None, None, None, True)
    assert [each["missing"] for each in document["slots"]] == [True] * 5


def test_the_age_is_counted_from_the_newest_price() -> None:
    document = json.loads(view_json(view_of(walk(), "15min", age_s=3.25)))

    assert (document["generated_ms"], document["newest_ms"], document["age_s"]) == (NOW_MS, NOW_MS - 3_250, 3.25)


def test_a_price_stamped_slightly_ahead_is_new_not_negative() -> None:
    assert json.loads(view_json(view_of(walk(), "15min", age_s=-4)))["age_s"] == 0


def test_each_resolution_of_the_overview_has_what_show_says_of_it() -> None:
    overview = json.loads(view_json(view_of(walk(), *RESOLUTIONS)))["resolutions"]

    alone = {name: json.loads(view_json(view_of(walk(), name))) for name in RESOLUTIONS}

    assert overview == {name: {part: alone[name][part] for part in each} for name, each in overview.items()}
    assert list(overview["hour"]) == ["bucket_ms", "slots", "gaps", "volatility"]


def test_a_document_stands_on_one_line() -> None:
    assert "\n" not in view_json(view_of(walk(), *RESOLUTIONS))


@given(st.floats(min_value=1e-8, max_value=1e8))
def test_json_keeps_a_price_to_the_last_bit(close: float) -> None:
    assert json.loads(view_json(one_slot(close)))["slots"][0]["close"] == close


@given(st.floats(min_value=1e-8, max_value=1e8))
def test_csv_keeps_a_price_to_the_last_bit(close: float) -> None:
    _, row = view_csv(one_slot(close)).splitlines()

    assert float(row.split(",")[SLOT_FIELDS.index("close")]) == close


def test_json_has_the_slot_fields_that_csv_has() -> None:
    view = view_of(walk(), "5min")

    header = view_csv(view).splitlines()[0]

    assert header.split(",") == list(json.loads(view_json(view))["slots"][0])


@pytest.mark.parametrize("kind", VIEWS)
def test_csv_says_what_json_says(kind: str) -> None:
    view = VIEWS[kind]("hour")
    words = {None: "", True: "true", False: "false"}

    rows = list(csv.DictReader(io.StringIO(view_csv(view))))

    slots = json.loads(view_json(view))["slots"]
    assert rows == [
        {name: words[value] if value is None or isinstance(value, bool) else str(value) for name, value in slot.items()}
        for slot in slots
    ]


def test_csv_of_the_overview_names_the_resolution_first() -> None:
    rows = view_csv(view_of(walk(), *RESOLUTIONS)).splitlines()

    assert rows[0] == "resolution," + ",".join(SLOT_FIELDS)
    assert [each.split(",")[0] for each in rows[1:]] == ["minute"] * 61 + ["5min"] * 13 + ["15min"] * 5 + ["hour"] * 25


def test_csv_ends_its_lines_as_unix_does() -> None:
    assert "\r" not in view_csv(view_of(walk(), "hour"))
