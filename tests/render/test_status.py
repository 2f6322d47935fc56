"""The status of a store as a page and as a document."""

import json
import re
from dataclasses import replace
from typing import Any

import pytest
import redis
from jsonschema import Draft202012Validator

from btcts.config import BTC_USD
from btcts.domain.codes import FaultCode, StreamCode, WarningCode
from btcts.domain.model import ProviderState, StreamState
from btcts.render.status import status_json, status_lines
from btcts.services.status import Status, status
from btcts.store import Facts, Fault, State, Store
from render.snapshot import assert_as_stored, join_lines
from support.schemas import read_schema
from support.series import HOUR, MINUTE, NOW, TICK, put
from support.wording import Wording

wording = Wording(__file__)

SAFE = {"appendonly": "yes", "appendfsync": "everysec", "save": "3600 1", "maxmemory-policy": "noeviction"}

FACTS = Facts(ahead_ms=0, redis_version="8.2.1", module_version="8.2.1", parameters=SAFE)


CASES = ("fine", "unknown", "empty", "streams", "provider")

STREAMS = {
    "bitfinex": StreamState(NOW - 23 * HOUR - 59 * MINUTE, 84, NOW - 23 * HOUR - 59 * MINUTE, 12, 1440, 3),
    "coinbase": StreamState(NOW - 90_000, 1_204, None, 0, 30, 25, steady=True),
    "gemini": StreamState(None, None, NOW - 2_000, 1),
    "kraken": StreamState(
        None,
        60,
        NOW - 61_000,
        3,
        9,
        0,
        problem="no answer from ws.kraken.com (connection refused)",
        problem_code=StreamCode.REFUSED,
    ),
}
"""Streams that are whole, differ steadily, are not whole, and are not connected."""


@pytest.fixture
def fine(full: Store) -> Status:
    """The state of a store that is as it should be, on a server that keeps its data."""
    return replace(status(full, spooled=0), facts=FACTS)


def with_provider(found: Status, **state: Any) -> Status:
    return replace(found, state=State(providers={"kraken": ProviderState(**state)}))


def find_line(found: Status, name: str) -> str:
    """The line of the page that is about this."""
    (line,) = (line for line in status_lines(found, BTC_USD, utc=True, width=None) if line.startswith(f"{name} "))
    return line


def cases(fine: Status) -> dict[str, Status]:
    long = {"not_before_ms": NOW + HOUR, "why": "HTTP 429, Retry-After", "error": "HTTP 429 " * 9}
    return {
        "fine": fine,
        "unknown": replace(fine, facts=Facts(ahead_ms=0), spooled=None),
        "empty": replace(fine, newest=None, state=State(simulated=True)),
        "streams": replace(fine, state=replace(fine.state, streams=STREAMS, streams_ms=fine.now_ms)),
        "provider": with_provider(fine, answered_ms=NOW - 5_000, credits_left=9_912, **long),
    }


@pytest.mark.parametrize("name", CASES)
def test_the_document_is_as_its_schema_says(fine: Status, name: str) -> None:
    schema = read_schema("status")

    document = json.loads(status_json(cases(fine)[name], BTC_USD))

    Draft202012Validator.check_schema(schema)
    Draft202012Validator(schema).validate(document)


def test_the_document_of_a_broken_store_is_as_its_schema_says(client: redis.Redis, full: Store) -> None:
    schema = read_schema("status")
    client.delete("btc:price:hour", "btc:price:gaps")
    client.set("btc:price:gaps", "somebody's")

    document = json.loads(status_json(status(full, spooled=0), BTC_USD))

    Draft202012Validator(schema).validate(document)
    assert not document["healthy"]
    assert document["foreign"] == ["btc:price:gaps"]
    assert ("btc:price:hour", "missing_series") in [(fault["key"], fault["code"]) for fault in document["faults"]]
    assert document["reason_codes"][0] == "foreign_key"


@pytest.mark.parametrize("ticks", [{NOW: -4.0}, {NOW: 0.0}, {NOW: 1e300}, {99_999_999_999_999: 5.0}], ids=str)
def test_the_document_of_a_store_whose_newest_tick_is_refused_is_as_its_schema_says(
    client: redis.Redis, full: Store, ticks: dict[int, float]
) -> None:
    schema = read_schema("status")
    put(client, TICK, ticks)

    document = json.loads(status_json(status(full, spooled=0), BTC_USD))

    Draft202012Validator(schema).validate(document)
    assert [document[name] for name in ("healthy", "newest_ms", "price", "age_s")] == [False, None, None, None]


def test_the_page_says_how_much_memory_redis_may_use(fine: Status) -> None:
    found = replace(fine, facts=replace(fine.facts, own_bytes=1024, used_bytes=2048, max_bytes=1024**2))

    wording.check("memory", find_line(found, "Memory"))


@pytest.mark.parametrize("name", CASES)
def test_a_page_looks_as_it_did(fine: Status, name: str) -> None:
    assert_as_stored(f"status-{name}", join_lines(status_lines(cases(fine)[name], BTC_USD, utc=True, width=100)) + "\n")


