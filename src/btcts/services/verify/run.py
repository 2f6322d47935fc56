"""`verify`: recompute every bucket from the ticks, compare settled minutes upstream, and repair differences."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from btcts.domain import healing
from btcts.domain.candle_agreement import Reach
from btcts.domain.candles import minute_of
from btcts.domain.model import MINUTE_MS, THIN, Candle, Reading
from btcts.domain.skew import find_skew
from btcts.errors import ProviderError
from btcts.providers import pacing
from btcts.providers.rounds import Question
from btcts.services.verify.buckets import Finding, find_faults
from btcts.services.verify.upstream import Answers, Comparison, compare

if TYPE_CHECKING:
    from btcts.domain.clock import Clock
    from btcts.providers.base import Provider
    from btcts.providers.polling import Poller
    from btcts.store import Inspection, State, Store

RECENT_MS = 15 * MINUTE_MS
"""Time during which a minute may still be corrected, if no collector has checked any minute again."""

PRICES_S = 5.0
"""Time limit for prices, which are only requested for the Date of their answers."""


@dataclass(frozen=True, slots=True)
class Upstream:
    """The providers to ask for candles, the clock, the quorum for a candle, and the time limit."""

    poller: "Poller"
    clock: "Clock"
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
    def problem(self) -> str | None:
        """The reason why nothing can be compared, None without one."""
        if self.skew_ms is not None:
            return (
                f"the providers' clocks are {self.skew_ms / 1000:+.0f} s from the Redis server's; set its clock right"
            )
        if self.answers.candles:
            return None
        said = [f"{witness.provider}: {witness.silence}" for witness in self.witnesses]
        return "; ".join(["no provider answered", *said] if said else ["none of the providers has candles"])


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
    """Return the agreed candles of the minutes with faulty ticks."""
    agreed = found.comparison.agreed if found.comparison else {}
    starts = (finding.start_ms for finding in found.contents if finding.key == tick)
    minutes = {minute_of(start_ms) for start_ms in starts if start_ms is not None}
    return [agreed[minute] for minute in sorted(minutes & agreed.keys())]


def _examine(store: "Store", heard: Heard | None) -> _Examined:
    inspection = store.inspect_at_rest()
    audit = store.audit(inspection)
    foreign = (Finding(key, "was not made by btcts") for key in inspection.foreign)
    faults = (Finding(fault.key, fault.problem) for fault in inspection.faults)
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
    began = time.monotonic()
    inspection, state = store.inspect(), store.state()
    able = [provider for provider in upstream.poller.providers if provider.reach_ms]
    store.refuse_mixture(inspection.newest, state, simulated=any(provider.name == "simulated" for provider in able))
    ready, waiting = pacing.split(able, state.providers, inspection.now_ms)
    minutes = healing.closed_minutes(inspection.now_ms)
    asked = upstream.poller.candles(ready, Question(frozenset(minutes)), healing.group_into_spans(minutes))
    readings, errors = upstream.poller.latest(ready, within_s=PRICES_S)
    skew = _find_skew_ms(readings, upstream, poisoned=inspection.poisoned)
    if skew is None:
        asked.wait(began + upstream.within_s - time.monotonic())
        if tell:
            _tell(store, able, readings, [*errors, *asked.errors], upstream.clock.now_ms())
    silence = {provider.name: f"no answer within {upstream.within_s:g} s" for provider in able}
    silence |= {name: f"waits {(until_ms - inspection.now_ms) // 1000} s more" for name, until_ms, _ in waiting}
    silence |= {error.provider: error.problem for error in asked.errors}
    names = silence.keys() | _find_former(state, upstream.poller, minutes.start)
    recent_ms = _find_recent_ms(state, inspection.now_ms)
    own = {provider.name: provider.reach_ms for provider in upstream.poller.providers}
    answers = Answers(
        minutes,
        recent_ms,
        frozenset(names),
        tuple(asked.answers),
        upstream.quorum,
        Reach({**(state.configured or {}), **own}),
        another=bool(state.configured) and state.configured != own,
        thin=frozenset(minute for minute, gap in store.gaps().items() if gap.reason == THIN),
    )
    return Heard(answers, tuple(_build_witness(provider, answers, silence[provider.name]) for provider in able), skew)


def _find_skew_ms(readings: Sequence[Reading], upstream: Upstream, *, poisoned: bool) -> int | None:
    """Return the clock skew if it is too large; a single provider suffices when a tick lies in the future."""
    dates = [reading.date_ms for reading in readings if reading.date_ms is not None]
    return find_skew(dates, upstream.clock.now_ms(), least=1 if poisoned else 2)


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


def _tell(
    store: "Store",
    providers: Sequence["Provider"],
    readings: Sequence[Reading],
    errors: Sequence[ProviderError],
    now_ms: int,
) -> None:
    """Record the providers' answers for the collectors, so that no provider is asked too early."""
    keys = {provider.name: provider.key_id for provider in providers}
    store.tell(pacing.learn_states(store.state().providers, readings, errors, keys, now_ms))
