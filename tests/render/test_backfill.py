"""What is printed of a backfill."""

import io
import json
from dataclasses import replace
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from rich.console import Console

from btcts.config import BTC_USD
from btcts.domain.layout import window
from btcts.domain.model import HOUR_MS, MINUTE_MS, REASONS, Span
from btcts.render.backfill import (
    chunk_json,
    chunk_line,
    head_lines,
    plan_json,
    plan_lines,
    show_progress,
    summary_json,
    summary_lines,
)
from btcts.services.backfill.candle_csv import CandleFile
from btcts.services.backfill.plan import Plan
from btcts.services.backfill.run import Chunk, sum_chunks
from support.schemas import read_schema
from support.series import MIDNIGHT, NOW

SCHEMA = read_schema("backfill")

MINUTES = tuple(range(MIDNIGHT, MIDNIGHT + 300 * MINUTE_MS, MINUTE_MS))
PLAN = Plan(
    market=BTC_USD,
    now_ms=NOW,
    kept=window(NOW),
    chunks=(MINUTES[:299], MINUTES[299:]),
    settled=12,
    left_out=0,
    requests={"coinbase": 2, "kraken": None},
    waiting=(("gemini", NOW + 60_000, "HTTP 429"),),
)
CHUNK = Chunk(Span(MIDNIGHT, MIDNIGHT + 299 * MINUTE_MS), 299, 299, ("coinbase", "kraken", "bitstamp"))
FAILED = Chunk(
    Span(MINUTES[299], MINUTES[299] + MINUTE_MS),
    1,
    sources=("coinbase",),
    gaps={"no_trades": 1},
    failed={"kraken": "HTTP 503"},
)
FILE = CandleFile("day.csv", "seconds", 3887, MIDNIGHT, NOW, (), quiet=2, outside=3, unfinished=1, repeated=1)
OF_FILE = replace(PLAN, requests={}, waiting=(), file=FILE, left_out=2447)
PAST = replace(OF_FILE, kept=window(MIDNIGHT - 100 * HOUR_MS))


@pytest.fixture(autouse=True)
def _utc(set_zone: Any) -> None:
    set_zone("UTC")


def document(text: str) -> dict[str, Any]:
    assert "\n" not in text
    found: dict[str, Any] = json.loads(text)
    Draft202012Validator(SCHEMA).validate(found)
    return found


def described(schema: Any) -> bool:
    """Whether each property below has a description."""
    if isinstance(schema, list):
        return all(map(described, schema))
    if not isinstance(schema, dict):
        return True
    own = schema.get("properties", {})
    return all("description" in each for each in own.values()) and all(map(described, schema.values()))


def test_the_schema_is_one_knows_the_reasons_and_says_what_every_field_means() -> None:
    Draft202012Validator.check_schema(SCHEMA)

    reasons = SCHEMA["$defs"]["summary"]["properties"]["gaps"]["propertyNames"]["enum"]

    assert reasons == list(REASONS)
    assert described(SCHEMA)


def test_a_chunk_is_a_line_with_its_first_and_last_minute() -> None:
    assert chunk_line(CHUNK) == "2026-01-01 00:00 .. 04:58  settled 299 of 299 (coinbase kraken bitstamp)"


def test_a_chunk_over_midnight_has_both_dates() -> None:
    span = Span(MIDNIGHT - MINUTE_MS, MIDNIGHT + MINUTE_MS)

    assert chunk_line(replace(CHUNK, span=span)).startswith("2025-12-31 23:59 .. 2026-01-01 00:00  ")


def test_a_chunk_says_what_gave_way_what_is_left_and_what_failed() -> None:
    line = chunk_line(replace(FAILED, dropped=5))

    assert line == (
        "2026-01-01 04:59 .. 04:59  settled 0 of 1 in place of 5 ticks (coinbase)  left: no_trades 1  "
        "failed: kraken (HTTP 503)"
    )


def test_the_words_of_a_provider_stay_on_one_line() -> None:
    line = chunk_line(replace(FAILED, failed={"kraken": "two\nlines\x1b[31m"}))

    assert line.isprintable()


def test_the_summary_is_one_line_and_one_for_each_provider_that_waits() -> None:
    lines = list(summary_lines(PLAN, sum_chunks(PLAN, [CHUNK, FAILED])))

    assert lines == [
        "settled 299 of 300 minutes; 12 more were settled before; left: no_trades 1; failed: kraken (HTTP 503)",
        "gemini: waits until 2026-01-01 12:35:56 (HTTP 429)",
    ]


