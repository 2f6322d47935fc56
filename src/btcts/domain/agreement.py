"""The one price that several providers agree on (pure).

The price is the plain median of all readings that passed: fewer than half of the providers cannot move it, which
removing outliers first would undo. Without a majority there is no midpoint: the last price that a majority agreed on,
the anchor, decides, or there is no price.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from btcts.domain.codes import ProblemCode, RefusalCode
from btcts.domain.layout import FUTURE_SLACK_MS
from btcts.domain.model import Lean, Pending, Reading, Tick, find_median, is_jump, is_near, is_price
from btcts.errors import Problem

STALE_MS = 120_000
"""Maximum age of a price and of its last trade."""

MEMORY_MS = 600_000
"""Time for which an accepted or agreed price is compared with later ones."""

LONE_POLLS = 3
"""Consecutive polls with about the same price that make a lone provider of several credible without a recent price."""

PENDING_MS = 3_600_000
"""Time for which a price may wait for confirmation: cron may run only every 15 minutes."""


class RefusedReading(NamedTuple):
    """A reading that was refused, and the reason."""

    provider: str
    reason: Problem


class Deviation(NamedTuple):
    """A provider that is not near the agreed price: 0.02 is 2 % above it."""

    provider: str
    ratio: float


@dataclass(frozen=True, slots=True)
class Past:
    """State from earlier polls: the last accepted price, and `Verdict.past` of the last poll.

    `anchor` is the last price that a majority agreed on, `pending` a price that waits for confirmation, `lean` the
    stretch in which no more than half of the providers could be heard.
    """

    last: Tick | None = None
    anchor: Tick | None = None
    pending: Pending | None = None
    lean: Lean | None = None


@dataclass(frozen=True, slots=True)
class Agreed:
    """The agreed price.

    `flag` is "single" where one reading passed, "disputed" where no majority was found and the anchor chose. `members`
    are the providers near the price; `deviating` are those that passed and are not.
    """

    price: float
    time_ms: int
    members: tuple[str, ...]
    flag: str | None
    deviating: tuple[Deviation, ...]


@dataclass(frozen=True, slots=True)
class Verdict:
    """The result of a poll: `agreed`, or the `problem` that prevented agreement.

    Pass `past` to the next poll, with `last` replaced by the price that was accepted.
    """

    agreed: Agreed | None = None
    refused: tuple[RefusedReading, ...] = ()
    problem: Problem | None = None
    past: Past = field(default_factory=Past)


@dataclass(frozen=True, slots=True)
class _Poll:
    """The readings that passed, by provider, and their context; `configured` counts all price providers."""

    readings: tuple[Reading, ...]
    now_ms: int
    past: Past
    configured: int

    @property
    def middle(self) -> float:
        """The plain median."""
        return find_median(reading.price for reading in self.readings)

    def find_near(self, price: float) -> list[Reading]:
        """The readings near a price."""
        return [reading for reading in self.readings if is_near(reading.price, price)]

    def has_majority(self, count: int) -> bool:
        """Tell whether `count` is more than half of the configured providers."""
        return 2 * count > self.configured


def agree(
    readings: Sequence[Reading],
    *,
    now_ms: int,
    past: Past,
    configured: int = 1,
    quorum: int = 1,
) -> Verdict:
    """Return the one price that the readings of a poll agree on; their order does not matter.

    `now_ms` is read after the answers came in. `configured` counts the price providers, except those that are only
    waiting for their budget. Of each provider the newest reading that passes counts.
    """
    passed, refused = _sift(readings, now_ms)
    poll = _Poll(passed, now_ms, _forget_old(past, now_ms), max(configured, len(passed)))
    if not passed or len(passed) < quorum:
        verdict = _refuse(
            ProblemCode.TOO_FEW_PRICES, f"usable prices: {len(passed)}, needed: {max(quorum, 1)}", poll.past
        )
    elif len(passed) == 1:
        verdict = _judge_single(poll)
    elif _is_believed(poll):
        verdict = _judge_agreement(poll)
    else:
        verdict = _choose_by_anchor(poll)
    return replace(verdict, refused=refused)


def _sift(readings: Iterable[Reading], now_ms: int) -> tuple[tuple[Reading, ...], tuple[RefusedReading, ...]]:
    """Return the newest passing reading of each provider, sorted by name, and the refused readings."""
    passed, refused = [], []
    for reading in readings:
        if reason := find_objection(reading, now_ms):
            refused.append(RefusedReading(reading.provider, reason))
        else:
            passed.append(reading)
    oldest_first = sorted(passed, key=lambda reading: (reading.observed_ms, reading.price))
    newest = {reading.provider: reading for reading in oldest_first}
    return tuple(newest[name] for name in sorted(newest)), tuple(sorted(refused))


def find_objection(reading: Reading, now_ms: int) -> Problem | None:
    """Return the reason to refuse a reading; None for one that passes."""
    if not is_price(reading.price):
        return Problem(f"{reading.price!r} is no price", RefusalCode.BAD_PRICE)
    for what, time_ms in (("last trade", reading.traded_ms), ("price", reading.observed_ms)):
        if time_ms is None:
            continue
        if now_ms - time_ms > STALE_MS:
            return Problem(f"its {what} is {(now_ms - time_ms) / 1000:.1f} s old", RefusalCode.OLD_PRICE)
        if time_ms - now_ms > FUTURE_SLACK_MS:
            ahead_s = (time_ms - now_ms) / 1000
            return Problem(f"its {what} is {ahead_s:.1f} s ahead of the clock", RefusalCode.FUTURE_PRICE)
    return None


def _is_believed(poll: _Poll) -> bool:
    """Tell whether the median is accepted: two readings near each other, or half of all near the median.

    If any reading contradicts the median, a majority of the configured providers must support it.
    """
    count, near = len(poll.readings), len(poll.find_near(poll.middle))
    if count == 2:
        first, second = poll.readings
        return is_near(first.price, second.price)
    return 2 * near >= count and (near == count or poll.has_majority(near))


def _judge_agreement(poll: _Poll) -> Verdict:
    members = poll.find_near(poll.middle)
    price = poll.middle
    majority = poll.has_majority(len(members))
    if not majority and poll.past.last and is_jump(price, poll.past.last.price) and not _is_confirmed(poll, price):
        names = " and ".join(reading.provider for reading in members)
        return _wait(poll, price, f"{names} say {price}, {_format_jump(price, poll.past.last)}")
    agreed = _build_agreed(poll, price, members, None)
    lean = _extend_lean(poll, [reading.provider for reading in members])
    anchored = majority or (lean is not None and poll.now_ms - lean.since_ms >= MEMORY_MS)
    anchor = Tick(agreed.time_ms, price) if anchored else poll.past.anchor
    return Verdict(agreed, past=Past(anchor=anchor, lean=lean))


def _extend_lean(poll: _Poll, members: Sequence[str]) -> Lean | None:
    """Return the stretch in which half or fewer answered and the same two or more agreed without contradiction."""
    if 2 * len(poll.readings) > poll.configured:
        return None
    before = poll.past.lean
    common = [name for name in members if before and name in before.members]
    if before and len(common) > 1:
        return Lean(before.since_ms, poll.now_ms, tuple(common))
    return Lean(poll.now_ms, poll.now_ms, tuple(members)) if len(members) == len(poll.readings) else None


def _judge_single(poll: _Poll) -> Verdict:
    """Judge a lone reading; a jump is accepted once the next reading repeats it.

    If several providers are configured and no recent price supports it, it waits longer for a second provider. Any
    price accepted in between clears the pending one, and another jump replaces it, so a feed that flaps between right
    and wrong never confirms itself.
    """
    (reading,) = poll.readings
    price, last = reading.price, poll.past.last
    if last and is_jump(price, last.price) and not _is_confirmed(poll, price):
        return _wait(poll, price, f"{reading.provider} alone says {price}, {_format_jump(price, last)}")
    if last is None and poll.configured > 1 and _count_polls(poll, price) < LONE_POLLS:
        return _wait(poll, price, f"{reading.provider} alone says {price} and there is no recent price")
    agreed = _build_agreed(poll, price, [reading], "single")
    anchor = Tick(poll.now_ms, price) if poll.configured == 1 else poll.past.anchor
    return Verdict(agreed, past=Past(anchor=anchor, lean=poll.past.lean))


def _choose_by_anchor(poll: _Poll) -> Verdict:
    """Judge readings without a majority: choose the one nearest to the last price that a majority agreed on."""
    anchor = poll.past.anchor
    if anchor is not None:
        before = anchor.price
        chosen = min(poll.readings, key=lambda reading: (abs(reading.price - before), reading.price))
        if not is_jump(chosen.price, before):
            agreed = _build_agreed(poll, chosen.price, [chosen], "disputed")
            renewed = Tick(agreed.time_ms, chosen.price) if is_near(chosen.price, before) else anchor
            return Verdict(agreed, past=Past(anchor=renewed))
    said = " and ".join(f"{reading.provider} says {reading.price}" for reading in poll.readings)
    problem = f"{said}: no recent price decides between them"
    return _refuse(ProblemCode.NO_MAJORITY, problem, replace(poll.past, lean=None))


def _is_confirmed(poll: _Poll, price: float) -> bool:
    """Tell whether an earlier observation within `MEMORY_MS` gave about the same price."""
    pending = poll.past.pending
    return (
        pending is not None
        and poll.now_ms - pending.time_ms <= MEMORY_MS
        and pending.time_ms < _find_newest_ms(poll.readings)
        and is_near(pending.price, price)
    )


def _count_polls(poll: _Poll, price: float) -> int:
    """Count the consecutive polls with about this price; the same observation read twice counts once."""
    pending = poll.past.pending
    if pending is None or is_jump(price, pending.price):
        return 1
    return pending.polls + (pending.time_ms < _find_newest_ms(poll.readings))


def _wait(poll: _Poll, price: float, what: str) -> Verdict:
    """Return the verdict that keeps a price pending until the next poll."""
    pending = Pending(_find_newest_ms(poll.readings), price, _count_polls(poll, price))
    problem = f"{what}: it waits for confirmation"
    return _refuse(ProblemCode.UNCONFIRMED, problem, replace(poll.past, pending=pending))


def _refuse(code: ProblemCode, problem: str, past: Past) -> Verdict:
    return Verdict(problem=Problem(problem, code), past=past)


def _build_agreed(poll: _Poll, price: float, members: Sequence[Reading], flag: str | None) -> Agreed:
    strays = (reading for reading in poll.readings if not is_near(reading.price, price))
    return Agreed(
        price,
        min(poll.now_ms, _find_newest_ms(members)),
        tuple(reading.provider for reading in members),
        flag,
        tuple(Deviation(reading.provider, reading.price / price - 1) for reading in strays),
    )


def _find_newest_ms(readings: Iterable[Reading]) -> int:
    return max(reading.observed_ms for reading in readings)


def _format_jump(price: float, last: Tick) -> str:
    return f"{price / last.price - 1:+.1%} from the last accepted {last.price}"


def _forget_old(past: Past, now_ms: int) -> Past:
    """Return the past without expired parts."""

    def is_recent(time_ms: int, limit_ms: int = MEMORY_MS) -> bool:
        return abs(now_ms - time_ms) <= limit_ms

    return Past(
        last=past.last if past.last and is_recent(past.last.time_ms) else None,
        anchor=past.anchor if past.anchor and is_recent(past.anchor.time_ms) else None,
        pending=past.pending if past.pending and is_recent(past.pending.time_ms, PENDING_MS) else None,
        lean=past.lean if past.lean and is_recent(past.lean.seen_ms) else None,
    )
