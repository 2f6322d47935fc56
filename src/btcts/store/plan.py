"""Decide what a rebuild will write from what it found (pure).

Buckets whose ticks were lost are carried over: such a bucket gives way only to ticks in which each of its minutes
is settled, or known to have had no trades. Which ones they are is remembered, for what a few ticks make of a bucket
looks no different. Where there are very many ticks, those that no bucket needs are left out.
"""

from collections.abc import Collection, Container, Iterable, Iterator, Mapping
from itertools import groupby
from typing import NamedTuple

from btcts.domain.candles import CANDLE_OFFSETS_MS, combine, minute_of, settled_stamp
from btcts.domain.layout import FUTURE_SLACK_MS, HOUR, TICK_RETENTION_MS, Compaction, Layout, window
from btcts.domain.model import Candle, Span, Tick, is_price
from btcts.errors import StoreError

MOST_TICKS = 20_000
"""Up to so many ticks are all kept: a price each 10 s and a candle each minute come to fewer. Rewriting 98 000 of them
has held Redis for up to 0.65 s."""

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
    """The new content of Redis: the ticks, and the carried buckets by key."""

    ticks: Samples
    carried: Mapping[str, Samples]


def writable(now_ms: int) -> Span:
    """Return the span of stamps that may be written: the window plus 10 s."""
    return Span(window(now_ms).start_ms, now_ms + FUTURE_SLACK_MS + 1)


def plan(
    layout: Layout, found: Found, live: Iterable[Tick], candles: Iterable[Candle], dropped: Collection[int]
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
    return RebuildPlan(
        ticks, {compaction.key: _find_carried(compaction, found, ticks) for compaction in layout.compactions}
    )


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


def condense(ticks: Samples, now_ms: int, most: int = MOST_TICKS) -> Samples:
    """Return the ticks (ascending); beyond `most`, drop those of old minutes that no bucket needs.

    Of a settled minute before the previous whole hour its candle remains, of another one its first, lowest, highest
    and last tick. Where that is not enough, the same goes for later minutes, but never for the running one.
    """
    hour_ms = HOUR.start_of(now_ms)
    for recent_ms in (hour_ms - HOUR.bucket_ms, hour_ms, minute_of(now_ms)):
        if len(ticks) > most:
            ticks = _condense_before(ticks, recent_ms)
    return ticks


def _condense_before(ticks: Samples, recent_ms: int) -> Samples:
    kept: dict[int, float] = {}
    for minute, group in groupby(ticks.items(), key=lambda tick: minute_of(tick[0])):
        prices = dict(group)
        kept.update(prices if minute >= recent_ms else _select(minute, prices))
    return kept


def _select(minute_ms: int, prices: Samples) -> Iterator[Tick]:
    """Return the fewest ticks of a minute that give the same buckets as all of them."""
    if settled_stamp(minute_ms) in prices:
        stamps = {minute_ms + offset for offset in CANDLE_OFFSETS_MS} & prices.keys()
    else:
        stamps = {min(prices), max(prices)}
    for extreme in (min(prices.values()), max(prices.values())):
        if all(prices[stamp] != extreme for stamp in stamps):
            stamps.add(next(stamp for stamp, price in prices.items() if price == extreme))
    return (Tick(stamp, prices[stamp]) for stamp in sorted(stamps))
