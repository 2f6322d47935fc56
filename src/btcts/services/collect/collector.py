"""`collect`: cycles that ask the providers, agree on a price, store it and settle minutes.

Candles that arrive in time are written before the price, so that a minute without a tick is written in ascending
order; later candles take one merge. A price that Redis does not accept waits in the spool until a cycle reaches Redis.
"""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import KW_ONLY, dataclass, field, replace
from math import inf
from typing import TYPE_CHECKING

from btcts.domain import healing
from btcts.domain.agreement import Past, Verdict, agree
from btcts.domain.candle_agreement import Reach
from btcts.domain.candles import CANDLE_OFFSETS_MS
from btcts.domain.clock import Clock, follow_beats
from btcts.domain.layout import HOUR, window
from btcts.domain.model import LOOKS, THIN, Gap, Reading, Tick, Waiting
from btcts.domain.skew import find_skew, measure_skew
from btcts.errors import ForeignKey, NoTimeSeries, ProviderError, StoreError, describe_unforeseen
from btcts.providers import pacing
from btcts.providers.polling import Poller
from btcts.services.collect.cycle import Cycle, Limits, Progress, Survey, build_cycle
from btcts.services.collect.memory import Memory
from btcts.services.collect.settling import Ended, Settling
from btcts.services.collect.spool import Held, Spool
from btcts.store import Inspection, State, Store
from btcts.system.deadline import Deadline

if TYPE_CHECKING:
    from btcts.providers.base import Provider

ARRIVAL_S = 5.0
"""Wait of a cycle for prices and candles before it writes what it has."""

ONCE_S = 50.0
"""Time limit of a single run."""

log = logging.getLogger(__name__)

SHORTEST_CADENCE_S, LONGEST_CADENCE_S = 60.0, 900.0
"""Limits of the cadence estimated from the time between single runs."""


