"""Alerts as lines, JSON and variables."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from btcts.config import BTC_USD
from btcts.domain.model import HOUR_MS, PRICE_CEILING
from btcts.render.watch import NOTICES, alert_json, alert_line, alert_message, list_alert_variables, notice_line
from btcts.services.watch.outbox import Notice
from btcts.services.watch.rules import KINDS, Alert
from render.snapshot import assert_as_stored
from render.views import NOW_MS
from support.schemas import read_schema

ABOVE = Alert(rule="above 64000", kind="above", time_ms=NOW_MS, found_ms=NOW_MS, price=64_123.45, reference=64_000.0)
BELOW = replace(ABOVE, rule="below 64000", kind="below", price=63_990.5)
RISE = Alert(
    rule="move +5/1h",
    kind="rise",
    time_ms=NOW_MS,
    found_ms=NOW_MS,
    price=64_050.0,
    reference=61_000.0,
    reference_ms=NOW_MS - 600_000,
    span_ms=HOUR_MS,
)
FALL = replace(RISE, rule="move -3/90s", kind="fall", price=58_560.0, span_ms=90_000)
STALE = Alert(
    rule="stale",
    kind="stale",
    time_ms=NOW_MS - 40_000,
    found_ms=NOW_MS,
    reference=64_123.45,
    reference_ms=NOW_MS - 190_000,
)
FRESH = Alert(rule="stale", kind="fresh", time_ms=NOW_MS, found_ms=NOW_MS, price=64_200.0)

prices = st.floats(1e-8, PRICE_CEILING)
alerts = st.builds(
    Alert,
    rule=st.text(),
    kind=st.sampled_from(KINDS),
    time_ms=st.just(NOW_MS),
    found_ms=st.integers(NOW_MS, NOW_MS + HOUR_MS),
    price=st.none() | prices,
    reference=st.none() | prices,
    reference_ms=st.none() | st.just(NOW_MS - 1000),
    span_ms=st.none() | st.integers(1, 86_400).map(lambda seconds: seconds * 1000),
    already=st.booleans(),
    simulated=st.booleans(),
    after_ms=st.none() | st.just(NOW_MS - 1000),
)


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    """The schema of an alert."""
    document: dict[str, Any] = read_schema("watch")
    return document


@pytest.mark.parametrize(
    ("alert", "message"),
    [
        (ABOVE, "BTC-USD rose to 64,123.45, at or above 64,000.00"),
        (BELOW, "BTC-USD fell to 63,990.50, at or below 64,000.00"),
        (replace(ABOVE, already=True), "BTC-USD is at 64,123.45, already at or above 64,000.00"),
        (RISE, "BTC-USD rose 5.00% within 1 h, from 61,000.00 to 64,050.00"),
        (FALL, "BTC-USD fell 4.00% within 1 min 30 s, from 61,000.00 to 58,560.00"),
        (STALE, "BTC-USD has no fresh price: the last, 64,123.45, is 3 min 10 s old"),
        (replace(STALE, reference=None, reference_ms=None), "BTC-USD has no price that can be read"),
        (FRESH, "BTC-USD has fresh prices again: 64,200.00"),
        (replace(ABOVE, simulated=True), "simulated BTC-USD rose to 64,123.45, at or above 64,000.00"),
        (
            replace(ABOVE, found_ms=NOW_MS + 2 * HOUR_MS),
            "BTC-USD rose to 64,123.45, at or above 64,000.00 (found 2 h later)",
        ),
        (
            replace(ABOVE, after_ms=NOW_MS - 1_000),
            "BTC-USD rose to 64,123.45, at or above 64,000.00 (between two prices, 1 s apart)",
        ),
        (
            replace(ABOVE, after_ms=NOW_MS - 60_000, found_ms=NOW_MS + 2 * HOUR_MS),
            "BTC-USD rose to 64,123.45, at or above 64,000.00 (between two prices, 1 min apart; found 2 h later)",
        ),
    ],
    ids=lambda value: "" if isinstance(value, str) else value.kind,
)
def test_the_message_says_what_happened_in_a_sentence(alert: Alert, message: str) -> None:
    assert alert_message(alert, BTC_USD) == message


def test_a_line_begins_with_the_time_of_the_price(set_zone: Callable[[str], None]) -> None:
    set_zone("Asia/Kathmandu")
    found = replace(ABOVE, found_ms=NOW_MS + 5_000)

    assert alert_line(found, BTC_USD, utc=True) == f"2026-01-14 16:22:10 UTC  {alert_message(found, BTC_USD)}"
    assert alert_line(found, BTC_USD, utc=False).startswith("2026-01-14 22:07:10 +0545  BTC-USD rose")


def test_the_document_has_every_field() -> None:
    document = json.loads(alert_json(RISE, BTC_USD))

    assert document == {
        "schema": 1,
        "market": "BTC-USD",
        "simulated": False,
        "id": RISE.id,
        "rule": "move +5/1h",
        "kind": "rise",
        "message": alert_message(RISE, BTC_USD),
        "time_ms": NOW_MS,
        "time": "2026-01-14T16:22:10Z",
        "found_ms": NOW_MS,
        "price": 64_050.0,
        "reference": 61_000.0,
        "reference_ms": NOW_MS - 600_000,
        "span_s": 3600,
        "change": 0.05,
        "already": False,
        "after_ms": None,
    }


@given(alert=alerts)
def test_the_document_is_as_the_schema_says_on_one_line(schema: dict[str, Any], alert: Alert) -> None:
    text = alert_json(alert, BTC_USD)

    Draft202012Validator(schema).validate(json.loads(text))
    assert "\n" not in text


def test_the_schema_is_one_and_says_what_every_field_means(schema: dict[str, Any]) -> None:
    Draft202012Validator.check_schema(schema)

    assert list(schema["properties"]) == schema["required"]
    assert all(each["description"] for each in schema["properties"].values())
    assert tuple(schema["properties"]["kind"]["enum"]) == KINDS


def test_the_variables_are_the_fields_of_the_document() -> None:
    variables = list_alert_variables(STALE, BTC_USD)

    assert set(variables) == {f"BTCTS_ALERT_{name.upper()}" for name in json.loads(alert_json(STALE, BTC_USD))}
    assert variables["BTCTS_ALERT_KIND"] == "stale"
    assert variables["BTCTS_ALERT_PRICE"] == ""
    assert variables["BTCTS_ALERT_ALREADY"] == "false"
    assert list_alert_variables(RISE, BTC_USD)["BTCTS_ALERT_PRICE"] == "64050.0"


def test_every_notice_about_the_watch_has_its_line() -> None:
    values = {"rule": "above 5", "way": "exec", "problem": "sh ended with exit code 3", "advice": "make a new one"}

    lines = [notice_line(Notice(code, {**values, "where": "redis:6379", "age_s": 61.4})) for code in NOTICES]

    assert_as_stored("watch-notices", "\n".join(lines) + "\n")
