"""Candles as ticks: the four stamps at which a candle is stored, and the rules that keep a settled minute (pure).

A minute is settled when it holds a tick at +59 999 ms. No live tick may ever have that stamp, and no tick of a
settled minute may lie outside its candle; otherwise collectors that poll at different moments would disagree. The
bounds of an unsettled minute are stored at +1 and +2 ms, where no live tick may be either.
"""

import math
from collections.abc import Iterable, Mapping
from contextlib import suppress

from btcts.domain.model import MINUTE_MS, Candle, Tick

LOW_OFFSET_MS = 20_000
HIGH_OFFSET_MS = 40_000
SETTLED_OFFSET_MS = MINUTE_MS - 1

CANDLE_OFFSETS_MS = (0, LOW_OFFSET_MS, HIGH_OFFSET_MS, SETTLED_OFFSET_MS)
"""Offsets of the four ticks of a candle within its minute, ascending."""

BOUND_OFFSETS_MS = (1, 2)
"""Offsets of the low and the high of an unsettled minute."""


def minute_of(time_ms: int) -> int:
    """Return the start of the minute that contains `time_ms`."""
    return time_ms - time_ms % MINUTE_MS


def settled_stamp(minute_ms: int) -> int:
    """Return the stamp of the tick that marks the minute settled."""
    return minute_ms + SETTLED_OFFSET_MS


def ticks_of(candle: Candle) -> tuple[Tick, Tick, Tick, Tick]:
    """Return the candle as stored: open, low, high and close, ascending in time."""
    start = candle.start_ms
    return (
        Tick(start, candle.open),
        Tick(start + LOW_OFFSET_MS, candle.low),
        Tick(start + HIGH_OFFSET_MS, candle.high),
        Tick(start + SETTLED_OFFSET_MS, candle.close),
    )


def candles_of(ticks: Iterable[Tick]) -> dict[int, Candle]:
    """Return the candles of the settled minutes among the ticks, by minute; incomplete ones are left out."""
    prices = {time_ms: price for time_ms, price in ticks if time_ms % MINUTE_MS in CANDLE_OFFSETS_MS}
    found: dict[int, Candle] = {}
    for minute in (stamp - SETTLED_OFFSET_MS for stamp in prices if stamp % MINUTE_MS == SETTLED_OFFSET_MS):
        with suppress(KeyError, ValueError):
            found[minute] = Candle(
                minute,
                prices[minute],
                prices[minute + HIGH_OFFSET_MS],
                prices[minute + LOW_OFFSET_MS],
                prices[settled_stamp(minute)],
            )
    return found


def move_off_the_mark(tick: Tick) -> Tick:
    """Return the live tick as stored: off the stamp that marks a minute settled (1 ms earlier) and off its bounds."""
    offset = tick.time_ms % MINUTE_MS
    if offset == SETTLED_OFFSET_MS:
        return Tick(tick.time_ms - 1, tick.price)
    if offset in BOUND_OFFSETS_MS:
        return Tick(tick.time_ms - offset + BOUND_OFFSETS_MS[-1] + 1, tick.price)
    return tick


def combine(stored: Mapping[int, float], live: Iterable[Tick], candles: Iterable[Candle]) -> dict[int, float]:
    """Return the price at each stamp, ascending: the stored ticks with live ticks (off the mark) and candles added.

    A later live tick replaces a stored one of the same stamp; a candle replaces the candle of its minute. Every live
    tick of a settled minute is moved to the nearer bound of its candle, and none of them replaces a tick of the
    candle, so the order of arrival does not matter.
    """
    prices = dict(stored)
    settling = {candle.start_ms: candle for candle in candles}
    for time_ms, price in live:
        minute = minute_of(time_ms)
        if minute in settling or settled_stamp(minute) not in prices:
            prices[time_ms] = price
        elif time_ms - minute not in CANDLE_OFFSETS_MS:
            low, high = prices.get(minute + LOW_OFFSET_MS, 0.0), prices.get(minute + HIGH_OFFSET_MS, math.inf)
            prices[time_ms] = _clamp(low, high, price)
    if settling:
        _settle(prices, settling)
    return {time_ms: prices[time_ms] for time_ms in sorted(prices)}


def _settle(prices: dict[int, float], candles: Mapping[int, Candle]) -> None:
    """Add the candles, and move the live ticks of their minutes into their ranges."""
    for time_ms, price in prices.items():
        candle = candles.get(minute_of(time_ms))
        if candle:
            prices[time_ms] = _clamp(candle.low, candle.high, price)
    for candle in candles.values():
        prices.update(ticks_of(candle))


def _clamp(low: float, high: float, price: float) -> float:
    return min(max(price, low), high)