@dataclass(eq=False)
class Collector:
    """One collector of one store; keeps pending candle requests between cycles.

    `cadence_s` is its interval, by which readers judge staleness (None: the time since the last cycle of any
    collector); `quorum` the number of providers that must agree; `salt` distinguishes collectors; `spool` keeps prices
    while Redis is away, and without it they are lost; `memory` is its knowledge independent of Redis; `deadline`
    applies to the store's connections.
    """

    store: Store
    poller: Poller
    clock: Clock
    _: KW_ONLY
    cadence_s: float | None
    quorum: int = 1
    salt: int = 0
    spool: Spool | None = None
    memory: Memory = field(default_factory=Memory)
    deadline: Deadline = field(default_factory=Deadline)
    _settling: Settling = field(init=False)
    _doubted: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        self._settling = Settling(self.poller, quorum=self.quorum, salt=self.salt)

    def cycle(self, *, patience_s: float = 0.0, limit_s: float = inf) -> Cycle:
        """Run one cycle within `limit_s`, and wait for late candles until `patience_s` after its start.

        Raises:
            ForeignKey: one of our names belongs to somebody else.
            NoTimeSeries: the server lacks the module.
            StoreError: the store holds simulated prices and the providers are real, or the other way round.
        """
        progress = Progress()
        limits = Limits(progress.began, patience_s, limit_s)
        self.deadline.set(limits.survey)
        survey = self._survey(progress)
        until = limits.find_candles(time.monotonic())
        self.deadline.set(limits.store)
        self.store.refuse_mixture(survey.newest, survey.state, simulated=self._simulated)
        ready, waiting = pacing.split(self.poller.providers, survey.state.providers, survey.now_ms)
        if not self._doubted:
            self._settling.begin(survey, ready)
        readings, errors = self.poller.latest(ready, within_s=self._within_s)
        progress.ahead_ms = measure_skew(_get_dates(readings), self.clock.now_ms())
        doubt = self._check_clocks(readings, survey)
        if self._doubted and not doubt:
            self._settling.begin(survey, ready)
        self._doubted = doubt is not None
        self._settling.resume(survey, ready, [reading.provider for reading in readings])
        self._settling.wait(progress.began + self._within_s - time.monotonic())
        if survey.poisoned and readings and not doubt:
            survey = self._survey(progress, trusted=True)
        past = _build_past(survey)
        verdict = Verdict(problem=doubt, past=past) if doubt else self._agree(readings, past, waiting)
        if verdict.agreed and not verdict.agreed.flag:
            self._settling.recheck(survey, ready, verdict.agreed.members)
        if verdict.problem and (ready or not waiting):
            progress.problems.append(verdict.problem)
        if doubt or survey.poisoned:
            self._settling.abandon()
        else:
            errors += self._deliver(_build_tick(verdict), survey, ready, progress, until=until)
        self._remember(survey, verdict, readings, errors, progress)
        return build_cycle(survey, verdict, progress, errors, waiting)

    @property
    def _within_s(self) -> float:
        """Time limit for prices and candles: a slow provider must not delay the next cycle."""
        return ARRIVAL_S if self.cadence_s is None else min(ARRIVAL_S, 0.8 * self.cadence_s)

    @property
    def _simulated(self) -> bool:
        return any(provider.name == "simulated" for provider in self.poller.providers)

    def _survey(self, progress: Progress, *, trusted: bool = False) -> Survey:
        """Survey the store, or fall back on memory; `trusted` means that the providers have confirmed the clock."""
        with progress.note_failures():
            return self._inspect(trusted=trusted)
        state, newest = self.memory.recall(), self.memory.newest or max(self._read_held(progress).ticks, default=None)
        known = replace(state, accepted=state.accepted or newest)
        return Survey(self.clock.now_ms(), newest, known, reach=self._reach, away=True)

    def _inspect(self, *, trusted: bool) -> Survey:
        """Check and repair keys and rules; samples from the future are removed only when the clock is trusted."""
        self.store.wait_for_rebuild()
        inspection = found = self.store.inspect()
        repaired = (trusted or not found.poisoned) and bool(found.faults or found.poisoned)
        if repaired:
            self.store.repair(found)
            inspection = self.store.inspect() if found.poisoned else found
        state, newest = self.memory.merge_untold(inspection.state, inspection.newest)
        closed = healing.closed_minutes(inspection.now_ms)
        reach = self._find_reach(state, inspection.now_ms)
        return Survey(
            now_ms=inspection.now_ms,
            newest=newest,
            state=state,
            gaps=inspection.gaps,
            unsettled=frozenset(closed) - self.store.settled(closed),
            repaired=_describe_repairs(found) if repaired else (),
            poisoned=inspection.poisoned,
            reach=reach,
            guest=reach.providers.keys() != self._reach.providers.keys(),
        )

    @property
    def _reach(self) -> Reach:
        """Reach of the candles of our own providers."""
        return Reach({provider.name: provider.reach_ms for provider in self.poller.providers})

    def _find_reach(self, state: State, now_ms: int) -> Reach:
        """Return the reach of the providers of this store's collectors, by the list that one of them used recently."""
        used_ms = state.configured_ms
        if not state.configured or used_ms is None or not 0 <= now_ms - used_ms <= state.max_age_s * 1000:
            return self._reach
        return Reach(state.configured)

    def _check_clocks(self, readings: Sequence[Reading], survey: Survey) -> str | None:
        """Return the reason not to write when the providers' clocks contradict ours, else None."""
        skew = find_skew(_get_dates(readings), self.clock.now_ms(), least=1 if survey.poisoned else 2)
        if skew is None:
            return None
        return f"the providers' clocks are {skew / 1000:+.0f} s from {self.clock.source}'s; set its clock right"

    def _agree(self, readings: Sequence[Reading], past: Past, waiting: Waiting) -> Verdict:
        unpaid = sum(why == pacing.BUDGET for _, _, why in waiting)
        return agree(
            readings,
            now_ms=self.clock.now_ms(),
            past=past,
            configured=len(self.poller.providers) - unpaid,
            quorum=self.quorum,
        )

    def _deliver(
        self, live: Tick | None, survey: Survey, ready: Sequence["Provider"], progress: Progress, *, until: float
    ) -> Sequence[ProviderError]:
        """Write what the cycle has; the price goes to the spool when Redis does not accept it.

        Returns the failures of the completed rounds.
        """
        if not progress.away:
            with progress.note_failures():
                if survey.state.simulated is None:  # before the first price, or a crash leaves it unmarked
                    self.store.remember(replace(survey.state, simulated=self._simulated))
                self._write(live, self._read_held(progress), survey, progress)
                self._finish(survey, progress, until)
                if self._settling.has_returns:
                    survey = self._inspect(trusted=False)
                    self._settling.begin(survey, ready)
                    self._finish(survey, progress, until)
        if live and not progress.stored and self.spool is not None:
            with progress.note_failures():
                self.spool.keep(live)
                progress.spooled = live
        return self._settling.take_failures()

    def _finish(self, survey: Survey, progress: Progress, until: float) -> None:
        """Wait for late candles, write them, and end the completed rounds."""
        self._settling.wait(until - time.monotonic())
        if self.cadence_s is None:
            self._settling.close()
        self._write(None, Held(), survey, progress)
        self._enter(self._settling.end(survey, self.store.ticks), survey, progress)

    def _read_held(self, progress: Progress) -> Held:
        """Read the prices in the spool; none when it cannot be read."""
        if self.spool is not None:
            with progress.note_failures():
                return self.spool.read(self.clock.now_ms())
        return Held()

    def _write(self, live: Tick | None, held: Held, survey: Survey, progress: Progress) -> None:
        """Write the price, the spooled prices and the candles agreed on so far, all at once."""
        settleable = self._settling.find_settleable(survey, self.store.ticks)
        candles = settleable.candles
        if not (live or held.lines or candles):
            return
        if settleable.entries:  # before the candles: an unrecorded thin minute would never be checked again
            self.store.record_gaps(settleable.entries)
            progress.entered |= settleable.entries
        written = self.store.write([*held.ticks, live] if live else held.ticks, candles)
        progress.stored = progress.stored or live
        progress.unspooled += max(0, len(held.ticks) - written.too_old - written.too_early)
        if written.too_early:
            progress.problems.append(f"{written.too_early} prices lie ahead of Redis' clock and were refused")
        progress.settled |= {candle.start_ms for candle in candles}
        self._settling.note_written(candles)
        if self.spool is not None:
            with progress.note_failures():
                self.spool.drop(held)
                progress.torn += held.torn

    def _enter(self, ended: Ended, survey: Survey, progress: Progress) -> None:
        """Enter the minutes that rounds left unsettled into the ledger, and correct candles that changed.

        Entries about a minute are recorded before its candle is written, and removed after it.
        """
        revision = ended.revision
        if revision.entries:
            self.store.record_gaps(revision.entries)
            progress.entered |= revision.entries
        if revision.reopened:
            dropped = {minute + offset for minute in revision.reopened for offset in CANDLE_OFFSETS_MS}
            self.store.rebuild(candles=revision.candles.values(), dropped=dropped)
        elif revision.candles:
            self.store.write([], [revision.candles[minute] for minute in sorted(revision.candles)])
        found = {**ended.gaps, **revision.reopened}
        forgotten = (_find_outdated(survey, progress) | revision.forgotten) - found.keys()
        if found or forgotten:
            self.store.record_gaps(found, forget=forgotten)
        progress.corrected += len(revision.candles)
        progress.reopened += len(revision.reopened)
        progress.reread_ms = ended.reread_ms or progress.reread_ms
        ledger = {**survey.gaps, **progress.entered, **found}
        progress.thin = sum(gap.reason == THIN for minute, gap in ledger.items() if minute not in forgotten)

    def _remember(
        self,
        survey: Survey,
        verdict: Verdict,
        readings: Sequence[Reading],
        errors: Sequence[ProviderError],
        progress: Progress,
    ) -> None:
        agreed = verdict.agreed
        state = replace(
            survey.state,
            cadence_s=self.cadence_s or _estimate_cadence(survey),
            spacing_s=_find_spacing_s(readings, survey.now_ms),
            last_cycle_ms=survey.now_ms,
            problem=None if progress.stored else "; ".join(progress.problems) or None,
            pending=verdict.past.pending,
            accepted=_build_tick(verdict) or survey.state.accepted,
            simulated=self._simulated,
            ahead_ms=progress.ahead_ms,
            reread_ms=progress.reread_ms,
        )
        if readings or errors:  # otherwise nobody was due, and the last agreement stands
            state = replace(
                state,
                members=agreed.members if agreed else (),
                flag=agreed.flag if agreed else None,
                deviating=dict(agreed.deviating) if agreed else {},
            )
        if not survey.guest:
            now_ms, reach = survey.now_ms, self._reach.providers
            anchor, lean = verdict.past.anchor, verdict.past.lean
            state = replace(state, anchor=anchor, lean=lean, candleless=self._settling.failing)
            state = replace(state, configured=reach, configured_ms=now_ms)
        self.memory.learn(
            state, readings, errors, {provider.name: provider.key_id for provider in self.poller.providers}
        )
        self.memory.newest = _build_tick(verdict) or survey.newest
        if not progress.away:
            with progress.note_failures():
                self.memory.tell(self.store)
        if progress.away:
            with progress.note_failures():
                self.memory.keep()


