"""The second of the two write paths: everything anew from the ticks, in one MULTI.

Creating the layout is a rebuild without ticks, a merge is a rebuild with more of them. Other clients see the
state before or the state after, never one between; a crash in the middle leaves the state before, at worst with
the tick retention lifted, which the next check puts back.

Compactions whose ticks were lost are carried over: up to `carried_until_ms` a stored bucket gives way only to
ticks in which each of its minutes is settled.
"""

import random
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from redis.client import Pipeline
from redis.exceptions import ResponseError, WatchError

from btcts.candles import combine, settled_stamp
from btcts.errors import BtctsError, Contended
from btcts.layout import (
    DUPLICATE_POLICY,
    FUTURE_SLACK_MS,
    HOUR,
    TICK_RETENTION_MS,
    Compaction,
    Definition,
    Layout,
    window,
)
from btcts.model import Candle, Span, Tick, is_price
from btcts.store.check import Inspection
from btcts.store.link import Command, Link, explain, is_missing, now_of

ATTEMPTS = 30
"""How often a rebuild starts again when another writer was faster; each attempt takes about 0.1 s."""

SLICE = 1000
"""Ticks in one TS.MADD."""

CARRIED_FIELD = "carried_until_ms"

Samples = Sequence[Tick]


@dataclass(frozen=True)
class Rebuilt:
    """What a rebuild wrote: `ticks` in the series now, of which `stored` were there before."""

    now_ms: int
    ticks: int
    stored: int
    too_old: int
    too_early: int


@dataclass(frozen=True)
class Found:
    """What a rebuild starts from, read under WATCH."""

    now_ms: int
    ticks: Samples
    closed: Mapping[str, Samples]
    carried_until_ms: int


@dataclass(frozen=True)
class Plan:
    """What the series will hold: the ticks, and by key the closed buckets that stand without their ticks."""

    ticks: Samples
    carried: Mapping[str, Samples]
    carried_until_ms: int
    too_old: int
    too_early: int


def rebuild(
    link: Link, inspection: Inspection, live: Iterable[Tick] = (), candles: Iterable[Candle] = ()
) -> Rebuilt:
    """Write the layout anew with the stored ticks and these, and let Redis derive every compaction again.

    Ticks before the window or more than 10 s ahead are left out and counted. No stored tick of the window is lost.

    Raises:
        Contended: other writers were faster `ATTEMPTS` times in a row; nothing was changed.
        StoreError: Redis refused a command.
    """
    live, candles = tuple(live), tuple(candles)
    with _lifted_retention(link, inspection):
        for attempt in range(ATTEMPTS):
            try:
                return _attempt(link, inspection, live, candles)
            except WatchError:
                link.clock.sleep(random.uniform(0, 0.05 * min(attempt + 1, 6)))
    raise Contended(f"other writers kept changing {link.layout.tick} during {ATTEMPTS} attempts; try again")


def plan(layout: Layout, found: Found, live: Iterable[Tick], candles: Iterable[Candle]) -> Plan:
    """Decide what the series will hold (pure)."""
    span = Span(window(found.now_ms).start_ms, found.now_ms + FUTURE_SLACK_MS + 1)
    live, candles = tuple(live), tuple(candles)
    timely = [tick for tick in live if tick.time_ms in span]
    closed = [each for each in candles if each.start_ms in span and settled_stamp(each.start_ms) < found.now_ms]
    ticks = combine([tick for tick in found.ticks if is_price(tick.price)], timely, closed)
    ticks = ticks[bisect_left(ticks, (_first_whole_hour(ticks),)) :]
    until = found.carried_until_ms or _end_of_closed(layout, found)
    if until <= span.start_ms:
        until = 0
    settled = {tick.time_ms for tick in ticks}
    carried = {
        each.key: [
            sample
            for sample in found.closed.get(each.key, ())
            if _stands(each, sample, found.now_ms, until) and not _is_complete(each, sample.time_ms, settled)
        ]
        for each in layout.compactions
    }
    too_old = sum(tick.time_ms < span.start_ms for tick in live)
    return Plan(ticks, carried, until, too_old, len(live) - len(timely) - too_old)


