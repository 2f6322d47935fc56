"""Compare what is stored with what the ticks make of it: bad ticks, damaged candles, wrong buckets (pure)."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from btcts.domain.candles import HIGH_OFFSET_MS, LOW_OFFSET_MS, SETTLED_OFFSET_MS, minute_of
from btcts.domain.codes import FaultCode, FindingCode, Values
from btcts.domain.layout import FUTURE_SLACK_MS, RESOLUTIONS, Compaction, Resolution, window
from btcts.domain.model import MINUTE_MS, Tick, is_price

if TYPE_CHECKING:
    from btcts.store import Audit

NAMES = {0: "open", LOW_OFFSET_MS: "low", HIGH_OFFSET_MS: "high"}
FIELDS = NAMES | {SETTLED_OFFSET_MS: "close"}

Prices = tuple[float | None, ...]  # those of FIELDS, None where the tick is lost


@dataclass(frozen=True, slots=True)
class Finding:
    """A fault of a series, or of its slot or tick at `start_ms`.

    `dropped` are the stamps of the ticks that a repair removes; `field` is the field of the candle.
    """

    key: str
    code: FindingCode | FaultCode
    start_ms: int | None = None
    stored: float | None = None
    expected: float | None = None
    dropped: tuple[int, ...] = ()
    values: Values = field(default_factory=dict)
    field: str | None = None


@dataclass(frozen=True, slots=True)
class Bucket:
    """The aggregation of the ticks of one stretch of time, by field."""

    close: float
    min: float
    max: float


def find_faults(audit: "Audit") -> tuple[Finding, ...]:
    """Return the faults of the ticks, of the candles of settled minutes and of the buckets, in this order."""
    sound = [tick for tick in audit.ticks if _find_flaw(tick, audit.now_ms) is None]
    return (*_find_bad_ticks(audit), *_find_broken_minutes(audit, sound), *_find_wrong_buckets(audit, sound))


def build_buckets(ticks: Iterable[Tick], resolution: Resolution) -> dict[int, Bucket]:
    """Return the buckets of a resolution computed from ascending ticks, by their start."""
    prices: dict[int, list[float]] = {}
    for time_ms, price in ticks:
        prices.setdefault(resolution.start_of(time_ms), []).append(price)
    return {start: Bucket(values[-1], min(values), max(values)) for start, values in prices.items()}


def _find_flaw(tick: Tick, now_ms: int) -> FindingCode | None:
    """Return the fault of a tick, None without one."""
    if tick.time_ms > now_ms + FUTURE_SLACK_MS:
        return FindingCode.IN_FUTURE
    return None if is_price(tick.price) else FindingCode.NO_PRICE


def _find_bad_ticks(audit: "Audit") -> Iterator[Finding]:
    for tick in audit.ticks:
        if flaw := _find_flaw(tick, audit.now_ms):
            yield Finding(audit.layout.tick, flaw, tick.time_ms, stored=tick.price)


def _find_broken_minutes(audit: "Audit", ticks: Sequence[Tick]) -> Iterator[Finding]:
    """Yield the closed minutes of the window whose candle is damaged."""
    for minute, prices in group_closed_minutes(audit, ticks).items():
        if damage := _find_damage(prices):
            code, values = damage
            dropped = _choose_dropped(minute, prices)
            yield Finding(audit.layout.tick, code, minute, dropped=dropped, values=values)


def group_closed_minutes(audit: "Audit", ticks: Iterable[Tick]) -> dict[int, dict[int, float]]:
    """Group prices, by their offset, by closed minute of the window whose ticks are all retained; ascending."""
    first_ms = max(window(audit.now_ms).start_ms, audit.first_ms)
    minutes: dict[int, dict[int, float]] = {}
    for time_ms, price in ticks:
        if first_ms <= minute_of(time_ms) <= audit.now_ms - MINUTE_MS:
            minutes.setdefault(minute_of(time_ms), {})[time_ms % MINUTE_MS] = price
    return minutes


def _find_damage(prices: Mapping[int, float]) -> tuple[FindingCode, Values] | None:
    """Return the damage to the candle of a minute, given its prices by offset; None without damage or a candle."""
    if SETTLED_OFFSET_MS not in prices:
        return (FindingCode.CLOSE_LOST, {}) if _is_open_candle(prices) else None
    if lost := [name for offset, name in NAMES.items() if offset not in prices]:
        return FindingCode.CANDLE_INCOMPLETE, {"lost": lost}
    low, high = prices[LOW_OFFSET_MS], prices[HIGH_OFFSET_MS]
    outside = [offset for offset, price in prices.items() if not low <= price <= high]
    return (FindingCode.OUTSIDE_CANDLE, {"low": low, "high": high, "offsets_ms": outside}) if outside else None


def _is_open_candle(prices: Mapping[int, float]) -> bool:
    """Tell whether the prices can only be those of a candle without its close.

    Live ticks hardly ever fall on exactly these three milliseconds with the lowest and highest prices in their places.
    """
    return (
        NAMES.keys() <= prices.keys()
        and prices[LOW_OFFSET_MS] == min(prices.values())
        and prices[HIGH_OFFSET_MS] == max(prices.values())
    )


def _choose_dropped(minute_ms: int, prices: Mapping[int, float]) -> tuple[int, ...]:
    """Return the ticks to drop so that the minute counts as polled and the next collect settles it again.

    That is the mark, and also the open if the others would still look like a candle: no compaction depends on it.
    """
    mark = minute_ms + SETTLED_OFFSET_MS
    rest = {offset: price for offset, price in prices.items() if offset != SETTLED_OFFSET_MS}
    return (minute_ms, mark) if _is_open_candle(rest) else (mark,)


def _find_wrong_buckets(audit: "Audit", ticks: Sequence[Tick]) -> Iterator[Finding]:
    for resolution in RESOLUTIONS.values():
        first_ms = _find_first_compared(audit, resolution)
        buckets = build_buckets((tick for tick in ticks if tick.time_ms >= first_ms), resolution)
        for compaction in audit.layout.list_compactions(resolution):
            if compaction.key in audit.compactions:
                expected = {start: getattr(bucket, compaction.field) for start, bucket in buckets.items()}
                yield from _find_wrong_values(audit, compaction, expected, first_ms)
                yield from _find_missing(audit, compaction, expected)


def _find_first_compared(audit: "Audit", resolution: Resolution) -> int:
    """Return the start of the first bucket to compare: kept by the clock, with all its ticks still retained."""
    first_whole_ms = -(-audit.first_ms // resolution.bucket_ms) * resolution.bucket_ms
    return max(resolution.closed(audit.now_ms).start_ms, first_whole_ms)


def _find_wrong_values(
    audit: "Audit", compaction: Compaction, expected: Mapping[int, float], first_ms: int
) -> Iterator[Finding]:
    """Yield buckets whose stored value is wrong. Without ticks there is no reference: a rebuild keeps them all."""
    carried = audit.carried.get(compaction.key, ())
    for start, value in audit.compactions[compaction.key]:
        if start > audit.now_ms + FUTURE_SLACK_MS:
            yield Finding(compaction.key, FindingCode.IN_FUTURE, start, stored=value)
        elif audit.ticks and start >= first_ms and start not in carried and value != expected.get(start):
            code = FindingCode.WRONG_BUCKET if start in expected else FindingCode.BUCKET_WITHOUT_TICKS
            yield Finding(compaction.key, code, start, stored=value, expected=expected.get(start))


def _find_missing(audit: "Audit", compaction: Compaction, expected: Mapping[int, float]) -> Iterator[Finding]:
    """Yield missing buckets; Redis stores a bucket when a tick of a later one arrives."""
    present = {start for start, _ in audit.compactions[compaction.key]}
    carried = audit.carried.get(compaction.key, ())
    for start, value in expected.items():
        is_open = start == compaction.resolution.start_of(audit.ticks[-1].time_ms)
        if start not in present and start not in carried and (audit.latest or not is_open):
            yield Finding(compaction.key, FindingCode.MISSING_BUCKET, start, expected=value)
