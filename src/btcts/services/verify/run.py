"""`verify`: recompute every bucket from the ticks, compare settled minutes upstream, and repair differences."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from btcts.domain import healing
from btcts.domain.candle_agreement import Reach
from btcts.domain.candles import minute_of
from btcts.domain.clock import describe_skew
from btcts.domain.codes import ComparisonCode, FindingCode, RefusalCode
from btcts.domain.model import MINUTE_MS, THIN, Candle
from btcts.errors import Problem
from btcts.providers.rounds import Question
from btcts.services.verify.buckets import Finding, find_faults
from btcts.services.verify.upstream import Answers, Comparison, compare

if TYPE_CHECKING:
    from btcts.providers.base import Provider
    from btcts.providers.poller import Poller, Prices
    from btcts.providers.rounds import RoundAnswers
    from btcts.store import Inspection, State, Store

RECENT_MS = 15 * MINUTE_MS
"""Time during which a minute may still be corrected, if no collector has checked any minute again."""


@dataclass(frozen=True, slots=True)
class Upstream:
    """The providers to ask for candles, the quorum for a candle, and the time limit."""

    poller: "Poller"
    quorum: int = 1
    within_s: float = 45.0


@dataclass(frozen=True, slots=True)
class Witness:
    """A provider with candles: the minutes it answered for and the requests it took, or the reason for its silence."""

    provider: str
    minutes: int = 0
    requests: int = 0
    silence: str | None = None


@dataclass(frozen=True, slots=True)
class Heard:
    """The result of asking upstream.

    `skew_ms` is the lead of the providers' clocks over the Redis server's if it is too large, else None.
    """

    answers: Answers
    witnesses: tuple[Witness, ...]
    skew_ms: int | None

    @property
    def problem(self) -> Problem | None:
        """The reason why nothing can be compared, None without one."""
        if self.skew_ms is not None:
            return describe_skew(self.skew_ms, "the Redis server")
        if self.answers.candles:
            return None
        said = [f"{witness.provider}: {witness.silence}" for witness in self.witnesses]
        if not said:
            return Problem("none of the providers has candles", ComparisonCode.NO_CANDLES)
        return Problem("; ".join(["no provider answered", *said]), ComparisonCode.NO_ANSWER)


@dataclass(frozen=True, slots=True)
class Verified:
    """The faults found at `now_ms`, and those `left`: all of them unless they were `repaired`.

    `ticks` counts the ticks read; `heard` is set when providers were asked, `comparison` when their answers could be
    compared.
    """

    where: str
    now_ms: int
    ticks: int
    findings: tuple[Finding, ...]
    repaired: bool
    left: tuple[Finding, ...]
    heard: Heard | None = None
    comparison: Comparison | None = None


@dataclass(frozen=True, slots=True)
class _Examined:
    inspection: "Inspection"
    now_ms: int
    ticks: int
    layout: tuple[Finding, ...]
    contents: tuple[Finding, ...]
    comparison: Comparison | None

    @property
    def findings(self) -> tuple[Finding, ...]:
        return (*self.layout, *self.contents)


def verify(store: "Store", *, repair: bool = False, upstream: Upstream | None = None) -> Verified:
    """Compare the stored data with the layout, with the ticks and with the candles of the given providers.

    A repair writes the agreed candles where ticks of a minute are wrong, and is followed by another check. While the
    providers' clocks contradict the Redis server's, nothing is repaired.

    Raises:
        ForeignKey: a repair is requested, and one of our names belongs to somebody else.
        StoreError: Redis does not answer or refuses a command, or simulated prices would be compared with real ones.
    """
    heard = _ask(store, upstream, tell=repair) if upstream else None
    first = _examine(store, heard)
    mended = repair and bool(first.findings) and (heard is None or heard.skew_ms is None)
    left = _repair(store, first, heard) if mended else first.findings
    return Verified(
        where=store.where,
        now_ms=first.now_ms,
        ticks=first.ticks,
        findings=first.findings,
        repaired=mended,
        left=left,
        heard=heard,
        comparison=first.comparison,
    )


def _repair(store: "Store", found: _Examined, heard: Heard | None) -> tuple[Finding, ...]:
    """Repair the layout first, since it may hide ticks and buckets, then the contents; return what is left."""
    if found.layout:
        store.repair(found.inspection)
        found = _examine(store, heard)
    if found.contents:
        stamps = {stamp for finding in found.contents for stamp in finding.dropped}
        store.rebuild(found.inspection, candles=_choose_candles(found, store.layout.tick), dropped=stamps)
        found = _examine(store, heard)
    return found.findings


def _choose_candles(found: _Examined, tick: str) -> list[Candle]:
    """Return the proven candles of the minutes with faulty ticks; the other minutes are left to `collect`."""
    proven = found.comparison.proven if found.comparison else {}
    starts = (finding.start_ms for finding in found.contents if finding.key == tick)
    minutes = {minute_of(start_ms) for start_ms in starts if start_ms is not None}
    return [proven[minute] for minute in sorted(minutes & proven.keys())]


def _examine(store: "Store", heard: Heard | None) -> _Examined:
    inspection = store.inspect()
    audit = store.audit(inspection)
    foreign = (Finding(key, FindingCode.FOREIGN_KEY) for key in inspection.foreign)
    faults = (Finding(fault.key, fault.code, values=fault.values) for fault in inspection.faults)
    comparison = compare(audit, heard.answers) if heard and not heard.problem else None
    return _Examined(
        inspection=inspection,
        now_ms=audit.now_ms,
        ticks=len(audit.ticks),
        layout=(*foreign, *faults),
        contents=(*find_faults(audit), *(comparison.findings if comparison else ())),
        comparison=comparison,
    )


def _ask(store: "Store", upstream: Upstream, *, tell: bool) -> Heard:
    """Ask all providers with candles for those of the whole window, and for the time."""
    poller = upstream.poller
    inspection, state = store.inspect(), store.state()
    store.refuse_mixture(inspection.newest, state, simulated=poller.simulated)
    ready, waiting = poller.split(state.providers, inspection.now_ms, able=True)
    minutes = healing.closed_minutes(inspection.now_ms)
    prices, heard, skew_ms = _listen(store, upstream, ready, minutes, poisoned=inspection.poisoned)
    if skew_ms is None and tell:  # so that no collector asks a provider too early
        prices = prices._replace(errors=[*prices.errors, *heard.errors])
        store.tell(poller.learn(store.state().providers, prices, store.clock.now_ms()))
    late = f"no answer within {upstream.within_s:g} s"
    silence: dict[str, str] = {provider.name: Problem(late, RefusalCode.SLOW, late) for provider in poller.able}
    for name, until_ms, _ in waiting:
        silence[name] = Problem(f"waits {(until_ms - inspection.now_ms) // 1000} s more", RefusalCode.WAITING)
    silence |= {error.provider: error.problem for error in heard.errors}
    own = poller.reach.providers
    answers = Answers(
        minutes,
        _find_recent_ms(state, inspection.now_ms),
        frozenset(silence.keys() | _find_former(state, poller, minutes.start)),
        heard.answers,
        upstream.quorum,
        Reach({**(state.configured or {}), **own}),
        another=bool(state.configured) and state.configured != own,
        thin=frozenset(minute for minute, gap in store.gaps().items() if gap.reason == THIN),
    )
    witnesses = (_build_witness(provider, answers, silence[provider.name]) for provider in poller.able)
    return Heard(answers, tuple(witnesses), skew_ms)


def _listen(
    store: "Store", upstream: Upstream, ready: Sequence["Provider"], minutes: range, *, poisoned: bool
) -> tuple["Prices", "RoundAnswers", int | None]:
    """Return prices and candles, and the skew of the clocks; while it is too large, do not wait for the candles."""
    began = time.monotonic()
    poller = upstream.poller
    asked = poller.ask_candles(ready, Question(frozenset(minutes)), healing.group_into_spans(minutes))
    prices = poller.ask_prices(ready)
    skew_ms = prices.find_skew(store.clock.now_ms(), poisoned=poisoned)
    if skew_ms is None:
        asked.wait(began + upstream.within_s - time.monotonic())
    return prices, asked.listen(), skew_ms


def _find_former(state: "State", poller: "Poller", since_ms: int) -> set[str]:
    """Return the providers that collectors have asked since then and that are no longer configured."""
    asked = {name for name, known in state.providers.items() if known.answered_ms and known.answered_ms >= since_ms}
    return asked - {provider.name for provider in poller.providers}


def _build_witness(provider: "Provider", answers: Answers, silence: str) -> Witness:
    covered = [answer.covered for answer in answers.candles if answer.provider == provider.name]
    if not covered:
        return Witness(provider.name, silence=silence)
    minutes = sum(len(span.minutes()) for span in covered if span)
    pages = -(-(minutes - 1) // max(1, provider.page_minutes - 1))  # two pages share a minute
    return Witness(provider.name, minutes, requests=1 + max(1, pages))


def _find_recent_ms(state: "State", now_ms: int) -> int:
    """Return the first minute whose candle collectors have yet to check again."""
    if state.reread_ms is None:
        return now_ms - RECENT_MS
    return max(min(state.reread_ms, healing.find_reread_end(now_ms)), now_ms - healing.REREAD_WITHIN_MS)
