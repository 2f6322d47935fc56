"""Output of a backfill."""

import io
import json
from dataclasses import replace
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from rich.console import Console

from btcts.config import BTC_USD
from btcts.domain.layout import window
from btcts.domain.model import HOUR_MS, MINUTE_MS, REASONS, Candle, Span
from btcts.render.backfill import (
    chunk_json,
    chunk_line,
    dispute_lines,
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
from render.snapshot import assert_lines_as_stored
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
DISPUTED = replace(
    CHUNK,
    disputed={
        MIDNIGHT: {"kraken": Candle(MIDNIGHT, 60_000, 60_010, 59_990, 60_005), "gemini": None},
        **{minute: {"kraken": None} for minute in MINUTES[1:21]},
    },
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
    """Tell whether each property below has a description."""
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


def test_what_came_of_a_chunk_stands_in_its_line() -> None:
    chunks = {
        "settled": CHUNK,
        "over midnight": replace(CHUNK, span=Span(MIDNIGHT - MINUTE_MS, MIDNIGHT + MINUTE_MS)),
        "overwritten, with a gap and a failure": replace(FAILED, dropped=5),
    }

    assert_lines_as_stored("lines-backfill-chunks", {case: chunk_line(chunk) for case, chunk in chunks.items()})


def test_of_disputed_minutes_the_first_are_listed_with_the_candle_of_each_provider() -> None:
    lines = list(dispute_lines(DISPUTED, BTC_USD))
    told = document(chunk_json(DISPUTED, BTC_USD))["disputed"]

    assert_lines_as_stored("lines-backfill-disputed", {"disputed": lines[:5] + lines[-1:]})
    assert len(lines) == 3 + 19 * 2 + 1
    assert len(told) == 21
    assert told[0]["candles"]["kraken"] == {"open": 60_000, "high": 60_010, "low": 59_990, "close": 60_005}
    assert told[0]["candles"]["gemini"] is None


def test_the_words_of_a_provider_stay_on_one_line() -> None:
    line = chunk_line(replace(FAILED, failed={"kraken": "two\nlines\x1b[31m"}))

    assert line.isprintable()


EMPTY = replace(PLAN, chunks=(), requests={}, waiting=())


def test_what_came_of_a_backfill_stands_in_its_summary() -> None:
    nothing = replace(EMPTY, settled=0)
    summaries = {
        "a gap, a failure and a provider that waits": summary_lines(PLAN, sum_chunks(PLAN, [CHUNK, FAILED])),
        "interrupted": summary_lines(PLAN, sum_chunks(PLAN, [CHUNK]), interrupted=True),
        "nothing to do": summary_lines(nothing, sum_chunks(nothing, [])),
        "of the past": summary_lines(PAST, sum_chunks(PAST, [CHUNK])),
    }

    assert_lines_as_stored("lines-backfill-summaries", summaries)


def test_what_would_be_done_stands_in_the_lines_of_a_plan() -> None:
    plans = {
        "two runs, one provider that does not reach them and one that waits": replace(
            PLAN, chunks=(MINUTES[:2], MINUTES[3:10])
        ),
        "nothing to do": EMPTY,
        "overwritten": replace(PLAN, overwrite=True, ticks=17),
        "a file": OF_FILE,
        "of the past": PAST,
    }

    assert_lines_as_stored("lines-backfill-plans", {case: plan_lines(plan) for case, plan in plans.items()})


def test_only_of_a_file_and_of_the_past_there_is_something_to_say_first() -> None:
    assert [len(list(head_lines(plan))) for plan in (PLAN, OF_FILE, PAST)] == [0, 2, 2]


def test_a_plan_of_many_small_runs_lists_the_first_of_them() -> None:
    scattered = replace(PLAN, chunks=(MINUTES[::2],))

    lines = list(plan_lines(scattered))

    assert len([each for each in lines if each.endswith("1 minute")]) == 20
    assert "  and 130 more runs" in lines


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


def test_where_the_clocks_change_within_a_span_its_ends_name_their_zones(set_zone: Any) -> None:
    set_zone("Europe/Berlin")
    twice_two = Span(1_792_886_400_000, 1_792_893_600_000)  # 25 October 2026, 02:00 CEST to 03:00 CET

    line = chunk_line(replace(CHUNK, span=twice_two, minutes=120, settled=120))
    kept, *_ = head_lines(replace(PLAN, kept=window(twice_two.end_ms), left_out=1))

    assert line.startswith("2026-10-25 02:00 CEST .. 02:59 CET  ")
    assert kept.startswith("kept: 2026-10-24 04:00 CEST .. 2026-10-25 03:00 CET;")
