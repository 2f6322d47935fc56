"""The plan and the outcome of a backfill: lines for people, or JSON as `docs/schemas/backfill.json` says."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import groupby, islice
from typing import TYPE_CHECKING, Any

from btcts.domain.layout import Market
from btcts.domain.model import MINUTE_MS, Candle, Span, Waiting
from btcts.render.documents import begin_document, dump_document, encode_waiting
from btcts.render.figures import counted, iso, price, to_datetime
from btcts.render.sentences import find_code, list_reasons
from btcts.services.backfill.plan import Plan
from btcts.services.backfill.run import Chunk, Summary
from btcts.system.foreign import plain

if TYPE_CHECKING:
    from rich.console import Console

RUNS_SHOWN = 20
"""The most runs of minutes that a plan lists, and disputed minutes that a chunk lists; more would say little."""

FILE_FIELDS = ("name", "unit", "rows", "quiet", "outside", "unfinished", "repeated")

ROOM_FOR_NAMES = 60
"""Columns that a terminal needs for the bar to name the providers."""


def head_lines(plan: Plan) -> Iterator[str]:
    """Describe the file, and which part of its minutes the store keeps."""
    if plan.file:
        yield _describe_file(plan)
    if plan.historical or plan.left_out:
        lost = f"{counted(plan.left_out, 'row' if plan.file else 'minute')} before that"
        yield f"kept: {_format_ends(plan.kept.start_ms, plan.kept.end_ms)}" + (
            f"; {lost} {'is' if plan.left_out == 1 else 'are'} too old to keep" if plan.left_out else ""
        )


def plan_lines(plan: Plan) -> Iterator[str]:
    """Describe what the backfill would do, for --dry-run."""
    yield from head_lines(plan)
    minutes = plan.minutes
    known = f" ({plan.settled} settled already)" if plan.settled else ""
    if plan.overwrite:
        yield f"would replace {counted(plan.ticks, 'tick')} of {counted(len(minutes), 'minute')}{known}"
    else:
        yield f"would settle {counted(len(minutes), 'minute')}{known}"
    runs = _group_runs(minutes)
    for run in islice(runs, RUNS_SHOWN):
        yield f"  {_format_minutes(run)}  {counted(len(run.minutes()), 'minute')}"
    if left := sum(1 for _ in runs):
        yield f"  and {counted(left, 'more run')}"
    for name, requests in plan.requests.items():
        reach = "its candles do not reach back that far" if requests is None else counted(requests, "request")
        yield f"{name}: {reach}"
    yield from _list_waiting(plan.waiting)
    yield "nothing was written (--dry-run)"


def chunk_line(chunk: Chunk) -> str:
    """Describe a finished chunk on one line."""
    parts = [_format_minutes(chunk.span), f"settled {chunk.settled} of {chunk.minutes}"]
    if chunk.dropped:
        parts[-1] += f" in place of {counted(chunk.dropped, 'tick')}"
    if chunk.sources:
        parts[-1] += f" ({' '.join(chunk.sources)})"
    return plain("  ".join([*parts, *_list_troubles(chunk.gaps, chunk.failed)]))


def dispute_lines(chunk: Chunk, market: Market) -> Iterator[str]:
    """List the candle of each provider for the minutes that they disagree about."""
    for start_ms, candles in islice(chunk.disputed.items(), RUNS_SHOWN):
        yield f"{_format_moment(start_ms)}  disputed; open, high, low and close by provider:"
        width = max(map(len, candles), default=0)
        for name, candle in candles.items():
            prices = _list_prices(candle).values() if candle else ()
            texts = [price(value, market.decimals) for value in prices] or ["no trades"]
            yield f"  {name:<{width}}  {'  '.join(texts)}"
    if len(chunk.disputed) > RUNS_SHOWN:
        yield f"and {counted(len(chunk.disputed) - RUNS_SHOWN, 'more disputed minute')}"


def summary_lines(plan: Plan, summary: Summary, *, interrupted: bool = False) -> Iterator[str]:
    """Sum up the backfill on one line, with one more for each provider that has to wait."""
    parts = [f"settled {summary.settled} of {counted(summary.minutes, 'minute')}"]
    if not summary.minutes:
        parts = ["nothing to settle"]
    if summary.dropped:
        parts[0] += f" in place of {counted(summary.dropped, 'tick')}"
    if plan.settled and not plan.overwrite:
        parts.append(f"{plan.settled} more were settled before")
    parts += _list_troubles(summary.gaps, summary.failed)
    if summary.unasked:
        parts.append(f"not asked for: {summary.unasked}")
    if interrupted:
        parts.append("what is settled is stored; the same command goes on from here")
    elif plan.historical and summary.settled:
        parts.append("to look at it: btcts show hour --at newest")
    yield "; ".join(parts)
    yield from _list_waiting(plan.waiting)


@contextmanager
def show_progress(plan: Plan, console: "Console") -> Iterator[Callable[[Chunk], None]]:
    """Show a progress bar until the block ends; the yielded function advances it by one chunk."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, TextColumn, TimeRemainingColumn
    from rich.table import Column

    columns: list[ProgressColumn] = [BarColumn(20), MofNCompleteColumn(), TextColumn("min"), TimeRemainingColumn()]
    if console.width >= ROOM_FOR_NAMES:
        column = Column(no_wrap=True, overflow="ellipsis", ratio=1)
        columns.append(TextColumn("{task.description}", markup=False, table_column=column))
    with Progress(*columns, console=console, transient=True, expand=console.width >= ROOM_FOR_NAMES) as progress:
        task = progress.add_task(" ".join(plan.requests), total=len(plan.minutes))

        def move(chunk: Chunk) -> None:
            progress.update(task, advance=chunk.minutes, description=" ".join(chunk.sources))

        yield move


