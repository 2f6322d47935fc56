"""Candles as ticks: where a candle's four prices are stored and how a settled minute depends on it alone (pure).

A minute is settled when it holds a tick at +59 999 ms. No live tick may ever take that stamp, and no tick of a
settled minute may lie outside its candle, or two collectors that polled at other moments would disagree on it.
"""

from collections.abc import Iterable, Mapping

from btcts.model import MINUTE_MS, Candle, Tick

LOW_OFFSET_MS = 20_000
HIGH_OFFSET_MS = 40_000
SETTLED_OFFSET_MS = MINUTE_MS - 1

CANDLE_OFFSETS_MS = frozenset({0, LOW_OFFSET_MS, HIGH_OFFSET_MS, SETTLED_OFFSET_MS})


def minute_of(time_ms: int) -> int:
    """The start of the minute that `time_ms` lies in."""
    return time_ms - time_ms % MINUTE_MS


def settled_stamp(minute_ms: int) -> int:
    """The stamp whose tick marks the minute settled."""
    return minute_ms + SETTLED_OFFSET_MS


def ticks_of(candle: Candle) -> tuple[Tick, Tick, Tick, Tick]:
    """The candle as stored: open, low, high and close, ascending in time."""
    start = candle.start_ms
    return (
        Tick(start, candle.open),
        Tick(start + LOW_OFFSET_MS, candle.low),
        Tick(start + HIGH_OFFSET_MS, candle.high),
        Tick(start + SETTLED_OFFSET_MS, candle.close),
    )


def off_the_mark(tick: Tick) -> Tick:
    """The live tick as stored: 1 ms earlier where it would take the stamp that marks a minute settled."""
    if tick.time_ms % MINUTE_MS == SETTLED_OFFSET_MS:
        return Tick(tick.time_ms - 1, tick.price)
    return tick


def combine(stored: Mapping[int, float], live: Iterable[Tick], candles: Iterable[Candle]) -> dict[int, float]:
    """The price at each stamp, ascending: what is stored with live ticks (off the mark) and candles added.

    A later live tick replaces a stored one of the same stamp; a candle replaces the candle of its minute. The
    live ticks of every settled minute touched are moved to the nearer bound of its candle, and none of them
    replaces a tick of the candle, so the order of arrival does not matter.
    """
    prices = dict(stored)
    touched = set()
    for time_ms, price in live:
        minute = minute_of(time_ms)
        if settled_stamp(minute) in prices:
            touched.add(minute)
            if time_ms - minute in CANDLE_OFFSETS_MS:
                continue
        prices[time_ms] = price
    for candle in candles:
        touched.add(candle.start_ms)
        prices.update(ticks_of(candle))
    if touched:
        _clamp(prices, touched)
    return {time_ms: prices[time_ms] for time_ms in sorted(prices)}


def _clamp(prices: dict[int, float], minutes: set[int]) -> None:
    """Move the live ticks of these settled minutes into the candle's range."""
    for time_ms, price in prices.items():
        minute = minute_of(time_ms)
        if minute in minutes and time_ms - minute not in CANDLE_OFFSETS_MS:
            low = prices.get(minute + LOW_OFFSET_MS, price)
            high = prices.get(minute + HIGH_OFFSET_MS, price)
            prices[time_ms] = min(max(price, low), high)
