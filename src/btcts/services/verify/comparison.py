"""Compare stored buckets with those computed from the ticks, and settled minutes with the providers' candles (pure).

A settled minute may rest on other providers than those that answer for it now, and some do not reach back far enough.
A candle that some of them may have agreed on is not damage, unless a majority of three or more is far from it: then a
provider that would explain it is wrong itself.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, combinations
from typing import TYPE_CHECKING, Literal

from btcts.domain.candle_agreement import AgreedCandles, Reach, agree_candles
from btcts.domain.candles import HIGH_OFFSET_MS, LOW_OFFSET_MS, SETTLED_OFFSET_MS, minute_of, ticks_of
from btcts.domain.layout import FUTURE_SLACK_MS, RESOLUTIONS, Compaction, Resolution, window
from btcts.domain.model import MINUTE_MS, Candle, Candles, Tick, is_price
from btcts.domain.nearness import NEAR, is_near

if TYPE_CHECKING:
    from btcts.store.audit import Audit

FUTURE = "lies in the future"
NAMES = {0: "open", LOW_OFFSET_MS: "low", HIGH_OFFSET_MS: "high"}
FIELDS = NAMES | {SETTLED_OFFSET_MS: "close"}

Prices = tuple[float | None, ...]  # those of FIELDS, None where the tick is lost

Verdict = Literal["partial", "doubtful", "damaged"]
"""Origin of a candle that differs: some of the answering providers, silent ones, or no providers at all."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A fault of a series, or of its slot or tick at `start_ms`.

    `dropped` are the stamps of the ticks that a repair removes; `field` is the field of the candle.
    """

    key: str
    problem: str
    start_ms: int | None = None
    stored: float | None = None
    expected: float | None = None
    dropped: tuple[int, ...] = ()
    field: str | None = None


@dataclass(frozen=True, slots=True)
class Answers:
    """The providers' answers for `minutes`, of which those from `recent_ms` on may still be corrected.

    `providers` are all that have candles, including those that did not answer; `quorum` is that of collectors. `reach`
    has the providers asked now and by collectors; `another` is set when the collectors' list differs from ours; `thin`
    are the minutes that rest on few of theirs.
    """

    minutes: range
    recent_ms: int
    providers: frozenset[str]
    candles: tuple[Candles, ...]
    quorum: int = 1
    reach: Reach = field(default_factory=lambda: Reach({}))
    another: bool = False
    thin: frozenset[int] = frozenset()

    def find_silent(self, minute_ms: int) -> list[str]:
        """Return the names of the providers that did not answer for the minute."""
        heard = {answer.provider for answer in self.candles if answer.covered and minute_ms in answer.covered}
        return sorted(self.providers - heard)


@dataclass(frozen=True, slots=True)
class Comparison:
    """The comparison of settled minutes with the candles that the providers agree on now, `agreed`.

    `findings` are damage, `doubts` are differences that only silent providers can explain. The others count minutes:
    those `compared`, and the `partial` ones among them, which rest on other providers; those skipped because they are
    `recent` or have no agreed candle (`untold`); and the `unsettled` ones that have an agreed candle.
    """

    findings: tuple[Finding, ...]
    doubts: tuple[Finding, ...]
    compared: int
    partial: int
    recent: int
    untold: int
    unsettled: int
    agreed: Mapping[int, Candle]


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


def compare(audit: "Audit", answers: Answers) -> Comparison:
    """Compare the candle of each requested settled minute with the one that the answers agree on."""
    agreed = agree_candles(answers.candles, quorum=answers.quorum)
    stored = _read_candles(audit, answers.minutes)
    old = {minute for minute in stored if minute < answers.recent_ms}
    told = old & agreed.candles.keys()
    untraded = {minute for minute in old & agreed.no_trades if not answers.find_silent(minute)}
    differing = {
        minute: stored[minute] for minute in sorted(told) if stored[minute] != _get_prices(agreed.candles[minute])
    }
    verdicts = _judge_candles(differing, answers, agreed, audit.now_ms)
    found: dict[Verdict, list[Finding]] = {"partial": [], "doubtful": [], "damaged": []}
    for minute, verdict in verdicts.items():
        found[verdict] += _compare_fields(audit.layout.tick, differing[minute], agreed.candles[minute], verdict)
    return Comparison(
        findings=(*(_report_untraded(audit.layout.tick, minute) for minute in sorted(untraded)), *found["damaged"]),
        doubts=tuple(found["doubtful"]),
        compared=len(told) + len(untraded),
        partial=list(verdicts.values()).count("partial"),
        recent=len(stored) - len(old),
        untold=len(old - told - untraded),
        unsettled=len(agreed.candles.keys() - stored.keys()),
        agreed=agreed.candles,
    )


def build_buckets(ticks: Iterable[Tick], resolution: Resolution) -> dict[int, Bucket]:
    """Return the buckets of a resolution computed from ascending ticks, by their start."""
    prices: dict[int, list[float]] = {}
    for time_ms, price in ticks:
        prices.setdefault(resolution.start_of(time_ms), []).append(price)
    return {start: Bucket(values[-1], min(values), max(values)) for start, values in prices.items()}


def _find_flaw(tick: Tick, now_ms: int) -> str | None:
    """Return the fault of a tick, None without one."""
    if tick.time_ms > now_ms + FUTURE_SLACK_MS:
        return FUTURE
    return None if is_price(tick.price) else "is no price"


def _find_bad_ticks(audit: "Audit") -> Iterator[Finding]:
    for tick in audit.ticks:
        if flaw := _find_flaw(tick, audit.now_ms):
            yield Finding(audit.layout.tick, flaw, tick.time_ms, stored=tick.price)


def _find_broken_minutes(audit: "Audit", ticks: Sequence[Tick]) -> Iterator[Finding]:
    """Yield the closed minutes of the window whose candle is damaged."""
    for minute, prices in _group_closed_minutes(audit, ticks).items():
        if damage := _describe_damage(prices):
            yield Finding(audit.layout.tick, damage, minute, dropped=_choose_dropped(minute, prices))


def _group_closed_minutes(audit: "Audit", ticks: Iterable[Tick]) -> dict[int, dict[int, float]]:
    """Group prices, by their offset, by closed minute of the window whose ticks are all retained; ascending."""
    first_ms = max(window(audit.now_ms).start_ms, audit.first_ms)
    minutes: dict[int, dict[int, float]] = {}
    for time_ms, price in ticks:
        if first_ms <= minute_of(time_ms) <= audit.now_ms - MINUTE_MS:
            minutes.setdefault(minute_of(time_ms), {})[time_ms % MINUTE_MS] = price
    return minutes


def _describe_damage(prices: Mapping[int, float]) -> str | None:
    """Describe the damage to the candle of a minute, given its prices by offset; None without damage or a candle."""
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
            yield Finding(compaction.key, FUTURE, start, stored=value)
        elif audit.ticks and start >= first_ms and start not in carried and value != expected.get(start):
            problem = "is not what its ticks make" if start in expected else "has no ticks"
            yield Finding(compaction.key, problem, start, stored=value, expected=expected.get(start))


def _find_missing(audit: "Audit", compaction: Compaction, expected: Mapping[int, float]) -> Iterator[Finding]:
    """Yield missing buckets; Redis stores a bucket when a tick of a later one arrives."""
    present = {start for start, _ in audit.compactions[compaction.key]}
    carried = audit.carried.get(compaction.key, ())
    for start, value in expected.items():
        is_open = start == compaction.resolution.start_of(audit.ticks[-1].time_ms)
        if start not in present and start not in carried and (audit.latest or not is_open):
            yield Finding(compaction.key, "is missing", start, expected=value)


def _read_candles(audit: "Audit", minutes: range) -> dict[int, Prices]:
    """Return the candles of the settled ones of the minutes."""
    return {
        minute: tuple(map(prices.get, FIELDS))
        for minute, prices in _group_closed_minutes(audit, audit.ticks).items()
        if minute in minutes and SETTLED_OFFSET_MS in prices
    }


def _get_prices(candle: Candle) -> Prices:
    return tuple(tick.price for tick in ticks_of(candle))


def _judge_candles(
    differing: Mapping[int, Prices], answers: Answers, agreed: AgreedCandles, now_ms: int
) -> dict[int, Verdict]:
    held: dict[int, list[Candles]] = {minute: [] for minute in differing}
    for provider, candle in ((answer.provider, candle) for answer in answers.candles for candle in answer.candles):
        if candle.start_ms in held:
            held[candle.start_ms].append(Candles(provider, None, (candle,)))

    def judge(minute: int, prices: Prices) -> Verdict:
        silent = len(answers.find_silent(minute))
        majority = answers.reach.has_majority(agreed.backing[minute].near, minute, now_ms)
        if majority and len(held[minute]) > 2 and not _is_candle_near(prices, _get_prices(agreed.candles[minute])):
            return "damaged"
        verdict = _judge_candle(prices, held[minute], silent=silent)
        hedged = answers.another or minute in answers.thin or (silent > 0 and not majority)
        return "doubtful" if verdict == "damaged" and hedged else verdict

    return {minute: judge(minute, prices) for minute, prices in differing.items()}


def _is_candle_near(prices: Prices, reference: Prices) -> bool:
    """Tell whether all prices of a candle are present and near their references."""
    pairs = zip(prices, reference, strict=True)
    return all(price is not None and expected is not None and is_near(price, expected) for price, expected in pairs)


def _judge_candle(prices: Prices, held: Sequence[Candles], *, silent: int) -> Verdict:
    """Judge a stored candle that differs from the agreement of the candles `held`.

    With one provider silent and three or more not, the median of any three, and of all but one, lies within the range
    of the held candles. Otherwise silent providers may have caused it, and are assumed to have been near the others.
    """
    some_of_them = chain.from_iterable(combinations(held, size) for size in range(1, len(held)))
    if any(prices == _get_prices(candle) for some in some_of_them for candle in agree_candles(some).candles.values()):
        return "partial"
    values = zip(*(_get_prices(answer.candles[0]) for answer in held), strict=True)
    beyond = max(map(_measure_outside, prices, values))
    if not silent or beyond > NEAR:
        return "damaged"
    if beyond == 0:
        return "partial"
    return "damaged" if silent == 1 and len(held) > 2 else "doubtful"


def _measure_outside(price: float | None, values: Sequence[float]) -> float:
    """Measure how far a price lies outside the range of the values: 0.02 is 2 %, infinity for a lost price."""
    low, high = min(values), max(values)
    return math.inf if price is None else max(0.0, (low - price) / low, (price - high) / high)


def _compare_fields(key: str, prices: Prices, candle: Candle, verdict: Verdict) -> Iterator[Finding]:
    hedge = "" if verdict == "damaged" else ", which silent ones may explain"
    for name, price, expected in zip(FIELDS.values(), prices, _get_prices(candle), strict=True):
        if price != expected:
            problem = f"its {name} is not what the providers agree on{hedge}"
            yield Finding(key, problem, candle.start_ms, stored=price, expected=expected, field=name)


def _report_untraded(key: str, minute_ms: int) -> Finding:
    stamps = tuple(minute_ms + offset for offset in FIELDS)
    return Finding(key, "is settled, but no provider has trades in it", minute_ms, dropped=stamps)
