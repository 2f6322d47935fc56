"""What one cycle of `collect` finds, what it has done so far, and the account of it."""

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

    The live price was either `stored`, or `spooled`: it waits for Redis on the disk. `members` are the providers near
    it; `flag` is "single" where one answered alone, "disputed" where no majority agreed. `deviating` has the relative
    deviation of providers from the agreed price, `refused` says of each provider what was not taken or what failed,
    `waiting` until when (ms) a provider is not asked, and why.

    `settled` counts the minutes settled in this cycle, `corrected` those whose candle the providers have changed since,
    `reopened` those that lost it, because more providers were heard and do not agree. `unsettled` are the closed
    minutes of the window that remain (0 where Redis does not answer), `thin` the settled ones that rest on few.

    `repaired` has one phrase for each thing that the check of keys and rules put right. `unspooled` counts the prices
    of the spool that were stored, `torn` the damaged lines that were dropped from it. `others` are the providers that
    the other collectors of this store ask where that is another list; this one then only adds. `problem` says why no
    price was agreed, and what Redis or the spool refused.
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
        """Whether no provider was due, so that nothing could be stored and nothing failed."""
        return bool(self.waiting) and self.stored is None and self.problem is None


@dataclass(frozen=True, slots=True)
class Survey:
    """What a cycle finds before it asks anybody; `unsettled` are the closed minutes of the window.

    While Redis is `away` it is what the collector knows by itself. `poisoned` is set while a sample from the future
    hides the others: whether it is wrong or the clock, the providers have to say. `reach` has the providers that the
    collectors of this store ask; a `guest` has another list, and changes nothing that is settled.
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
        """When the provider answered for a price last."""
        known = self.state.providers.get(provider)
        return known.answered_ms if known else None


@dataclass(frozen=True, slots=True)
class Limits:
    """Until when a cycle does what, by the monotonic clock, in s; it takes `limit_s` at most from when it `began`.

    Late candles are waited for until `patience_s` after that, where the rest leaves time to write them.
    """

    began: float
    patience_s: float
    limit_s: float

    @property
    def survey(self) -> float:
        """Until when Redis may say what there is; then there is still time to ask for a price."""
        return self.began + 0.8 * self.limit_s

    @property
    def store(self) -> float:
        """Until when Redis is talked to; then there is still time to spool the price."""
        return self.began + 0.94 * self.limit_s

    def find_candles(self, surveyed: float) -> float:
        """Until when candles are waited for, where Redis had said by `surveyed` what there is: writing takes longer."""
        latest = min(self.began + 0.9 * self.limit_s, self.store - 2 * (surveyed - self.began))
        return min(self.began + self.patience_s, latest)


@dataclass(slots=True)
class Progress:
    """What a cycle that `began` (by the monotonic clock, in s) has done so far.

    `entered` are the entries of the ledger about settled minutes. `away` is set once Redis has not answered, or taken
    what it was given; `problems` are in the words of the errors.
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
        """Note a failure of Redis or of the spool, and go on; what no waiting mends is raised."""
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
    survey: Survey, verdict: Verdict, outcome: Progress, errors: Sequence[ProviderError], waiting: Waiting
) -> Cycle:
    """The account of a cycle that is over."""
    agreed = verdict.agreed
    refused = {error.provider: error.problem for error in reversed(errors)}
    refused |= {refusal.provider: refusal.reason for refusal in verdict.refused}
    return Cycle(
        time_ms=survey.now_ms,
        stored=outcome.stored,
        spooled=outcome.spooled,
        members=agreed.members if agreed else (),
        flag=agreed.flag if agreed else None,
        deviating=agreed.deviating if agreed else (),
        refused=tuple(sorted(refused.items())),
        waiting=waiting,
        settled=len(outcome.settled),
        corrected=outcome.corrected,
        reopened=outcome.reopened,
        unsettled=len(survey.unsettled - outcome.settled),
        thin=outcome.thin,
        repaired=survey.repaired,
        unspooled=outcome.unspooled,
        torn=outcome.torn,
        others=tuple(survey.reach.providers) if survey.guest else (),
        problem="; ".join(outcome.problems) or None,
        took_ms=round((time.monotonic() - outcome.began) * 1000),
    )
