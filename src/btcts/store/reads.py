"""Reads: they never write, never create, and take one round trip."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from btcts.domain.candles import CANDLE_OFFSETS_MS, minute_of, settled_stamp
from btcts.domain.layout import AGGREGATORS, Layout, Resolution
from btcts.domain.model import MINUTE_MS, Gap, Slot, Span, Tick
from btcts.store.gaps import parse_gaps
from btcts.store.link import Command, Link, now_of
from btcts.store.state import State, parse

STAMPS_PER_QUERY = 128
"""The most stamps that FILTER_BY_TS takes."""

Samples = dict[int, float]


@dataclass(frozen=True)
class Snapshot:
    """The store at `now_ms`: the newest tick, the slots by resolution, and the collectors' state."""

    now_ms: int
    newest: Tick | None
    slots: Mapping[str, tuple[Slot, ...]]
    state: State


def latest(link: Link) -> Tick | None:
    """Return the newest tick, None on an empty store."""
    (reply,) = link.ask_all([("TS.GET", link.layout.tick)])
    return _read_tick(reply)


def ticks(link: Link, span: Span) -> list[Tick]:
    """Return the ticks of the span, ascending."""
    (reply,) = link.ask_all([_query_range(link.layout.tick, span.start_ms, span.end_ms - 1)])
    return [Tick(*sample) for sample in _read_list(reply)]


def settled(link: Link, minutes: Iterable[int]) -> set[int]:
    """Return those of the minutes that are settled and have their whole candle.

    Retention that was too short takes the open first, an insertion filter takes any part.
    """
    wanted = sorted({minute for minute in minutes if minute >= 0})
    stamps = [minute + offset for minute in wanted for offset in CANDLE_OFFSETS_MS]
    replies = link.ask_all(list(_query_stamps(link.layout, stamps)))
    found = Counter(minute_of(stamp) for reply in replies for stamp in _read_samples(reply))
    return {minute for minute in wanted if found[minute] == len(CANDLE_OFFSETS_MS)}


def buckets(link: Link, resolutions: Sequence[Resolution]) -> dict[str, dict[str, Samples]]:
    """Return the kept closed buckets and the open one by resolution and field: the read for low latency.

    Values are keyed by the start of the bucket, ascending. The minute series has the close only.
    """
    queries: dict[str, Command] = {"TIME": ("TIME",)}
    for resolution in resolutions:
        queries |= _query_fields(link, resolution, resolution.fields, start_ms=0)
    replies = _ask_by_name(link, queries)
    now_ms = link.clock.observe(now_of(replies["TIME"]))
    return {resolution.name: _select_kept(resolution, replies, resolution.slots(now_ms)) for resolution in resolutions}


def _select_kept(resolution: Resolution, replies: Mapping[str, Any], slots: range) -> dict[str, Samples]:
    fields = {field: _combine_field(resolution, field, replies, at_ms=None) for field in resolution.fields}
    return {field: {start: samples[start] for start in slots if start in samples} for field, samples in fields.items()}


def snapshot(link: Link, resolutions: Sequence[Resolution], at_ms: int | None = None) -> Snapshot:
    """Return the slots of the resolutions at `at_ms` (None: now by the server's clock), with their coverage.

    The ranges are asked for by this machine's clock, and once more when the server's turns out to be more than a
    minute away. At a time of the past, what the compactions do not hold any more comes from the ticks up to then.
    """
    asked_ms = link.clock.now_ms() if at_ms is None else at_ms
    replies = _ask(link, resolutions, asked_ms, at_ms)
    server_ms = link.clock.observe(now_of(replies["TIME"]))
    now_ms = server_ms if at_ms is None else at_ms
    if abs(now_ms - asked_ms) > MINUTE_MS:
        replies = _ask(link, resolutions, now_ms, at_ms)
    coverage = _read_coverage(replies, link.told_ms)
    return Snapshot(
        now_ms=now_ms,
        newest=_read_tick(replies["TS.GET"]),
        slots={
            resolution.name: _build_slots(resolution, replies, coverage, now_ms, at_ms) for resolution in resolutions
        },
        state=parse(_read_hash(replies["state"]), link.told_ms),
    )


@dataclass(frozen=True)
class _Coverage:
    present: Mapping[int, float]
    settled: frozenset[int]
    gaps: Mapping[int, Gap]


def _ask(link: Link, resolutions: Sequence[Resolution], now_ms: int, at_ms: int | None) -> dict[str, Any]:
    """Return the replies of one snapshot by name."""
    layout = link.layout
    oldest = minute_of(min(resolution.closed(now_ms - MINUTE_MS).start_ms for resolution in resolutions))
    queries: dict[str, Command] = {
        "TIME": ("TIME",),
        "TS.GET": ("TS.GET", layout.tick),
        "state": ("HGETALL", layout.state),
        "gaps": ("HGETALL", layout.gaps),
        "present": _query_buckets(layout, oldest, at_ms, "count", MINUTE_MS),
    }
    for resolution in resolutions:
        start_ms = resolution.closed(now_ms - MINUTE_MS).start_ms
        queries |= _query_fields(link, resolution, AGGREGATORS, start_ms=start_ms, at_ms=at_ms)
    closed = Span(oldest, now_ms + MINUTE_MS if at_ms is None else at_ms).minutes()
    for number, query in enumerate(_query_settled(layout, closed)):
        queries[f"settled {number}"] = query
    return _ask_by_name(link, queries)