def plan_json(plan: Plan) -> str:
    """Encode the plan as one object on one line."""
    runs = [
        {"first_ms": run.start_ms, "last_ms": run.end_ms - MINUTE_MS, "minutes": len(run.minutes())}
        for run in _group_runs(plan.minutes)
    ]
    asked = {"runs": runs, "requests": plan.requests, "waiting": encode_waiting(plan.waiting), "ticks": plan.ticks}
    return dump_document(begin_document(plan.market) | {"kind": "plan"} | _encode_plan(plan) | asked)


def chunk_json(chunk: Chunk, market: Market) -> str:
    """Encode the finished chunk as one object on one line."""
    done = {"minutes": chunk.minutes, "settled": chunk.settled, "dropped": chunk.dropped, "sources": chunk.sources}
    disputed = [
        {"start_ms": start_ms, "candles": {name: candle and _list_prices(candle) for name, candle in candles.items()}}
        for start_ms, candles in chunk.disputed.items()
    ]
    left = {"gaps": chunk.gaps} | _encode_failed(chunk.failed) | {"disputed": disputed}
    return dump_document(begin_document(market) | {"kind": "chunk"} | _encode_span(chunk.span) | done | left)


def summary_json(plan: Plan, summary: Summary, *, interrupted: bool = False) -> str:
    """Encode the summary as one object on one line."""
    done = {
        "settled": summary.settled,
        "dropped": summary.dropped,
        "unasked": summary.unasked,
        "sources": summary.sources,
        "gaps": summary.gaps,
        **_encode_failed(summary.failed),
        "waiting": encode_waiting(plan.waiting),
        "interrupted": interrupted,
    }
    return dump_document(begin_document(plan.market) | {"kind": "summary"} | _encode_plan(plan) | done)


def _describe_file(plan: Plan) -> str:
    file = plan.file
    assert file
    left_out = {
        "without trades": file.quiet,
        "not over yet": file.unfinished,
        "not asked for": file.outside,
        "repeated": file.repeated,
    }
    counts = "".join(f", {count} {what}" for what, count in left_out.items() if count)
    return f"{file.name}: {counted(file.rows, 'row')}, times in {file.unit}{counts}"


def _list_troubles(gaps: Mapping[str, int], failed: Mapping[str, str]) -> Iterator[str]:
    if gaps:
        yield "left: " + ", ".join(f"{reason} {count}" for reason, count in gaps.items())
    if failed:
        yield "failed: " + list_reasons(failed)


def _list_waiting(waiting: Waiting) -> Iterator[str]:
    for name, until_ms, why in waiting:
        yield f"{name}: waits until {to_datetime(until_ms, utc=False):%Y-%m-%d %H:%M:%S}" + (f" ({why})" if why else "")


def _group_runs(minutes: Iterable[int]) -> Iterator[Span]:
    """Group ascending minutes into spans without a gap."""
    for _, run in groupby(enumerate(minutes), lambda numbered: numbered[1] - numbered[0] * MINUTE_MS):
        starts_ms = [start_ms for _, start_ms in run]
        yield Span(starts_ms[0], starts_ms[-1] + MINUTE_MS)


def _format_minutes(span: Span) -> str:
    """Format the first and the last minute of the span."""
    return _format_ends(span.start_ms, span.end_ms - MINUTE_MS)


def _format_ends(first_ms: int, last_ms: int) -> str:
    """Format two moments in local time, the second with what tells it apart; with zones where the clocks change."""
    first, last = to_datetime(first_ms, utc=False), to_datetime(last_ms, utc=False)
    zone = "" if first.utcoffset() == last.utcoffset() else " %Z"
    day = "" if first.date() == last.date() else "%Y-%m-%d "
    return f"{first:%Y-%m-%d %H:%M{zone}} .. {last:{day}%H:%M{zone}}"


def _format_moment(time_ms: int) -> str:
    return f"{to_datetime(time_ms, utc=False):%Y-%m-%d %H:%M}"


def _encode_plan(plan: Plan) -> dict[str, Any]:
    file = plan.file
    return {
        "generated_ms": plan.now_ms,
        "historical": plan.historical,
        "overwrite": plan.overwrite,
        "kept": {"start_ms": plan.kept.start_ms, "end_ms": plan.kept.end_ms},
        "minutes": len(plan.minutes),
        "settled_before": plan.settled,
        "left_out": plan.left_out,
        "file": file and {name: getattr(file, name) for name in FILE_FIELDS},
    }


def _encode_span(span: Span) -> dict[str, Any]:
    last_ms = span.end_ms - MINUTE_MS
    return {"first_ms": span.start_ms, "first": iso(span.start_ms), "last_ms": last_ms, "last": iso(last_ms)}


def _list_prices(candle: Candle) -> dict[str, float]:
    return {name: getattr(candle, name) for name in ("open", "high", "low", "close")}


def _encode_failed(failed: Mapping[str, str]) -> dict[str, Any]:
    return {"failed": failed, "failed_codes": {provider: find_code(why) for provider, why in failed.items()}}
