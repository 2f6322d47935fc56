"""What several providers come to: readings become one price, candles become one candle (pure).

The plain median of all that passed is what makes fewer than half of the providers powerless; removing outliers
before or after it would hand that power back. Candles are judged without history, so that collectors
that ask the same providers come to the same ones.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from btcts.layout import FUTURE_SLACK_MS
from btcts.model import MINUTE_MS, Candle, Candles, Reading, Tick, is_price

STALE_MS = 120_000
"""A price is refused when it, or the trade it rests on, is older than this."""

MEMORY_MS = 600_000
"""How long an accepted or a pending price counts for what comes after it."""

NEAR = 0.01
"""Two prices are near each other when they differ by no more than this part of the smaller one. Four USD markets
in the turmoil of March 2023 stayed within 1.14 % of their median, 99 of 100 readings within 0.75 %."""

JUMP = 0.25
"""A lone provider is not believed at once beyond this. One-minute ranges of 11.5 % (2017-11-29) and of 23 %
(2017-03-10) were real."""

MAX_SKEW_MS = 10_000
"""How far the providers' clocks may be from ours before nothing is written."""


class Refusal(NamedTuple):
    """A reading that was not taken, and why."""

    provider: str
    reason: str


class Deviation(NamedTuple):
    """A provider that is not near the agreed price: 0.02 is 2 % above it."""

    provider: str
    ratio: float


@dataclass(frozen=True, slots=True)
class Agreed:
    """The price the readings come to.

    `flag` is "single" where one reading passed, "disputed" where two did and the last accepted price chose
    between them. `members` made the price; `deviating` are all that passed and are not near it.
    """

    price: float
    time_ms: int
    members: tuple[str, ...]
    flag: str | None
    deviating: tuple[Deviation, ...]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of the readings: `agreed`, or else `problem` says why not.

    `pending` is a lone price that waits for confirmation: to be handed back with the next poll.
    """

    agreed: Agreed | None = None
    refused: tuple[Refusal, ...] = ()
    pending: Tick | None = None
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class AgreedCandles:
    """The agreed candles by minute, ascending, and the starts of the minutes that have none.

    `disputed` minutes have candles that cannot be believed yet; `no_trades` were covered by a provider and
    traded by none.
    """

    candles: Mapping[int, Candle]
    disputed: frozenset[int]
    no_trades: frozenset[int]


def agree(
    readings: Sequence[Reading],
    *,
    now_ms: int,
    last: Tick | None,
    pending: Tick | None,
    quorum: int = 1,
) -> Verdict:
    """The one price that the readings of a poll come to; their order does not matter.

    `now_ms` is read after the answers came in; `last` is the last accepted price and `pending` what the verdict
    before this one left. The newest reading of a provider that passes is the one that counts.
    """
    passed, refused = _sift(readings, now_ms)
    last, pending = _remembered(last, now_ms), _remembered(pending, now_ms)
    if not passed or len(passed) < quorum:
        verdict = Verdict(pending=pending, problem=f"usable prices: {len(passed)}, needed: {max(quorum, 1)}")
    elif len(passed) == 1:
        verdict = _one(passed[0], now_ms, last, pending)
    elif len(passed) == 2 and not _near(passed[0].price, passed[1].price):
        verdict = _two_apart(passed, now_ms, last, pending)
    else:
        verdict = Verdict(_agreed(passed, passed, now_ms))
    return replace(verdict, refused=refused)


def agree_candles(answers: Iterable[Candles], *, quorum: int = 1) -> AgreedCandles:
    """The candles that the answers come to, minute by minute; the order of the providers does not matter.

    Of two candles of one provider for the same minute the one of the later answer counts.
    """
    books: dict[str, dict[int, Candle]] = {}
    covered: set[int] = set()
    for answer in answers:
        books.setdefault(answer.provider, {}).update((each.start_ms, each) for each in answer.candles)
        covered.update(answer.covered.minutes() if answer.covered else ())
    agreed, disputed = {}, set()
    traded = set().union(*books.values())
    for minute in sorted(traded):
        holders = [book for book in books.values() if minute in book]
        if len(holders) < quorum or _doubtful(minute, holders):
            disputed.add(minute)
        else:
            agreed[minute] = _merged([book[minute] for book in holders])
    return AgreedCandles(agreed, frozenset(disputed), frozenset(covered - traded))


def skew_ms(dates_ms: Sequence[int], now_ms: int, *, least: int = 2) -> int | None:
    """How far the providers' clocks are ahead of `now_ms` when that is too much and `least` are known, else None.

    Judged by the median of their HTTP Date headers, which have a resolution of one second.
    """
    ahead = ahead_ms(dates_ms, now_ms)
    return ahead if len(dates_ms) >= least and ahead is not None and abs(ahead) > MAX_SKEW_MS else None


def ahead_ms(dates_ms: Sequence[int], now_ms: int) -> int | None:
    """How far the median of the providers' HTTP Date headers is ahead of `now_ms`; None without any."""
    return round(_median(dates_ms)) - now_ms if dates_ms else None


