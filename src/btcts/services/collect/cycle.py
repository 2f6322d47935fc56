"""Data of one cycle of `collect`: its time limits, its progress, its account, and the state that others learn of it."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from btcts.domain.agreement import Verdict
from btcts.domain.codes import ProblemCode, RepairCode
from btcts.domain.layout import window
from btcts.domain.model import BUDGET, LOOKS, THIN, Candle, Gap, Reading, StreamState, Tick, Waiting
from btcts.domain.revision import Revision
from btcts.errors import EmbeddedError, ForeignKey, NoTimeSeries, Problem, ProviderError, SpoolError, StoreError
from btcts.services.collect.spool import Held
from btcts.services.collect.survey import Survey

if TYPE_CHECKING:
    from btcts.providers.base import Provider
    from btcts.providers.poller import Prices
    from btcts.store import Fault, State, Written


SHORTEST_CADENCE_S, LONGEST_CADENCE_S = 60.0, 900.0
"""Limits of the cadence estimated from the time between single runs."""


@dataclass(frozen=True, slots=True)
class Cycle:
    """The account of one cycle.

    The live price was either `stored` or `spooled`, which means it waits on disk for Redis. `members` are the providers
    near it; `flag` is "single" when only one answered, "disputed" without a majority. `deviating` has the relative
    deviation of providers from the agreed price, `refused` the reason why the answer of a provider was refused or
    failed, `waiting` the time (ms) until which a provider is not asked, and why.

    `settled` counts the minutes settled in this cycle, `corrected` those whose candle providers have changed since,
    `reopened` those whose candle was removed because further providers disagree. `unsettled` counts the remaining
    closed minutes of the window (0 when Redis does not answer), `thin` the settled ones that rest on few providers.

    `repaired` has the repairs of keys and rules: the fault of each, or its code. `unspooled` counts the spooled prices
    that were stored, `torn` the damaged lines dropped from the spool. `others` are the providers of the other
    collectors of this store if their list differs; this collector then only adds. `problem` tells why no price was
    agreed, and what Redis or the spool refused; `problem_codes` has the code of each part of it. `streams` has the
    state of each provider's stream, where the collector has any.
    """

    time_ms: int
    stored: Tick | None = None
    spooled: Tick | None = None
    members: tuple[str, ...] = ()
    flag: str | None = None
    deviating: tuple[tuple[str, float], ...] = ()
    refused: tuple[tuple[str, str], ...] = ()
    waiting: Waiting = ()
    settled: int = 0
    corrected: int = 0
    reopened: int = 0
    unsettled: int = 0
    thin: int = 0
    repaired: tuple["Fault | RepairCode", ...] = ()
    unspooled: int = 0
    torn: int = 0
    others: tuple[str, ...] = ()
    problem: str | None = None
    problem_codes: tuple[str, ...] = ()
    took_ms: int = 0
    streams: Mapping[str, StreamState] = field(default_factory=dict)

    @property
    def idle(self) -> bool:
        """True when no provider was due, so that nothing could be stored and nothing failed."""
        return bool(self.waiting) and self.stored is None and self.problem is None

    @property
    def fruitful(self) -> bool:
        """True when the price was stored or spooled, or none was due because all providers wait for their budget."""
        unpaid = self.idle and all(why == BUDGET for _, _, why in self.waiting)
        return bool(self.stored or self.spooled) or unpaid


@dataclass(frozen=True, slots=True)
class Limits:
    """Deadlines of a cycle, by the monotonic clock, in s; it takes at most `limit_s` from when it `began`.

    It waits for late candles until `patience_s` after that, if this leaves time to write them.
    """

    began: float
    patience_s: float
    limit_s: float

    @property
    def survey(self) -> float:
        """Deadline for surveying Redis, which leaves time to ask for a price."""
        return self.began + 0.8 * self.limit_s

    @property
    def store(self) -> float:
        """Deadline for all Redis commands, which leaves time to spool the price."""
        return self.began + 0.94 * self.limit_s

    def find_candles(self, surveyed: float) -> float:
        """Return the deadline for candles, given that the survey of Redis ended at `surveyed`: writing takes longer."""
        latest = min(self.began + 0.9 * self.limit_s, self.store - 2 * (surveyed - self.began))
        return min(self.began + self.patience_s, latest)


@dataclass(frozen=True, slots=True)
class Asked:
    """The result of asking: the prices of those that were `ready`, and who had to wait.

    `configured` counts all providers but those that only wait for their budget. `ahead_ms` is the lead of the
    providers' clocks over ours, and `doubt` the reason not to write, if it is too large.
    """

    ready: Sequence["Provider"]
    waiting: Waiting
    configured: int
    prices: "Prices"
    ahead_ms: int | None
    doubt: Problem | None

    def with_failures(self, failures: Sequence[ProviderError]) -> "Asked":
        """Return the same with the failures of candles beside those of prices."""
        return replace(self, prices=self.prices._replace(errors=[*self.prices.errors, *failures]))


@dataclass(frozen=True, slots=True)
class Settleable:
    """Candles of minutes that can be settled now, and the ledger entries of the thin ones."""

    candles: tuple[Candle, ...]
    entries: Mapping[int, Gap]


@dataclass(frozen=True, slots=True)
class Ended:
    """The results of completed rounds.

    `gaps` are the minutes that remain unsettled, `revision` the result of checking settled ones again, of which
    `completed` counts those that change because all providers were heard only now; minutes before `reread_ms` (None:
    none) need no further routine check.
    """

    gaps: Mapping[int, Gap]
    revision: Revision
    reread_ms: int | None
    completed: int


@dataclass(eq=False)
class Progress:
    """The progress of a cycle that `began` at a time of the monotonic clock, in s.

    `entered` are the ledger entries about settled minutes. `away` is set once Redis fails to answer or refuses a write;
    `problems` has the messages of the errors.
    """

    began: float = field(default_factory=time.monotonic)
    stored: Tick | None = None
    spooled: Tick | None = None
    settled: set[int] = field(default_factory=set)
    entered: dict[int, Gap] = field(default_factory=dict)
    corrected: int = 0
    reopened: int = 0
    thin: int = 0
    reread_ms: int | None = None
    unspooled: int = 0
    torn: int = 0
    away: bool = False
    problems: list[Problem] = field(default_factory=list)

    def note_written(self, live: Tick | None, held: Held, candles: Sequence[Candle], written: "Written") -> None:
        """Note what Redis has accepted."""
        self.stored = self.stored or live
        self.unspooled += max(0, len(held.ticks) - written.too_old - written.too_early)
        self.settled.update(candle.start_ms for candle in candles)
        if written.too_early:
            refused = f"{written.too_early} prices lie ahead of Redis' clock and were refused"
            self.problems.append(Problem(refused, ProblemCode.REDIS_CLOCK))

    def note_ended(self, ended: Ended, *, thin: int) -> None:
        """Note the changes of settled minutes, of which `thin` rest on few providers now."""
        self.corrected += len(ended.revision.candles) - ended.completed
        self.reopened += len(ended.revision.reopened)
        self.reread_ms = ended.reread_ms or self.reread_ms
        self.thin = thin

    @contextmanager
    def note_failures(self) -> Iterator[None]:
        """Note a failure of Redis or of the spool, and go on; permanent failures propagate."""
        try:
            yield
        except (ForeignKey, NoTimeSeries):
            raise
        except (StoreError, EmbeddedError) as exc:
            self.away = True
            code = ProblemCode.REDIS if isinstance(exc, StoreError) else ProblemCode.EMBEDDED
            self.problems.append(Problem(str(exc), code))
        except SpoolError as exc:
            self.problems.append(Problem(str(exc), ProblemCode.SPOOL))


def find_outdated(survey: Survey, progress: Progress) -> set[int]:
    """Return the minutes of the ledger that were settled or have left the window."""
    left = survey.unsettled - progress.settled
    oldest_ms = window(survey.now_ms).start_ms

    def is_outdated(minute: int, gap: Gap) -> bool:
        if gap.reason not in LOOKS or minute in progress.settled:
            return minute not in left
        unheard = survey.reach.find_reaching(minute, survey.now_ms) - set(gap.heard)
        return minute < oldest_ms or (gap.reason == THIN and not unheard)

    return {minute for minute, gap in survey.gaps.items() if is_outdated(minute, gap)} - progress.entered.keys()


def build_cycle(
    survey: Survey, asked: Asked, verdict: Verdict, progress: Progress, streams: Mapping[str, StreamState]
) -> Cycle:
    """Build the account of a cycle that is over."""
    agreed = verdict.agreed
    refused = {error.provider: error.problem for error in reversed(asked.prices.errors)}
    refused |= {refusal.provider: refusal.reason for refusal in verdict.refused}
    return Cycle(
        time_ms=survey.now_ms,
        stored=progress.stored,
        spooled=progress.spooled,
        members=agreed.members if agreed else (),
        flag=agreed.flag if agreed else None,
        deviating=agreed.deviating if agreed else (),
        refused=tuple(sorted(refused.items())),
        waiting=asked.waiting,
        settled=len(progress.settled),
        corrected=progress.corrected,
        reopened=progress.reopened,
        unsettled=len(survey.unsettled - progress.settled),
        thin=progress.thin,
        repaired=survey.repaired,
        unspooled=progress.unspooled,
        torn=progress.torn,
        others=tuple(survey.reach.providers) if survey.guest else (),
        problem="; ".join(progress.problems) or None,
        problem_codes=tuple(problem.cause for problem in progress.problems),
        took_ms=round((time.monotonic() - progress.began) * 1000),
        streams=streams,
    )


def build_tick(verdict: Verdict) -> Tick | None:
    """Return the agreed price as it is stored; None without one."""
    return Tick(verdict.agreed.time_ms, verdict.agreed.price) if verdict.agreed else None


def build_state(survey: Survey, asked: Asked, verdict: Verdict, progress: Progress, cadence_s: float | None) -> "State":
    """Return the shared state after a cycle; a `cadence_s` of None is estimated by the time since the last cycle."""
    agreed, readings = verdict.agreed, asked.prices.readings
    state = replace(
        survey.state,
        cadence_s=cadence_s or _estimate_cadence(survey),
        spacing_s=_find_spacing_s(readings, survey.now_ms),
        last_cycle_ms=survey.now_ms,
        problem=None if progress.stored else "; ".join(progress.problems) or None,
        pending=verdict.past.pending,
        accepted=build_tick(verdict) or survey.state.accepted,
        ahead_ms=asked.ahead_ms,
        reread_ms=progress.reread_ms,
    )
    if survey.guest:  # the cadence is that of the others, or a guest that runs more often would take their place
        state = replace(state, cadence_s=survey.state.cadence_s)
    else:
        state = replace(state, anchor=verdict.past.anchor, lean=verdict.past.lean)
    if not readings and not asked.prices.errors:  # nobody was due, and the last agreement stands
        return state
    return replace(
        state,
        members=agreed.members if agreed else (),
        flag=agreed.flag if agreed else None,
        deviating=dict(agreed.deviating) if agreed else {},
    )


def _estimate_cadence(survey: Survey) -> float:
    """Estimate the interval of single runs by the time since the last one with this list of providers.

    At least a minute, the resolution of cron; more than a quarter of an hour counts as an outage.
    """
    last_ms = survey.state.configured_ms or survey.state.last_cycle_ms
    since_s = 0 if last_ms is None else round((survey.now_ms - last_ms) / 1000)
    if since_s > LONGEST_CADENCE_S:
        return survey.state.cadence_s or SHORTEST_CADENCE_S
    return max(since_s, SHORTEST_CADENCE_S)


def _find_spacing_s(readings: Sequence[Reading], now_ms: int) -> float | None:
    """Return the time until the next price that budgets allow: the shortest wait of the providers that answered."""
    waits_ms = [(reading.not_before_ms or now_ms) - now_ms for reading in readings]
    return min(max(0.0, min(waits_ms) / 1000), LONGEST_CADENCE_S) if waits_ms else None
