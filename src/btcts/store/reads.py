"""Reads: they never write, never create, and take one round trip."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from btcts.candles import minute_of, settled_stamp
from btcts.layout import Layout, Resolution
from btcts.model import MINUTE_MS, Slot, Span, Tick
from btcts.store.gaps import Gap, parse_gaps
from btcts.store.link import Command, Link, is_missing, is_wrong_type, now_of
from btcts.store.state import State, parse

STAMPS_PER_QUERY = 128
"""The most stamps that FILTER_BY_TS takes."""

Samples = dict[int, float]


@dataclass(frozen=True)
class Snapshot:
    """What Redis holds at `now_ms`: the newest tick, the slots by resolution, and the collectors' state."""

    now_ms: int
    newest: Tick | None
    slots: Mapping[str, tuple[Slot, ...]]
    state: State


def latest(link: Link) -> Tick | None:
    """The newest tick, None on an empty store."""
    (reply,) = link.ask_all([("TS.GET", link.layout.tick)])
    return _tick(reply)


def ticks(link: Link, span: Span) -> list[Tick]:
    """The ticks of the span, ascending."""
    (reply,) = link.ask_all([_range(link.layout.tick, span)])
    return [Tick(time_ms, price) for time_ms, price in _samples(reply).items()]


def settled(link: Link, minutes: Iterable[int]) -> set[int]:
    """Those of the minutes that are settled."""
    replies = link.ask_all(list(_settled_queries(link.layout, minutes)))
    return {minute_of(stamp) for reply in replies for stamp in _samples(reply)}


def buckets(link: Link, resolutions: Sequence[Resolution]) -> dict[str, dict[str, Samples]]:
    """By resolution and field, the kept closed buckets and the open one: the read for low latency.

    Values are keyed by the start of the bucket, ascending. The minute series has the close only.
    """
    now_ms = link.clock.now_ms()
    pairs = [(each, item) for each in resolutions for item in link.layout.of(each)]
    replies = link.ask_all([_latest_range(item.key, each, now_ms) for each, item in pairs])
    found: dict[str, dict[str, Samples]] = {each.name: {} for each in resolutions}
    for (each, item), reply in zip(pairs, replies, strict=True):
        found[each.name][item.field] = _samples(reply)
    return found


def snapshot(link: Link, resolutions: Sequence[Resolution], at_ms: int | None = None) -> Snapshot:
    """The slots of each resolution at `at_ms` (None: now by the server's clock), with their coverage.

    The ranges are asked for by this machine's clock, and once more when the server's turns out to be more than a
    minute away.
    """
    asked_ms = link.clock.now_ms() if at_ms is None else at_ms
    replies = _ask(link, resolutions, asked_ms)
    server_ms = link.clock.observe(now_of(replies["TIME"]))
    now_ms = server_ms if at_ms is None else at_ms
    if abs(now_ms - asked_ms) > MINUTE_MS:
        replies = _ask(link, resolutions, now_ms)
    coverage = _coverage(replies)
    return Snapshot(
        now_ms=now_ms,
        newest=_tick(replies["TS.GET"]),
        slots={
            each.name: tuple(_slot(each, start, replies, coverage, now_ms) for start in each.slots(now_ms))
            for each in resolutions
        },
        state=parse(_hash(replies["state"])),
    )


@dataclass(frozen=True)
class _Coverage:
    present: Mapping[int, float]
    settled: frozenset[int]
    gaps: Mapping[int, Gap]


def _ask(link: Link, resolutions: Sequence[Resolution], now_ms: int) -> dict[str, Any]:
    """The replies of one snapshot by name; series are named "resolution field", settled stamps "settled N"."""
    layout = link.layout
    oldest = min(each.closed(now_ms - MINUTE_MS).start_ms for each in resolutions)
    covered = Span(minute_of(oldest), now_ms + MINUTE_MS)
    commands: dict[str, Command] = {
        "TIME": ("TIME",),
        "TS.GET": ("TS.GET", layout.tick),
        "state": ("HGETALL", layout.state),
        "gaps": ("HGETALL", layout.gaps),
        "present": _by_minute(layout, covered, "count"),
    }
    for each in resolutions:
        kept = Span(each.closed(now_ms - MINUTE_MS).start_ms, now_ms + MINUTE_MS)
        for item in layout.of(each):
            commands[f"{each.name} {item.field}"] = (*_range(item.key, kept), "LATEST")
        if each.fields == ("close",):
            commands |= {f"{each.name} {field}": _by_minute(layout, kept, field) for field in ("min", "max")}
    for number, query in enumerate(_settled_queries(layout, covered.minutes())):
        commands[f"settled {number}"] = query
    replies = dict(zip(commands, link.ask_all(list(commands.values())), strict=True))
    return {name: _samples(reply) if commands[name][0] == "TS.RANGE" else reply for name, reply in replies.items()}


def _coverage(replies: Mapping[str, Any]) -> _Coverage:
    found = (samples for name, samples in replies.items() if name.startswith("settled "))
    return _Coverage(
        present=replies["present"],
        settled=frozenset(minute_of(stamp) for samples in found for stamp in samples),
        gaps=parse_gaps(_hash(replies["gaps"])),
    )


def _slot(each: Resolution, start_ms: int, replies: Mapping[str, Any], coverage: _Coverage, now_ms: int) -> Slot:
    span = Span(start_ms, start_ms + each.bucket_ms)
    present = [minute for minute in span.minutes() if minute in coverage.present]
    reasons = Counter(
        coverage.gaps[minute].reason
        for minute in span.minutes()
        if minute in coverage.gaps and minute not in coverage.settled
    )
    return Slot(
        start_ms=start_ms,
        close=replies[f"{each.name} close"].get(start_ms),
        min=replies[f"{each.name} min"].get(start_ms),
        max=replies[f"{each.name} max"].get(start_ms),
        closed=span.end_ms <= now_ms,
        settled=bool(present) and all(minute in coverage.settled for minute in present),
        minutes=len(present),
        reason=reasons.most_common(1)[0][0] if reasons else None,
    )


def _latest_range(key: str, each: Resolution, now_ms: int) -> Command:
    """The kept buckets of a compaction with the open one, by the clock."""
    return (*_range(key, Span(each.closed(now_ms).start_ms, now_ms + 1)), "LATEST")


def _by_minute(layout: Layout, span: Span, aggregator: str) -> Command:
    return (*_range(layout.tick, span), "AGGREGATION", aggregator, MINUTE_MS)


def _range(key: str, span: Span) -> Command:
    return ("TS.RANGE", key, max(0, span.start_ms), max(0, span.end_ms - 1))


def _settled_queries(layout: Layout, minutes: Iterable[int]) -> Iterator[Command]:
    stamps = [settled_stamp(minute) for minute in minutes]
    for start in range(0, len(stamps), STAMPS_PER_QUERY):
        yield ("TS.RANGE", layout.tick, "-", "+", "FILTER_BY_TS", *stamps[start : start + STAMPS_PER_QUERY])


def _samples(reply: Any) -> Samples:
    """The samples of a range by stamp; none where the series does not exist."""
    if is_missing(reply) or is_wrong_type(reply):
        return {}
    return {time_ms: float(value) for time_ms, value in reply}


def _tick(reply: Any) -> Tick | None:
    return Tick(*reply) if isinstance(reply, list) and reply else None


def _hash(reply: Any) -> Mapping[str, str]:
    return reply if isinstance(reply, dict) else {}
