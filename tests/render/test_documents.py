"""JSON and CSV."""

import csv
import io
import json
from importlib.resources import files
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from btcts.layout import FIVE_MINUTES, RESOLUTIONS
from btcts.model import REASONS, Slot, Tick
from btcts.render.documents import SLOT_FIELDS, overview_csv, overview_json, show_csv, show_json
from btcts.services.show import Shown, View
from render.views import NOW_MS, polled, view_of, walk, without

VIEWS = {
    "full": lambda *names: view_of(walk(), *names),
    "gaps": lambda *names: view_of(without(walk(), range(13, 27), range(600, 900)), *names),
    "polls only": lambda *names: view_of(polled(walk()), *names),
    "stale": lambda *names: view_of(without(walk(), range(14)), *names, age_s=843),
    "empty": lambda *names: view_of({}, *names),
    "simulated": lambda *names: view_of(walk(), *names, simulated=True),
}


def schema(name: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((files("btcts") / "schemas" / f"{name}.json").read_text("utf-8"))
    return document


def one_slot(close: float) -> View:
    slot = Slot(FIVE_MINUTES.start_of(NOW_MS), close, close, close, closed=False, settled=False, minutes=1)
    return View(NOW_MS, Tick(NOW_MS, close), 150.0, False, (Shown(FIVE_MINUTES, (slot,)),))


@pytest.mark.parametrize("name", ["show", "overview"])
def test_the_schemas_are_schemas(name: str) -> None:
    Draft202012Validator.check_schema(schema(name))


def test_both_schemas_describe_a_slot_alike() -> None:
    assert schema("show")["$defs"]["slot"] == schema("overview")["$defs"]["slot"]


@pytest.mark.parametrize("name", ["show", "overview"])
def test_the_schemas_say_what_every_field_means(name: str) -> None:
    document = schema(name)
    described = [*document["properties"].values(), *document["$defs"]["slot"]["properties"].values()]

    assert all(each.get("description") for each in described)


def test_the_schemas_know_the_reasons() -> None:
    assert schema("show")["$defs"]["slot"]["properties"]["reason"]["enum"] == [*REASONS, None]


@pytest.mark.parametrize("resolution", RESOLUTIONS)
@pytest.mark.parametrize("kind", VIEWS)
def test_what_show_says_follows_its_schema(kind: str, resolution: str) -> None:
    document = json.loads(show_json(VIEWS[kind](resolution)))

    Draft202012Validator(schema("show")).validate(document)


@pytest.mark.parametrize("kind", VIEWS)
def test_what_the_overview_says_follows_its_schema(kind: str) -> None:
    document = json.loads(overview_json(VIEWS[kind](*RESOLUTIONS)))

    Draft202012Validator(schema("overview")).validate(document)


def test_a_slot_says_when_it_starts_what_it_holds_and_how_far_it_counts() -> None:
    view = view_of(without(walk(), range(7, 8)), "5min")

    slot = json.loads(show_json(view))["slots"][-2]

    assert slot == {
        "start_ms": 1_768_407_300_000,
        "start": "2026-01-14T16:15:00Z",
        "close": view.shown[0].slots[-2].close,
        "min": view.shown[0].slots[-2].min,
        "max": view.shown[0].slots[-2].max,
        "closed": True,
        "settled": True,
        "minutes": 4,
        "missing": False,
        "reason": "not_reached",
    }


def test_an_empty_store_has_no_price_no_age_and_is_stale() -> None:
    document = json.loads(show_json(view_of({}, "15min")))

    assert (document["newest_ms"], document["price"], document["age_s"], document["stale"]) == (None, None, None, True)
    assert [each["missing"] for each in document["slots"]] == [True] * 5


def test_the_age_is_counted_from_the_newest_price() -> None:
    document = json.loads(show_json(view_of(walk(), "15min", age_s=3.25)))

    assert (document["generated_ms"], document["newest_ms"], document["age_s"]) == (NOW_MS, NOW_MS - 3_250, 3.25)


def test_a_price_stamped_slightly_ahead_is_new_not_negative() -> None:
    assert json.loads(show_json(view_of(walk(), "15min", age_s=-4)))["age_s"] == 0


def test_each_resolution_of_the_overview_has_the_slots_that_show_gives() -> None:
    overview = json.loads(overview_json(view_of(walk(), *RESOLUTIONS)))["resolutions"]

    alone = {name: json.loads(show_json(view_of(walk(), name))) for name in RESOLUTIONS}

    assert overview == {name: {"bucket_ms": each["bucket_ms"], "slots": each["slots"]} for name, each in alone.items()}


def test_a_document_stands_on_one_line() -> None:
    assert "\n" not in overview_json(view_of(walk(), *RESOLUTIONS))


@given(st.floats(min_value=1e-8, max_value=1e8))
def test_json_keeps_a_price_to_the_last_bit(close: float) -> None:
    assert json.loads(show_json(one_slot(close)))["slots"][0]["close"] == close


@given(st.floats(min_value=1e-8, max_value=1e8))
def test_csv_keeps_a_price_to_the_last_bit(close: float) -> None:
    _, row = show_csv(one_slot(close)).splitlines()

    assert float(row.split(",")[SLOT_FIELDS.index("close")]) == close


def test_json_has_the_slot_fields_that_csv_has() -> None:
    view = view_of(walk(), "5min")

    header = show_csv(view).splitlines()[0]

    assert header.split(",") == list(json.loads(show_json(view))["slots"][0])


@pytest.mark.parametrize("kind", VIEWS)
def test_csv_says_what_json_says(kind: str) -> None:
    view = VIEWS[kind]("hour")
    words = {None: "", True: "true", False: "false"}

    rows = list(csv.DictReader(io.StringIO(show_csv(view))))

    slots = json.loads(show_json(view))["slots"]
    assert rows == [
        {name: words[value] if value is None or isinstance(value, bool) else str(value) for name, value in slot.items()}
        for slot in slots
    ]


def test_csv_of_the_overview_names_the_resolution_first() -> None:
    rows = overview_csv(view_of(walk(), *RESOLUTIONS)).splitlines()

    assert rows[0] == "resolution," + ",".join(SLOT_FIELDS)
    assert [each.split(",")[0] for each in rows[1:]] == ["minute"] * 61 + ["5min"] * 13 + ["15min"] * 5 + ["hour"] * 25


def test_csv_ends_its_lines_as_unix_does() -> None:
    assert "\r" not in show_csv(view_of(walk(), "hour"))