@pytest.mark.parametrize(("width", "columns"), [(60, 60), (79, 60), (80, 80), (None, 80)])
def test_the_table_of_streams_is_shorter_in_a_narrow_terminal(fine: Status, width: int | None, columns: int) -> None:
    lines = [*status_lines(cases(fine)["streams"], BTC_USD, utc=True, width=width)]

    (table,) = [line for line in lines if line.startswith("Stream ")]
    assert len(table) <= columns
    assert ("Corrected" in table) == (columns > 60)


@pytest.mark.parametrize("ahead_ms", [-400, 0, 400])
def test_no_offset_of_a_clock_is_minus_zero(fine: Status, ahead_ms: int) -> None:
    found = replace(fine, state=State(ahead_ms=ahead_ms))

    wording.check("clock", find_line(found, "Clock"))


@pytest.mark.parametrize(("verbose", "lines"), [(False, 3), (True, 4)])
def test_many_faults_of_the_layout_are_counted_unless_all_are_asked_for(
    fine: Status, verbose: bool, lines: int
) -> None:
    faults = tuple(Fault(f"btc:price:{key}", FaultCode.MISSING) for key in ("minute", "5min", "15min", "hour"))
    found = replace(fine, inspection=fine.inspection._replace(faults=faults))

    page = join_lines(status_lines(found, BTC_USD, utc=True, width=None, verbose=verbose))

    assert page.count("unhealthy: ") == lines
    assert ("unhealthy: 2 more " in page) == (not verbose)


@pytest.mark.parametrize(
    ("names", "cause", "verbose", "lines"),
    [
        (("bitstamp", "gemini", "kraken"), "names", False, 1),
        (("bitstamp", "gemini", "kraken"), "names", True, 3),
        (("gemini", "kraken"), "names", False, 2),
        (("bitstamp", "gemini", "kraken"), "", False, 3),
        (("bitstamp", "gemini", "kraken"), "of a later version", False, 3),
    ],
)
def test_a_failure_that_three_providers_share_is_one_line(
    fine: Status, names: tuple[str, ...], cause: str, verbose: bool, lines: int
) -> None:
    failed = {
        name: ProviderState(error=f"no answer from {name} (why)", cause=cause, reason="why", said_ms=fine.now_ms)
        for name in names
    }
    found = replace(fine, state=State(providers=failed))

    page = join_lines(status_lines(found, BTC_USD, utc=True, width=None, verbose=verbose))

    said = [line for line in page.split("\n") if line.startswith("warning: ") and "(why)" in line]
    assert len(said) == lines
    assert all(any(name in line.partition(" (")[0] for line in said) for name in names)
    assert [warning.code for warning in found.warnings].count(WarningCode.PROVIDER_FAILED) == len(names)


def test_the_page_says_what_a_provider_waits_for(fine: Status) -> None:
    found = with_provider(
        fine, answered_ms=fine.now_ms - 90_000, not_before_ms=fine.now_ms + 60_000, why="budget", credits_left=9_912
    )

    wording.check("a provider that waits", find_line(found, "kraken"))


def test_an_error_that_is_what_a_provider_waits_for_is_said_once(fine: Status) -> None:
    found = with_provider(fine, not_before_ms=fine.now_ms + 60_000, why="HTTP 429", error="HTTP 429")

    page = join_lines(status_lines(found, BTC_USD, utc=True, width=None))

    assert page.count("HTTP 429") == 1
    wording.check("a provider that fails and waits", find_line(found, "kraken"))


def test_the_document_has_the_state_of_each_stream(fine: Status) -> None:
    document = json.loads(status_json(cases(fine)["streams"], BTC_USD))

    assert document["streams"]["gemini"] == {**STREAMS["gemini"]._asdict(), "problem": None, "problem_code": None}
    assert document["streams"]["kraken"] == STREAMS["kraken"]._asdict()


def test_a_code_of_a_newer_version_counts_as_failed(fine: Status) -> None:
    streams = {"kraken": StreamState(problem="why", problem_code="newer")}
    found = replace(fine, state=replace(fine.state, streams=streams, streams_ms=fine.now_ms))

    assert json.loads(status_json(found, BTC_USD))["streams"]["kraken"]["problem_code"] == "failed"


def test_no_stream_is_ahead_of_the_present(fine: Status) -> None:
    streams = {"kraken": StreamState(NOW - MINUTE, -12)}
    found = replace(fine, state=replace(fine.state, streams=streams, streams_ms=fine.now_ms))

    page = join_lines(status_lines(found, BTC_USD, utc=True, width=None))

    assert re.search(r"kraken +1 min +0\.00 s ", page)


def test_simulated_prices_are_labelled(fine: Status) -> None:
    found = replace(fine, state=State(simulated=True))

    assert join_lines(status_lines(found, BTC_USD, utc=True, width=80)).startswith(
        "BTC-USD (simulated) healthy, 2026-01-01 12:34:56 UTC"
    )
