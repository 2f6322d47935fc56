"""Data of one cycle of `collect`: its survey, its time limits, its progress and its account."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from btcts.domain.agreement import Verdict
from btcts.domain.candle_agreement import Reach
from btcts.domain.model import Gap, Tick, Waiting
from btcts.errors import EmbeddedError, ForeignKey, NoTimeSeries, ProviderError, SpoolError, StoreError

if TYPE_CHECKING:
    from btcts.store import State


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

    `repaired` has one phrase per repair of keys and rules. `unspooled` counts the spooled prices that were stored,
    `torn` the damaged lines dropped from the spool. `others` are the providers of the other collectors of this store if
    their list differs; this collector then only adds. `problem` tells why no price was agreed, and what Redis or the
    spool refused.
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
    repaired: tuple[str, ...] = ()
    unspooled: int = 0
    torn: int = 0
    others: tuple[str, ...] = ()
    problem: str | None = None
    took_ms: int = 0

    @property
    def idle(self) -> bool:
        """True when no provider was due, so that nothing could be stored and nothing failed."""
        return bool(self.waiting) and self.stored is None and self.problem is None


@dataclass(frozen=True, slots=True)
class Survey:
    """The state before a cycle asks the providers; `unsettled` are the closed minutes of the window.

    While Redis is `away` it comes from the collector's memory. `poisoned` is set while a sample from the future hides
    the others: the providers decide whether the sample or the clock is wrong. `reach` has the providers of this
    store's collectors; a `guest` has a different list, and changes nothing that is settled.
    """

    now_ms: int
    newest: Tick | None
    state: "State"
    gaps: Mapping[int, Gap] = field(default_factory=dict)
    unsettled: frozenset[int] = frozenset()
    repaired: tuple[str, ...] = ()
    poisoned: bool = False
    reach: Reach = field(default_factory=lambda: Reach({}))
    guest: bool = False
    away: bool = False

    def is_answering(self, provider: str) -> bool:
        """Tell whether the provider answered when it was last asked for a price."""
        known = self.state.providers.get(provider)
        return known is not None and known.answers

    def find_answered_ms(self, provider: str) -> int | None:
        """Return the time when the provider last answered for a price."""
        known = self.state.providers.get(provider)
        return known.answered_ms if known else None


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


@dataclass(slots=True)
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
    ahead_ms: int | None = None
    unspooled: int = 0
    torn: int = 0
    away: bool = False
    problems: list[str] = field(default_factory=list)

    @contextmanager
    def note_failures(self) -> Iterator[None]:
        """Note a failure of Redis or of the spool, and go on; permanent failures propagate."""
        try:
            yield
        except (ForeignKey, NoTimeSeries):
            raise
        except (StoreError, EmbeddedError) as exc:
            self.away = True
            self.problems.append(str(exc))
        except SpoolError as exc:
            self.problems.append(str(exc))


def build_cycle(
    survey: Survey, verdict: Verdict, progress: Progress, errors: Sequence[ProviderError], waiting: Waiting
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
        waiting=waiting,
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
        took_ms=round((time.monotonic() - progress.began) * 1000),
    )