def _first_whole_hour(ticks: Samples) -> int:
    """The first hour that the tick retention covers whole; a part of one would be published as if it were all."""
    if not ticks:
        return 0
    return -(-(ticks[-1].time_ms - TICK_RETENTION_MS) // HOUR.bucket_ms) * HOUR.bucket_ms


def _end_of_closed(layout: Layout, found: Found) -> int:
    """The end of the newest closed bucket when the ticks are gone, else 0."""
    if found.ticks:
        return 0
    ends = [
        sample.time_ms + each.resolution.bucket_ms
        for each in layout.compactions
        for sample in found.closed.get(each.key, ())[-1:]
    ]
    return min(max(ends, default=0), found.now_ms)


def _stands(each: Compaction, sample: Tick, now_ms: int, until_ms: int) -> bool:
    """Whether a stored bucket is one that lost its ticks and is still shown."""
    bucket_ms = each.resolution.bucket_ms
    return (
        sample.time_ms in each.resolution.closed(now_ms)
        and sample.time_ms % bucket_ms == 0
        and sample.time_ms + bucket_ms <= until_ms
        and is_price(sample.price)
    )


def _is_complete(each: Compaction, start_ms: int, stamps: set[int]) -> bool:
    """Whether every minute of the bucket is settled."""
    minutes = Span(start_ms, start_ms + each.resolution.bucket_ms).minutes()
    return all(settled_stamp(minute) in stamps for minute in minutes)


@contextmanager
def _lifted_retention(link: Link, inspection: Inspection) -> Iterator[None]:
    """Show the ticks that a sample from the future hides; put the retention back when the rebuild fails."""
    key = link.layout.tick
    if inspection.series[key] is None:
        yield
        return
    link.ask("TS.ALTER", key, "RETENTION", 0)
    try:
        yield
    except BaseException:
        _put_back(link, key)
        raise


def _put_back(link: Link, key: str) -> None:
    try:
        link.ask("TS.ALTER", key, "RETENTION", TICK_RETENTION_MS)
    except BtctsError:
        return  # unreachable now: the check of the next cycle finds the retention lifted and puts it back


def _attempt(link: Link, inspection: Inspection, live: Sequence[Tick], candles: Sequence[Candle]) -> Rebuilt:
    with link.translated(), link.transaction() as pipe:
        pipe.watch(*link.layout.series, link.layout.state)
        found = _find(link, pipe)
        planned = plan(link.layout, found, live, candles)
        pipe.multi()
        commands = list(_commands(link.layout, planned, found.now_ms))
        guests = list(_guest_rules(link.layout, inspection))
        for command in (*commands, *guests):
            pipe.execute_command(*command)
        replies = pipe.execute(raise_on_error=False)
    for reply in replies[: len(commands)]:
        for item in reply if isinstance(reply, list) else [reply]:
            if isinstance(item, ResponseError):
                raise explain(item, link.where) from item
    return Rebuilt(found.now_ms, len(planned.ticks), len(found.ticks), planned.too_old, planned.too_early)


def _find(link: Link, pipe: Pipeline) -> Found:
    now_ms = link.clock.observe(now_of(pipe.execute_command("TIME")))
    ticks = _range(pipe, link.layout.tick, now_ms + FUTURE_SLACK_MS)
    carried = int(pipe.execute_command("HGET", link.layout.state, CARRIED_FIELD) or 0)
    closed = {}
    if carried or not ticks:
        closed = {each.key: _range(pipe, each.key, now_ms) for each in link.layout.compactions}
    return Found(now_ms, ticks, closed, carried)


def _range(pipe: Pipeline, key: str, until_ms: int) -> list[Tick]:
    try:
        samples = pipe.execute_command("TS.RANGE", key, "-", until_ms)
    except ResponseError as exc:
        if is_missing(exc):
            return []
        raise
    return [Tick(time_ms, float(price)) for time_ms, price in samples]


def _commands(layout: Layout, planned: Plan, now_ms: int) -> Iterator[Command]:
    """The body of the MULTI.

    While carried buckets are written the retention of the compactions is off: a rule that emits a bucket older
    than the retention of its destination would send a reply too many, and shift all that follow.
    """
    carrying = any(planned.carried.values())
    yield ("DEL", *layout.series)
    for definition in layout.definitions:
        lifted = carrying and definition.key != layout.tick
        yield _create(definition, 0 if lifted else definition.retention_ms)
    for each in layout.compactions:
        yield _rule(layout.tick, each.key, each.resolution.bucket_ms, each.aggregator)
    yield from _madds(layout.tick, planned.ticks)
    for key, samples in planned.carried.items():
        yield from _madds(key, samples)
    for each in layout.compactions:
        yield ("TS.DEL", each.key, 0, each.resolution.closed(now_ms).start_ms - 1)
        if carrying:
            yield ("TS.ALTER", each.key, "RETENTION", each.resolution.retention_ms)
    if planned.carried_until_ms:
        yield ("HSET", layout.state, CARRIED_FIELD, planned.carried_until_ms)
    else:
        yield ("HDEL", layout.state, CARRIED_FIELD)


def _create(definition: Definition, retention_ms: int) -> Command:
    return (
        *("TS.CREATE", definition.key, "RETENTION", retention_ms, "ENCODING", definition.encoding.upper()),
        *("CHUNK_SIZE", definition.chunk_size, "DUPLICATE_POLICY", DUPLICATE_POLICY, "LABELS"),
        *(part for label in definition.labels.items() for part in label),
    )


def _rule(source: str, key: str, bucket_ms: int, aggregator: str, align_ms: int = 0) -> Command:
    return ("TS.CREATERULE", source, key, "AGGREGATION", aggregator, bucket_ms, align_ms)


def _guest_rules(layout: Layout, inspection: Inspection) -> Iterator[Command]:
    """Rules into keys that are not ours, made again last so that nothing is written into those keys."""
    for key, (bucket_ms, aggregator, align_ms) in inspection.guests.items():
        yield _rule(layout.tick, key, bucket_ms, aggregator, align_ms)


def _madds(key: str, samples: Samples) -> Iterator[Command]:
    for start in range(0, len(samples), SLICE):
        arguments: list[Any] = ["TS.MADD"]
        for time_ms, price in samples[start : start + SLICE]:
            arguments += (key, time_ms, price)
        yield tuple(arguments)