def _build_past(survey: Survey) -> Past:
    """Return the history for agreement; candles are left out, as a single lying provider may have made them."""
    state = survey.state
    return Past(state.accepted, state.anchor, state.pending, state.lean)


def _find_outdated(survey: Survey, progress: Progress) -> set[int]:
    """Return the minutes of the ledger that were settled or have left the window."""
    left = survey.unsettled - progress.settled
    oldest_ms = window(survey.now_ms).start_ms

    def is_outdated(minute: int, gap: Gap) -> bool:
        if gap.reason not in LOOKS or minute in progress.settled:
            return minute not in left
        unheard = survey.reach.find_reaching(minute, survey.now_ms) - set(gap.heard)
        return minute < oldest_ms or (gap.reason == THIN and not unheard)

    return {minute for minute, gap in survey.gaps.items() if is_outdated(minute, gap)} - progress.entered.keys()


def _describe_repairs(repaired: Inspection) -> tuple[str, ...]:
    """Describe what was repaired of the findings of an inspection."""
    if repaired.empty:
        return ("made the layout",)
    poison = ["took out ticks from the future"] if repaired.poisoned else []
    return (*map(str, repaired.faults), *poison)


def _estimate_cadence(survey: Survey) -> float:
    """Estimate the interval of single runs by the time since the last one.

    At least a minute, the resolution of cron; more than a quarter of an hour counts as an outage.
    """
    last_ms = survey.state.last_cycle_ms
    since_s = 0 if last_ms is None else round((survey.now_ms - last_ms) / 1000)
    if since_s > LONGEST_CADENCE_S:
        return survey.state.cadence_s or SHORTEST_CADENCE_S
    return max(since_s, SHORTEST_CADENCE_S)