def test_an_interrupted_one_says_what_is_stored_and_that_it_goes_on() -> None:
    line, _ = summary_lines(PLAN, sum_chunks(PLAN, [CHUNK]), interrupted=True)

    assert line == (
        "settled 299 of 300 minutes; 12 more were settled before; not come to: 1; "
        "what is settled is stored; the same command goes on from here"
    )


def test_nothing_to_do_is_said() -> None:
    empty = replace(PLAN, chunks=(), settled=0, waiting=())

    assert list(summary_lines(empty, sum_chunks(empty, []))) == ["nothing to settle"]


def test_of_the_past_it_says_how_to_look_at_it() -> None:
    (line,) = summary_lines(PAST, sum_chunks(PAST, [CHUNK]))

    assert line.endswith("; not come to: 1; to look at it: btcts show hour --at newest")


def test_what_is_known_of_a_file_and_what_is_kept_of_it_come_first() -> None:
    assert list(head_lines(PAST)) == [
        "day.csv: 3887 rows, times in seconds, 2 without trades, 1 not over yet, 3 not asked for, 1 said twice",
        "kept: 2025-12-26 20:00 .. 2025-12-27 20:00; 2447 rows before that are in no resolution",
    ]
    assert list(head_lines(PLAN)) == []


def test_a_plan_lists_runs_requests_and_who_waits() -> None:
    gappy = replace(PLAN, chunks=(MINUTES[:2], MINUTES[3:10]))

    assert list(plan_lines(gappy)) == [
        "would settle 9 minutes (12 settled already)",
        "  2026-01-01 00:00 .. 00:01  2 minutes",
        "  2026-01-01 00:03 .. 00:09  7 minutes",
        "coinbase: 2 requests",
        "kraken: its candles do not reach them",
        "gemini: waits until 2026-01-01 12:35:56 (HTTP 429)",
        "nothing was written (--dry-run)",
    ]


def test_a_plan_without_minutes_says_nothing_of_requests() -> None:
    empty = replace(PLAN, chunks=(), requests={}, waiting=())

    assert list(plan_lines(empty)) == [
        "would settle 0 minutes (12 settled already)",
        "nothing was written (--dry-run)",
    ]


def test_a_plan_of_many_small_runs_lists_the_first_of_them() -> None:
    scattered = replace(PLAN, chunks=(MINUTES[::2],))

    lines = list(plan_lines(scattered))

    assert len([each for each in lines if each.endswith("1 minute")]) == 20
    assert "  and 130 more runs" in lines


def test_a_plan_that_overwrites_says_how_many_ticks_would_be_replaced() -> None:
    assert "would replace 17 ticks of 300 minutes (12 settled already)" in plan_lines(
        replace(PLAN, overwrite=True, ticks=17)
    )


@pytest.mark.parametrize("plan", [PLAN, OF_FILE, PAST, replace(PLAN, chunks=())], ids=["live", "file", "past", "empty"])
def test_the_json_is_what_its_schema_says(plan: Plan) -> None:
    told = document(plan_json(plan))
    parts = [document(chunk_json(each, BTC_USD)) for each in (CHUNK, FAILED)]
    done = [CHUNK] if plan.chunks else []
    total = document(summary_json(plan, sum_chunks(plan, done), interrupted=True))

    assert sum(each["minutes"] for each in told["runs"]) == told["minutes"] == total["minutes"] == len(plan.minutes)
    assert [(each["kind"], each["settled"]) for each in parts] == [("chunk", 299), ("chunk", 0)]
    assert (total["settled"], total["interrupted"], total["historical"]) == (299 * len(done), True, plan is PAST)
    assert (parts[0]["first"], parts[0]["last"]) == ("2026-01-01T00:00:00Z", "2026-01-01T04:58:00Z")


@pytest.mark.parametrize("width", [40, 80, 200])
def test_the_bar_fits_the_terminal_and_is_gone_in_the_end(width: int) -> None:
    console = Console(file=io.StringIO(), width=width, force_terminal=True, color_system=None, legacy_windows=False)

    with show_progress(PLAN, console) as move:
        move(CHUNK)

    assert isinstance(console.file, io.StringIO)
    printed = console.file.getvalue()
    assert "299/300 min" in printed
    assert ("bitstamp" in printed) == (width >= 80)
    assert max(len(each) for each in printed.replace("\r", "\n").split("\n")) <= width + 20
    assert printed.endswith("\x1b[2K")
