"""Reads: they never write, never create, and take one round trip; a snapshot takes two if older hours lack minutes."""

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from btcts.domain.candles import minute_of
from btcts.domain.layout import AGGREGATORS, Layout, Resolution
from btcts.domain.model import MINUTE_MS, Slot, Span, Tick
from btcts.store.carried import CARRIED_FIELD, parse_leniently
from btcts.store.check import Inspection
from btcts.store.coverage import Claim, Coverage, WholeHours, query_coverage, read_coverage
from btcts.store.expire import SWEPT_FIELD
from btcts.store.gaps import parse_gaps
from btcts.store.link import Link, now_of
from btcts.store.ranges import Queries, Samples, ask, query_buckets, query_range, read_hash, read_list, read_newest
from btcts.store.state import State, parse

SPARE_MS = 2_000
"""The delay beyond the cadence up to which the newest tick counts as the current price."""


@dataclass(frozen=True)
class Snapshot:
    """The store at `now_ms`: the newest tick, the slots by resolution, their coverage, and the collectors' state.

    Compactions are `halted` that lack the bucket of the newest tick: their rules are gone, as after a move of our slot
    in a cluster.
    """

    now_ms: int
    newest: Tick | None
    slots: Mapping[str, tuple[Slot, ...]]
    state: State
    coverage: Coverage = field(default_factory=Coverage)
    halted: bool = False


@dataclass(frozen=True)
class Audit:
    """The ticks and the ten compactions at `now_ms`, as `verify` compares them.

    `ticks` are those that the retention shows, from `first_ms` on, ascending; `compactions` has the samples of each
    that exists, the open bucket last where `latest` says that it can be read; `carried` names by key the buckets
    whose ticks were lost.
    """

    layout: Layout
    now_ms: int
    first_ms: int
    ticks: tuple[Tick, ...]
    compactions: Mapping[str, tuple[tuple[int, float], ...]]
    carried: Mapping[str, Container[int]]
    latest: bool


def price(link: Link) -> Snapshot:
    """Return the newest tick and the collectors' state, without any slots."""
    layout = link.layout
    queries: Queries = {"TIME": ("TIME",), "TS.GET": ("TS.GET", layout.tick), "state": ("HGETALL", layout.state)}
    replies = ask(link, queries, at_one_moment=True)
    now_ms = link.clock.observe(now_of(replies["TIME"]))
    state = parse(read_hash(replies["state"]), link.real_now_ms)
    return Snapshot(now_ms, read_newest(replies["TS.GET"]), {}, state)


def ticks(link: Link, span: Span) -> list[Tick]:
    """Return the ticks of the span, ascending."""
    (reply,) = link.ask_all([query_range(link.layout.tick, span.start_ms, span.end_ms - 1)])
    return [Tick(*sample) for sample in read_list(reply)]


def buckets(link: Link, resolutions: Sequence[Resolution]) -> dict[str, dict[str, Samples]]:
    """Return the kept closed buckets and the open one by resolution and field: the read for low latency.

    Values are keyed by the start of the bucket, ascending. The minute series has the close only.
    """
    queries: Queries = {"TIME": ("TIME",)}
    for resolution in resolutions:
        queries |= _query_fields(link, resolution, resolution.fields, start_ms=0)
    replies = ask(link, queries)
    now_ms = link.clock.observe(now_of(replies["TIME"]))
    return {resolution.name: _select_kept(resolution, replies, resolution.slots(now_ms)) for resolution in resolutions}


def _select_kept(resolution: Resolution, replies: Mapping[str, Any], slots: range) -> dict[str, Samples]:
    fields = {field: _combine_field(resolution, field, replies, at_ms=None) for field in resolution.fields}
    return {field: {start: samples[start] for start in slots if start in samples} for field, samples in fields.items()}


def snapshot(link: Link, resolutions: Sequence[Resolution], whole_hours: WholeHours, at_ms: int | None) -> Snapshot:
    """Return the slots of the resolutions at `at_ms` (None: now by the server's clock), with their coverage.

    The ranges are asked for by this machine's clock, and once more when the server's turns out to be more than a
    minute away. At a time of the past, what the compactions do not hold any more comes from the ticks up to then.
    The settled hours in `whole_hours` are not asked for again.
    """
    asked_ms = link.clock.now_ms() if at_ms is None else at_ms
    replies = _ask_snapshot(link, resolutions, asked_ms, at_ms, whole_hours)
    server_ms = link.clock.observe(now_of(replies["TIME"]))
    now_ms = server_ms if at_ms is None else at_ms
    if abs(now_ms - asked_ms) > MINUTE_MS:
        replies = _ask_snapshot(link, resolutions, now_ms, at_ms, whole_hours)
    fields = read_hash(replies["state"])
    gaps = parse_gaps(read_hash(replies["gaps"]), link.real_now_ms)
    coverage = read_coverage(link, replies, gaps, whole_hours, fields.get(SWEPT_FIELD))
    newest, state = read_newest(replies["TS.GET"]), parse(fields, link.real_now_ms)
    claim = _find_claim(newest, state, now_ms) if at_ms is None else None
    slots = {
        resolution.name: _build_slots(resolution, replies, coverage, claim, now_ms=now_ms, at_ms=at_ms)
        for resolution in resolutions
    }
    halted = at_ms is None and link.rules_look_back and _is_halted(newest, replies, resolutions)
    return Snapshot(now_ms, newest, slots, state, coverage, halted)