def _get_dates(readings: Sequence[Reading]) -> list[int]:
    return [reading.date_ms for reading in readings if reading.date_ms is not None]


def _find_spacing_s(readings: Sequence[Reading], now_ms: int) -> float | None:
    """Return the time until the next price that budgets allow: the shortest wait of the providers that answered."""
    waits_ms = [(reading.not_before_ms or now_ms) - now_ms for reading in readings]
    return min(max(0.0, min(waits_ms) / 1000), LONGEST_CADENCE_S) if waits_ms else None


def _build_tick(verdict: Verdict) -> Tick | None:
    return Tick(verdict.agreed.time_ms, verdict.agreed.price) if verdict.agreed else None


def find_full_reach(providers: Sequence["Provider"]) -> list[str]:
    """Return the names of the providers whose candles reach back through the whole window."""
    longest_ms = (HOUR.entries + 1) * HOUR.bucket_ms
    return [provider.name for provider in providers if provider.reach_ms >= longest_ms]


def once(collector: Collector, *, limit_s: float = ONCE_S) -> Cycle:
    """Run one cycle that waits for late candles, and ends within the limit."""
    return collector.cycle(patience_s=limit_s, limit_s=limit_s)


def forever(
    collector: Collector, clock: Clock, *, interval_s: float, phase_s: float, stopped: Callable[[], bool]
) -> Iterator[Cycle]:
    """Run cycles at the multiples of the interval since the epoch plus the phase, the first one at once, until stopped.

    A Redis failure does not end the loop: the cycle reports it and the next one tries again. A server without
    TimeSeries and a foreign key end it, as they are permanent.
    """
    for _ in follow_beats(clock, interval_s=interval_s, phase_s=phase_s, stopped=stopped):
        yield _try_cycle(collector, clock)


def _try_cycle(collector: Collector, clock: Clock) -> Cycle:
    """Return the account of a cycle or of its failure; permanent failures propagate."""
    try:
        return collector.cycle()
    except (ForeignKey, NoTimeSeries):
        raise
    except StoreError as exc:
        return Cycle(clock.now_ms(), problem=str(exc))
    except Exception as exc:
        log.debug("a cycle failed", exc_info=exc)
        return Cycle(clock.now_ms(), problem=describe_unforeseen(exc))
