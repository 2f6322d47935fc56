"""Data of one cycle of `collect`: its time limits, its progress and its account."""

import time
from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from btcts.domain.agreement import Verdict
from btcts.domain.codes import ProblemCode, RepairCode
from btcts.domain.layout import window
from btcts.domain.model import BUDGET, LOOKS, THIN, Candle, Gap, StreamState, Tick, Waiting
from btcts.domain.revision import Revision
from btcts.errors import EmbeddedError, ForeignKey, NoTimeSeries, Problem, ProviderError, SpoolError, StoreError
from btcts.services.collect.spool import Held
from btcts.services.collect.survey import Survey

if TYPE_CHECKING:
    from btcts.providers.base import Provider
    from btcts.providers.poller import Prices
    from btcts.store import Fault, Written


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

    `ahead_ms` is the lead of the providers' clocks over ours, and `doubt` the reason not to write, if it is too large.
    """

    ready: Sequence["Provider"]
    waiting: Waiting
    prices: "Prices"
    ahead_ms: int | None
    doubt: Problem | None

    @property
    def unpaid(self) -> int:
        """The number of providers that only wait for their budget."""
        return sum(why == BUDGET for _, _, why in self.waiting)


@dataclass(frozen=True, slots=True)
class Settleable:
    """Candles of minutes that can be settled now, and the ledger entries of the thin ones."""

    candles: tuple[Candle, ...] = ()
    entries: Mapping[int, Gap] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Ended:
    """The results of completed rounds.

    `gaps` are the minutes that remain unsettled, `revision` the result of checking settled ones again, of which
    `completed` counts those that change because all providers were heard only now; minutes before `reread_ms` (None:
    none) need no further routine check.
    """

    gaps: Mapping[int, Gap] = field(default_factory=dict)
    revision: Revision = field(default_factory=Revision)
    reread_ms: int | None = None
    completed: int = 0


class Progress:
    """The progress of a cycle that `began` at a time of the monotonic clock, in s.

    `entered` are the ledger entries about settled minutes. `away` is set once Redis fails to answer or refuses a write;
    `problems` has the messages of the errors.
    """

    def __init__(self) -> None:
        self.began = time.monotonic()
        self.stored: Tick | None = None
        self.spooled: Tick | None = None
        self.settled: frozenset[int] = frozenset()
        self.entered: Mapping[int, Gap] = {}
        self.corrected = 0
        self.reopened = 0
        self.thin = 0
        self.reread_ms: int | None = None
        self.unspooled = 0
        self.torn = 0
        self.away = False
        self.problems: tuple[Problem, ...] = ()

    def note_problem(self, problem: Problem) -> None:
        """Note why there is no price, or what was refused."""
        self.problems += (problem,)

    def note_settled(self, minutes: Set[int]) -> None:
        """Note minutes that streams have settled."""
        self.settled |= minutes

    def note_entries(self, entries: Mapping[int, Gap]) -> None:
        """Note entries of the ledger about settled minutes."""
        self.entered = {**self.entered, **entries}

    def note_written(self, live: Tick | None, held: Held, candles: Sequence[Candle], written: "Written") -> None:
        """Note what Redis has accepted."""
        self.stored = self.stored or live
        self.unspooled += max(0, len(held.ticks) - written.too_old - written.too_early)
        self.settled |= {candle.start_ms for candle in candles}
        if written.too_early:
            refused = f"{written.too_early} prices lie ahead of Redis' clock and were refused"
            self.note_problem(Problem(refused, ProblemCode.REDIS_CLOCK))

    def note_spooled(self, tick: Tick) -> None:
        """Note that the price waits on disk."""
        self.spooled = tick

    def note_torn(self, lines: int) -> None:
        """Note damaged lines that were dropped from the spool."""
        self.torn += lines

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
            self.note_problem(
                Problem(str(exc), ProblemCode.REDIS if isinstance(exc, StoreError) else ProblemCode.EMBEDDED)
            )
        except SpoolError as exc:
            self.note_problem(Problem(str(exc), ProblemCode.SPOOL))


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
    survey: Survey,
    asked: Asked,
    verdict: Verdict,
    progress: Progress,
    errors: Sequence[ProviderError],
    streams: Mapping[str, StreamState],
) -> Cycle:
    """Build the account of a cycle that is over."""
    agreed = verdict.agreed
    refused = {error.provider: error.problem for error in reversed(errors)}
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