def _is_halted(newest: Tick | None, replies: Mapping[str, Any], resolutions: Sequence[Resolution]) -> bool:
    """Tell whether a compaction, read with its open bucket, lacks the bucket of the newest tick."""
    return newest is not None and any(
        resolution.start_of(newest.time_ms) not in replies[f"{resolution.name} {field}"]
        for resolution in resolutions
        for field in resolution.fields
    )


def _find_claim(newest: Tick | None, state: State, now_ms: int) -> Claim | None:
    """Return what the last append claims; it holds now as long as the newest tick is the current price."""
    since_ms = state.exact_since_ms
    if since_ms is None or newest is None:
        return None
    fresh = now_ms - newest.time_ms <= (state.cadence_s or 0) * 1000 + SPARE_MS
    return Claim(since_ms, now=fresh and newest.time_ms >= since_ms and minute_of(newest.time_ms) == minute_of(now_ms))


def _ask_snapshot(
    link: Link, resolutions: Sequence[Resolution], now_ms: int, at_ms: int | None, whole_hours: WholeHours
) -> dict[str, Any]:
    """Return the replies of one snapshot by name."""
    layout = link.layout
    oldest_ms = min(resolution.closed(now_ms - MINUTE_MS).start_ms for resolution in resolutions)
    span = Span(oldest_ms, now_ms + MINUTE_MS if at_ms is None else at_ms)
    queries: Queries = {
        "TIME": ("TIME",),
        "TS.GET": ("TS.GET", layout.tick),
        "state": ("HGETALL", layout.state),
        "gaps": ("HGETALL", layout.gaps),
    }
    for resolution in resolutions:
        start_ms = resolution.closed(now_ms - MINUTE_MS).start_ms
        queries |= _query_fields(link, resolution, AGGREGATORS, start_ms=start_ms, at_ms=at_ms)
    return ask(link, queries | query_coverage(layout, span, at_ms=at_ms, whole_hours=whole_hours), at_one_moment=True)


def _build_slots(
    resolution: Resolution,
    replies: Mapping[str, Any],
    coverage: Coverage,
    claim: Claim | None,
    *,
    now_ms: int,
    at_ms: int | None,
) -> tuple[Slot, ...]:
    closes, lows, highs = (_combine_field(resolution, name, replies, at_ms) for name in ("close", "min", "max"))
    opens, slots = coverage.opens, []
    for start in resolution.slots(now_ms):
        minutes = range(start, start + resolution.bucket_ms, MINUTE_MS)
        close, low, high = closes.get(start), lows.get(start), highs.get(start)
        settled, count, reason, exact = coverage.summarize(minutes, claim)
        exact = exact and not (close is None or low is None or high is None)
        first = opens[start] if start in opens else coverage.find_open(minutes)
        slots.append(Slot(start, close, low, high, minutes.stop <= now_ms, settled, count, reason, exact, first))
    return tuple(slots)


def _combine_field(resolution: Resolution, field: str, replies: Mapping[str, Any], at_ms: int | None) -> Samples:
    """Return the values of a field from its compaction, filled in from the ticks where those were asked for."""
    compacted: Samples = replies.get(f"{resolution.name} {field}", {})
    of_ticks: Samples = replies.get(f"{resolution.name} {field} of ticks", {})
    if at_ms is not None:
        compacted = {start: value for start, value in compacted.items() if start < resolution.start_of(at_ms)}
    return of_ticks | compacted if of_ticks else compacted


def _query_fields(
    link: Link, resolution: Resolution, fields: Iterable[str], *, start_ms: int, at_ms: int | None = None
) -> Queries:
    """Return the queries for fields of a resolution: their compactions, or else the ticks from `start_ms`."""
    to_now = at_ms is None and link.rules_look_back
    latest = ("LATEST",) if to_now else ()
    queries: Queries = {
        f"{resolution.name} {item.field}": ("TS.RANGE", item.key, "-", "+", *latest)
        for item in link.layout.list_compactions(resolution)
    }
    for name in fields:
        if not to_now or name not in resolution.fields:
            query = query_buckets(link.layout, start_ms, at_ms, AGGREGATORS[name], resolution.bucket_ms)
            queries[f"{resolution.name} {name} of ticks"] = query
    return queries


def audit(link: Link, inspection: Inspection) -> Audit:
    """Read ticks and compactions in one transaction, so that no write comes between them."""
    layout = link.layout
    latest = ("LATEST",) if link.rules_look_back else ()
    time, carried, ticks, *compactions = link.ask_all(
        [
            *(("TIME",), ("HGET", layout.state, CARRIED_FIELD), ("TS.RANGE", layout.tick, "-", "+")),
            *(("TS.RANGE", compaction.key, "-", "+", *latest) for compaction in layout.compactions),
        ],
        at_one_moment=True,
    )
    seen = tuple(Tick(*sample) for sample in read_list(ticks))
    source = inspection.series[layout.tick]
    return Audit(
        layout=layout,
        now_ms=link.clock.observe(now_of(time)),
        first_ms=seen[-1].time_ms - source.retention_ms if seen and source and source.retention_ms else 0,
        ticks=seen,
        compactions={
            compaction.key: tuple((start, value) for start, value in reply)
            for compaction, reply in zip(layout.compactions, compactions, strict=True)
            if isinstance(reply, list)
        },
        carried=parse_leniently(layout, carried if isinstance(carried, str) else None),
        latest=link.rules_look_back,
    )
