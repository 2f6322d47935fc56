"""Compare settled minutes with the providers' candles (pure).

A settled minute may rest on other providers than those that answer for it now, and some do not reach back far enough.
A candle that some of them may have agreed on is not damage, unless a majority of three or more is far from it: then a
provider that would explain it is wrong itself.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, combinations
from typing import TYPE_CHECKING, Literal

from btcts.domain.candle_agreement import AgreedCandles, Reach, agree_candles
from btcts.domain.candles import SETTLED_OFFSET_MS, ticks_of
from btcts.domain.codes import FindingCode
from btcts.domain.model import NEAR, Candle, Candles, is_near
from btcts.services.verify.buckets import FIELDS, Finding, Prices, group_closed_minutes

if TYPE_CHECKING:
    from btcts.store import Audit

Verdict = Literal["partial", "doubtful", "damaged"]
"""Origin of a candle that differs: some of the answering providers, silent ones, or no providers at all."""


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
    """The comparison of settled minutes with the candles that the providers agree on now.

    `findings` are damage, `doubts` are differences that only silent providers can explain; `proven` are the candles
    that a majority supports, or that all were heard for. The others count minutes: those `compared`, and the `partial`
    ones among them, which rest on other providers; those skipped because they are `recent` or have no agreed candle
    (`untold`); and the `unsettled` ones that have an agreed candle.
    """

    findings: tuple[Finding, ...]
    doubts: tuple[Finding, ...]
    compared: int
    partial: int
    recent: int
    untold: int
    unsettled: int
    proven: Mapping[int, Candle]


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
        proven={
            minute: candle
            for minute, candle in agreed.candles.items()
            if answers.reach.has_majority(agreed.backing[minute].near, minute, audit.now_ms)
            or not answers.find_silent(minute)
        },
    )


def _read_candles(audit: "Audit", minutes: range) -> dict[int, Prices]:
    """Return the candles of the settled ones of the minutes."""
    return {
        minute: tuple(map(prices.get, FIELDS))
        for minute, prices in group_closed_minutes(audit, audit.ticks).items()
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
    code = FindingCode.NOT_AGREED if verdict == "damaged" else FindingCode.IN_DOUBT
    for name, price, expected in zip(FIELDS.values(), prices, _get_prices(candle), strict=True):
        if price != expected:
            yield Finding(key, code, candle.start_ms, stored=price, expected=expected, field=name)


def _report_untraded(key: str, minute_ms: int) -> Finding:
    stamps = tuple(minute_ms + offset for offset in FIELDS)
    return Finding(key, FindingCode.NOT_TRADED, minute_ms, dropped=stamps)
