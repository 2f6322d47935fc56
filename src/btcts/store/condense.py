"""Fewer ticks that make the same buckets, so that a rebuild never holds Redis for long (pure)."""

from collections.abc import Iterator, Mapping
from itertools import groupby

from btcts.domain.candles import CANDLE_OFFSETS_MS, minute_of, settled_stamp
from btcts.domain.layout import HOUR
from btcts.domain.model import Tick

MOST_TICKS = 20_000
"""So many are kept as they are: more than a price each 10 s and a candle each minute come to. Writing 98 000 ticks
anew has held Redis for up to 0.65 s."""

Samples = Mapping[int, float]


def condense(ticks: Samples, now_ms: int, most: int = MOST_TICKS) -> Samples:
    """Return the ticks (ascending); beyond `most`, drop those of old minutes that no bucket needs.

    Of a settled minute before the previous whole hour its candle remains, of another one its first, lowest, highest
    and last tick. Where that does not do, the same goes for later minutes, but never for the running one.
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
