"""Decide what a rebuild will write from what it found (pure).

Buckets whose ticks were lost are carried over: such a bucket gives way only to ticks in which each of its minutes
is settled, or known to have had no trades. Which ones they are is remembered, for what a few ticks make of a bucket
looks no different.
"""

from collections.abc import Collection, Container, Iterable, Mapping
from typing import NamedTuple

from btcts.domain.candles import combine, settled_stamp
from btcts.domain.layout import FUTURE_SLACK_MS, HOUR, TICK_RETENTION_MS, Compaction, Layout, window
from btcts.domain.model import Candle, Span, Tick, is_price
from btcts.errors import StoreError
from btcts.store.condense import condense

UNFINISHED = "the candle of a minute that is not over was refused; check the clocks"

Samples = Mapping[int, float]


class Found(NamedTuple):
    """The current content of Redis: the ticks, the closed buckets by key, and the starts of carried buckets.

    `quiet` are the minutes that had no trades.
    """

    now_ms: int
    ticks: Samples
    closed: Mapping[str, Samples]
    carried: Mapping[str, Container[int]]
    quiet: Container[int] = ()


class RebuildPlan(NamedTuple):
    """The new content of Redis: the ticks, and the carried buckets by key.

    Only a rebuild may write a tick before `carried_until_ms`; it is 0 when nothing is carried over.
    """

    ticks: Samples
    carried: Mapping[str, Samples]
    carried_until_ms: int


def writable(now_ms: int) -> Span:
    """Return the span of stamps that may be written: the window plus 10 s."""
    return Span(window(now_ms).start_ms, now_ms + FUTURE_SLACK_MS + 1)


def plan(
    layout: Layout, found: Found, live: Iterable[Tick], candles: Iterable[Candle], dropped: Collection[int] = ()
) -> RebuildPlan:
    """Add live ticks and candles to what was found, leaving out what is not writable and the `dropped` stamps.

    Raises:
        StoreError: a candle's minute is not over yet.
    """
    span = writable(found.now_ms)
    timely = [candle for candle in candles if candle.start_ms in span]
    if any(settled_stamp(candle.start_ms) >= found.now_ms for candle in timely):
        raise StoreError(UNFINISHED)
    stored = {time_ms: price for time_ms, price in found.ticks.items() if is_price(price) and time_ms not in dropped}
    combined = combine(stored, [tick for tick in live if tick.time_ms in span], timely)
    ticks = condense(_cut_to_whole_hours(combined), found.now_ms)
    carried = {compaction.key: _find_carried(compaction, found, ticks) for compaction in layout.compactions}
    ends = (
        start + compaction.resolution.bucket_ms
        for compaction in layout.compactions
        for start in carried[compaction.key]
    )
    return RebuildPlan(ticks, carried, max(ends, default=0))


def _cut_to_whole_hours(ticks: Samples) -> Samples:
    """Drop ticks before the first whole retained hour: a partial hour would be published as complete."""
    oldest = max(ticks, default=0) - TICK_RETENTION_MS
    first = -(-oldest // HOUR.bucket_ms) * HOUR.bucket_ms
    return {time_ms: price for time_ms, price in ticks.items() if time_ms >= first}


def _find_carried(compaction: Compaction, found: Found, ticks: Samples) -> Samples:
    """Return the stored buckets that lost their ticks, are within retention and not complete again."""
    kept = compaction.resolution.slots(found.now_ms)[:-1]
    lost = found.carried.get(compaction.key, ()) if found.ticks else kept
    return {
        start: price
        for start, price in found.closed.get(compaction.key, {}).items()
        if start in kept
        and start in lost
        and is_price(price)
        and not _is_complete(compaction, start, ticks, found.quiet)
    }


def _is_complete(compaction: Compaction, start_ms: int, ticks: Samples, quiet: Container[int]) -> bool:
    """Tell whether every minute of the bucket is settled or had no trades, at least one being settled."""
    minutes = Span(start_ms, start_ms + compaction.resolution.bucket_ms).minutes()
    settled = {minute for minute in minutes if settled_stamp(minute) in ticks}
    return bool(settled) and all(minute in settled or minute in quiet for minute in minutes)