def _ask_by_name(link: Link, queries: Mapping[str, Command]) -> dict[str, Any]:
    """Return the replies by name, in one round trip, ranges as samples."""
    replies = zip(queries.items(), link.ask_all(list(queries.values())), strict=True)
    return {name: _read_samples(reply) if command[0] == "TS.RANGE" else reply for (name, command), reply in replies}


def _read_coverage(replies: Mapping[str, Any], now_ms: int) -> _Coverage:
    found = (samples for name, samples in replies.items() if name.startswith("settled "))
    return _Coverage(
        present=replies["present"],
        settled=frozenset(minute_of(stamp) for samples in found for stamp in samples),
        gaps=parse_gaps(_read_hash(replies["gaps"]), now_ms),
    )


def _build_slots(
    resolution: Resolution, replies: Mapping[str, Any], coverage: _Coverage, now_ms: int, at_ms: int | None
) -> tuple[Slot, ...]:
    fields = {field: _combine_field(resolution, field, replies, at_ms) for field in AGGREGATORS}
    return tuple(
        _build_slot(Span(start, start + resolution.bucket_ms), fields, coverage, now_ms)
        for start in resolution.slots(now_ms)
    )


def _combine_field(resolution: Resolution, field: str, replies: Mapping[str, Any], at_ms: int | None) -> Samples:
    """Return the values of a field from its compaction, filled in from the ticks where those were asked for."""
    compacted: Samples = replies.get(f"{resolution.name} {field}", {})
    of_ticks: Samples = replies.get(f"{resolution.name} {field} of ticks", {})
    if at_ms is not None:
        compacted = {start: value for start, value in compacted.items() if start < resolution.start_of(at_ms)}
    return of_ticks | compacted if of_ticks else compacted


def _build_slot(span: Span, fields: Mapping[str, Samples], coverage: _Coverage, now_ms: int) -> Slot:
    present = [minute for minute in span.minutes() if minute in coverage.present]
    reasons = Counter(
        coverage.gaps[minute].reason
        for minute in span.minutes()
        if minute in coverage.gaps and minute not in coverage.settled
    )
    return Slot(
        start_ms=span.start_ms,
        **{field: samples.get(span.start_ms) for field, samples in fields.items()},
        closed=span.end_ms <= now_ms,
        settled=bool(present) and all(minute in coverage.settled for minute in present),
        minutes=len(present),
        reason=reasons.most_common(1)[0][0] if reasons else None,
    )


def _query_fields(
    link: Link, resolution: Resolution, fields: Iterable[str], *, start_ms: int, at_ms: int | None = None
) -> dict[str, Command]:
    """Return the queries for fields of a resolution: their compactions, or else the ticks from `start_ms`."""
    to_now = at_ms is None and link.rules_look_back
    latest = ("LATEST",) if to_now else ()
    queries: dict[str, Command] = {
        f"{resolution.name} {item.field}": ("TS.RANGE", item.key, "-", "+", *latest)
        for item in link.layout.list_compactions(resolution)
    }
    for field in fields:
        if not to_now or field not in resolution.fields:
            query = _query_buckets(link.layout, start_ms, at_ms, AGGREGATORS[field], resolution.bucket_ms)
            queries[f"{resolution.name} {field} of ticks"] = query
    return queries


def _query_buckets(layout: Layout, start_ms: int, at_ms: int | None, aggregator: str, bucket_ms: int) -> Command:
    """Return the query for the ticks from `start_ms` to `at_ms` (None: all) in buckets."""
    return (*_query_range(layout.tick, start_ms, at_ms), "AGGREGATION", aggregator, bucket_ms)


def _query_range(key: str, first_ms: int, last_ms: int | None) -> Command:
    return ("TS.RANGE", key, max(0, first_ms), "+" if last_ms is None else max(0, last_ms))


def _query_settled(layout: Layout, minutes: Iterable[int]) -> Iterator[Command]:
    return _query_stamps(layout, [settled_stamp(minute) for minute in minutes if minute >= 0])


def _query_stamps(layout: Layout, stamps: Sequence[int]) -> Iterator[Command]:
    """Yield the queries for samples at exactly these stamps (ascending); Redis scans only the span between them."""
    for start in range(0, len(stamps), STAMPS_PER_QUERY):
        wanted = stamps[start : start + STAMPS_PER_QUERY]
        yield ("TS.RANGE", layout.tick, wanted[0], wanted[-1], "FILTER_BY_TS", *wanted)


def _read_samples(reply: Any) -> Samples:
    """Return the samples of a range by stamp; none where the series does not exist.

    Of two at one stamp the first counts: LATEST puts an open bucket behind the one that was carried over.
    """
    return dict(reversed(_read_list(reply)))


def _read_list(reply: Any) -> list[Any]:
    return reply if isinstance(reply, list) else []


def _read_tick(reply: Any) -> Tick | None:
    return Tick(*reply) if isinstance(reply, list) and reply else None


def _read_hash(reply: Any) -> Mapping[str, str]:
    return reply if isinstance(reply, dict) else {}
