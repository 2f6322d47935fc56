"""What the ticks say that every bucket should be, compared with what is stored (pure)."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from btcts.candles import HIGH_OFFSET_MS, LOW_OFFSET_MS, SETTLED_OFFSET_MS, minute_of
from btcts.layout import FUTURE_SLACK_MS, RESOLUTIONS, Compaction, Resolution, window
from btcts.model import MINUTE_MS, Tick, is_price

if TYPE_CHECKING:
    from btcts.store.audit import Audit

FUTURE = "lies in the future"

NAMES = {0: "open", LOW_OFFSET_MS: "low", HIGH_OFFSET_MS: "high"}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong: with a series, or with the slot or tick of it at `start_ms`.

    `dropped` are the stamps of the ticks that a repair leaves out.
    """

    key: str
    problem: str
    start_ms: int | None = None
    stored: float | None = None
    expected: float | None = None
    dropped: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Bucket:
    """The aggregation of the ticks of one stretch of time, by field."""

    close: float
    min: float
    max: float


def findings(audit: "Audit") -> tuple[Finding, ...]:
    """All that is wrong with the ticks, with the candles of settled minutes and with the buckets, in this order."""
    sound = [each for each in audit.ticks if _flaw(each, audit.now_ms) is None]
    return (*_bad_ticks(audit), *_broken_minutes(audit, sound), *_wrong_buckets(audit, sound))


def aggregate(ticks: Iterable[Tick], resolution: Resolution) -> dict[int, Bucket]:
    """The buckets of a resolution that ascending ticks make, by their start."""
    prices: dict[int, list[float]] = {}
    for time_ms, price in ticks:
        prices.setdefault(resolution.start_of(time_ms), []).append(price)
    return {start: Bucket(each[-1], min(each), max(each)) for start, each in prices.items()}


def _flaw(tick: Tick, now_ms: int) -> str | None:
    """Why a tick is not to be believed."""
    if tick.time_ms > now_ms + FUTURE_SLACK_MS:
        return FUTURE
    return None if is_price(tick.price) else "is no price"


def _bad_ticks(audit: "Audit") -> Iterator[Finding]:
    for tick in audit.ticks:
        if flaw := _flaw(tick, audit.now_ms):
            yield Finding(audit.layout.tick, flaw, tick.time_ms, stored=tick.price)


def _broken_minutes(audit: "Audit", ticks: Sequence[Tick]) -> Iterator[Finding]:
    """The closed minutes of the window whose candle is damaged."""
    first_ms = max(window(audit.now_ms).start_ms, audit.first_ms)
    minutes: dict[int, dict[int, float]] = {}
    for time_ms, price in ticks:
        minutes.setdefault(minute_of(time_ms), {})[time_ms % MINUTE_MS] = price
    for minute, prices in minutes.items():
        if first_ms <= minute <= audit.now_ms - MINUTE_MS and (damage := _damage(prices)):
            yield Finding(audit.layout.tick, damage, minute, dropped=_unsettling(minute, prices))


def _damage(prices: Mapping[int, float]) -> str | None:
    """What is wrong with the candle of a minute, whose prices are given by their offset; None without a candle, too."""
    if SETTLED_OFFSET_MS not in prices:
        return "its candle has lost its close" if _is_open_candle(prices) else None
    lost = [name for offset, name in NAMES.items() if offset not in prices]
    if lost:
        return f"is settled, but its candle has lost its {' and '.join(lost)}"
    low, high = prices[LOW_OFFSET_MS], prices[HIGH_OFFSET_MS]
    outside = [offset for offset, price in prices.items() if not low <= price <= high]
    if not outside:
        return None
    where = ", ".join(f"+{offset}" for offset in outside)
    return f"is settled, but its low {low} and high {high} do not hold the prices at {where} ms"


def _is_open_candle(prices: Mapping[int, float]) -> bool:
    """Whether the prices can only be those of a candle without its close.

    Live ticks hardly ever lie on all three of these milliseconds with the lowest and the highest in their places.
    """
    return (
        NAMES.keys() <= prices.keys()
        and prices[LOW_OFFSET_MS] == min(prices.values())
        and prices[HIGH_OFFSET_MS] == max(prices.values())
    )


def _unsettling(minute_ms: int, prices: Mapping[int, float]) -> tuple[int, ...]:
    """The ticks without which the minute counts as polled, so that the next collect settles it anew.

    That is the mark, and where the others would still look like a candle its open: no compaction depends on it.
    """
    mark = minute_ms + SETTLED_OFFSET_MS
    rest = {offset: price for offset, price in prices.items() if offset != SETTLED_OFFSET_MS}
    return (minute_ms, mark) if _is_open_candle(rest) else (mark,)


def _wrong_buckets(audit: "Audit", ticks: Sequence[Tick]) -> Iterator[Finding]:
    for resolution in RESOLUTIONS.values():
        first_ms = _first_compared(audit, resolution)
        buckets = aggregate((tick for tick in ticks if tick.time_ms >= first_ms), resolution)
        for each in audit.layout.of(resolution):
            if each.key in audit.compactions:
                expected = {start: getattr(bucket, each.field) for start, bucket in buckets.items()}
                yield from _wrong_values(audit, each, expected, first_ms)
                yield from _missing(audit, each, expected)


def _first_compared(audit: "Audit", resolution: Resolution) -> int:
    """The start of the first bucket that is compared: kept by the clock, and all its ticks still retained."""
    first_whole_ms = -(-audit.first_ms // resolution.bucket_ms) * resolution.bucket_ms
    return max(resolution.closed(audit.now_ms).start_ms, first_whole_ms)


def _wrong_values(audit: "Audit", each: Compaction, expected: Mapping[int, float], first_ms: int) -> Iterator[Finding]:
    """What is stored and should not be. Without any tick there is nothing to compare with: a rebuild keeps it all."""
    carried = audit.carried.get(each.key, ())
    for start, value in audit.compactions[each.key]:
        if start > audit.now_ms + FUTURE_SLACK_MS:
            yield Finding(each.key, FUTURE, start, stored=value)
        elif audit.ticks and start >= first_ms and start not in carried and value != expected.get(start):
            problem = "is not what its ticks make" if start in expected else "has no ticks"
            yield Finding(each.key, problem, start, stored=value, expected=expected.get(start))


def _missing(audit: "Audit", each: Compaction, expected: Mapping[int, float]) -> Iterator[Finding]:
    """What should be stored and is not; Redis stores a bucket when a tick of a later one arrives."""
    present = {start for start, _ in audit.compactions[each.key]}
    carried = audit.carried.get(each.key, ())
    for start, value in expected.items():
        is_open = start == each.resolution.start_of(audit.ticks[-1].time_ms)
        if start not in present and start not in carried and (audit.latest or not is_open):
            yield Finding(each.key, "is missing", start, expected=value)