def _sift(readings: Iterable[Reading], now_ms: int) -> tuple[list[Reading], tuple[Refusal, ...]]:
    """The newest passing reading of each provider, by name, and the refusals."""
    passed, refused = [], []
    for reading in readings:
        if reason := _objection(reading, now_ms):
            refused.append(Refusal(reading.provider, reason))
        else:
            passed.append(reading)
    oldest_first = sorted(passed, key=lambda each: (each.observed_ms, each.price))
    newest = {each.provider: each for each in oldest_first}
    return [newest[name] for name in sorted(newest)], tuple(sorted(refused))


def _objection(reading: Reading, now_ms: int) -> str | None:
    if not is_price(reading.price):
        return f"{reading.price!r} is no price"
    for what, time_ms in (("last trade", reading.traded_ms), ("price", reading.observed_ms)):
        if time_ms is None:
            continue
        if now_ms - time_ms > STALE_MS:
            return f"its {what} is {(now_ms - time_ms) / 1000:.1f} s old"
        if time_ms - now_ms > FUTURE_SLACK_MS:
            return f"its {what} is {(time_ms - now_ms) / 1000:.1f} s ahead of the clock"
    return None


def _one(reading: Reading, now_ms: int, last: Tick | None, pending: Tick | None) -> Verdict:
    """A lone reading; one that jumps is believed when the next one says the same.

    Any price accepted in between drops what is pending, and a jump elsewhere replaces it: a feed that flaps
    between right and wrong never confirms itself.
    """
    confirmed = pending is not None and pending.time_ms < reading.observed_ms and _near(pending.price, reading.price)
    if last is None or confirmed or not _jumps(reading.price, last.price):
        return Verdict(_agreed([reading], [reading], now_ms, flag="single"))
    return Verdict(
        pending=Tick(reading.observed_ms, reading.price),
        problem=f"{reading.provider} alone says {reading.price}, {reading.price / last.price - 1:+.1%} from the "
        f"last accepted {last.price}: it waits for confirmation",
    )


def _two_apart(passed: Sequence[Reading], now_ms: int, last: Tick | None, pending: Tick | None) -> Verdict:
    """Two readings that differ; the last accepted price decides where it can."""
    if last is not None:
        anchor = last.price
        chosen = min(passed, key=lambda each: (abs(each.price - anchor), each.price))
        if not _jumps(chosen.price, anchor):
            return Verdict(_agreed([chosen], passed, now_ms, flag="disputed"))
    said = " and ".join(f"{each.provider} says {each.price}" for each in passed)
    return Verdict(pending=pending, problem=f"{said}: no recent price decides between them")


def _agreed(members: Sequence[Reading], passed: Sequence[Reading], now_ms: int, *, flag: str | None = None) -> Agreed:
    price = _median(each.price for each in members)
    return Agreed(
        price,
        min(now_ms, max(each.observed_ms for each in members)),
        tuple(each.provider for each in members),
        flag,
        tuple(Deviation(each.provider, each.price / price - 1) for each in passed if not _near(each.price, price)),
    )


def _doubtful(minute_ms: int, holders: Sequence[Mapping[int, Candle]]) -> bool:
    """Whether the one or two providers that have this minute cannot be believed; three decide by themselves."""
    members = [book[minute_ms] for book in holders]
    if len(members) > 2:
        return False
    if any(map(_has_stray_wick, members)):
        return True
    if len(members) == 2:
        return not _near(members[0].close, members[1].close)
    around = [holders[0].get(minute_ms + step) for step in (-MINUTE_MS, MINUTE_MS)]
    neighbours = [each.close for each in around if each is not None]
    return bool(neighbours) and all(_jumps(members[0].close, close) for close in neighbours)


def _has_stray_wick(candle: Candle) -> bool:
    """Whether the high or the low leaves the body by more than a believable jump."""
    top, bottom = max(candle.open, candle.close), min(candle.open, candle.close)
    return _jumps(candle.high, top) or _jumps(candle.low, bottom)


def _merged(members: Sequence[Candle]) -> Candle:
    """The median of each field; over the same members it keeps low <= open, close <= high."""
    return Candle(
        members[0].start_ms,
        open=_median(each.open for each in members),
        high=_median(each.high for each in members),
        low=_median(each.low for each in members),
        close=_median(each.close for each in members),
    )


def _median(prices: Iterable[float]) -> float:
    ascending = sorted(prices)
    return (ascending[(len(ascending) - 1) // 2] + ascending[len(ascending) // 2]) / 2


def _near(one: float, other: float) -> bool:
    return abs(one - other) <= NEAR * min(one, other)


def _jumps(price: float, anchor: float) -> bool:
    return abs(price - anchor) > JUMP * anchor


def _remembered(tick: Tick | None, now_ms: int) -> Tick | None:
    """The tick where it still counts."""
    return tick if tick is not None and abs(now_ms - tick.time_ms) <= MEMORY_MS else None
