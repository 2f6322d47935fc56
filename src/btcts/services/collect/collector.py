"""`collect`: cycles that ask the providers, agree on a price, store it and settle minutes.

Candles that arrive in time are written before the price, so that a minute without a tick is written in ascending
order; later candles take one merge. A price that Redis does not accept waits in the spool until a cycle reaches Redis.
"""

import time
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass, field, replace
from math import inf
from typing import TYPE_CHECKING

from btcts.domain.agreement import Past, Verdict, agree
from btcts.domain.candles import CANDLE_OFFSETS_MS
from btcts.domain.clock import Clock
from btcts.domain.model import BUDGET, THIN, Reading, Tick
from btcts.domain.skew import describe_skew
from btcts.errors import ProviderError
from btcts.providers.poller import Poller
from btcts.services.collect.cycle import Asked, Cycle, Ended, Limits, Progress, build_cycle, find_outdated
from btcts.services.collect.memory import Memory
from btcts.services.collect.settling import Settling, Snapshot
from btcts.services.collect.spool import Held, Spool
from btcts.services.collect.survey import Survey, survey_memory, survey_store
from btcts.store import State, Store
from btcts.system.sockets import Deadline

if TYPE_CHECKING:
    from btcts.providers.base import Provider

ARRIVAL_S = 5.0
"""Wait of a cycle for prices and candles before it writes what it has."""

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
        self.store.refuse_mixture(survey.newest, survey.state, simulated=self.poller.simulated)
        asked = self._ask(survey, progress)
        if survey.poisoned and asked.prices.readings and not asked.doubt:
            survey = self._survey(progress, trusted=True)
        verdict = self._agree(asked, survey)
        if verdict.agreed and not verdict.agreed.flag:
            self._settling.recheck(survey, asked.ready, verdict.agreed.members)
        if verdict.problem and (asked.ready or not asked.waiting):
            progress.note_problem(verdict.problem)
        errors = asked.prices.errors
        self._learn(survey, asked, verdict, errors, progress)
        if asked.doubt or survey.poisoned:
            self._settling.abandon()
        else:
            errors = [*errors, *self._deliver(_build_tick(verdict), survey, asked.ready, progress, until=until)]
            self._learn(survey, asked, verdict, errors, progress)
        self._tell(progress)
        return build_cycle(survey, asked, verdict, progress, errors)

    def _survey(self, progress: Progress, *, trusted: bool = False) -> Survey:
        """Survey the store, or fall back on memory; `trusted` means that the providers have confirmed the clock."""
        with progress.note_failures():
            return survey_store(self.store, self.memory, self.poller.reach, trusted=trusted)
        newest = self.memory.newest or max(self._read_held(progress).ticks, default=None)
        return survey_memory(self.memory.recall(), newest, self.poller.reach, self.clock.now_ms())

    def _ask(self, survey: Survey, progress: Progress) -> Asked:
        """Ask for prices and candles, and wait for both.

        Candles are asked for at the same time as prices; but while our clock is in doubt, which minutes are due is in
        doubt as well, and candles wait until the prices have confirmed it.
        """
        within_s = ARRIVAL_S if self.cadence_s is None else min(ARRIVAL_S, 0.8 * self.cadence_s)  # before the next one
        ready, waiting = self.poller.split(survey.state.providers, survey.now_ms)
        if not self._doubted:
            self._settling.begin(survey, ready)
        prices = self.poller.ask_prices(ready, within_s=within_s)
        now_ms = self.clock.now_ms()
        skew_ms = prices.find_skew(now_ms, poisoned=survey.poisoned)
        if self._doubted and skew_ms is None:
            self._settling.begin(survey, ready)
        self._doubted = skew_ms is not None
        self._settling.resume(survey, ready, [reading.provider for reading in prices.readings])
        self._settling.wait(progress.began + within_s - time.monotonic())
        doubt = None if skew_ms is None else describe_skew(skew_ms, self.clock.source)
        return Asked(ready, waiting, prices, prices.measure_skew(now_ms), doubt)

    def _agree(self, asked: Asked, survey: Survey) -> Verdict:
        past = _build_past(survey)
        if asked.doubt:
            return Verdict(problem=asked.doubt, past=past)
        unpaid = sum(why == BUDGET for _, _, why in asked.waiting)
        return agree(
            asked.prices.readings,
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
                    self.store.remember(replace(survey.state, simulated=self.poller.simulated))
                self._write(live, self._read_held(progress), self._settling.listen(), survey, progress)
                self._finish(survey, progress, until)
                if self._settling.has_more_to_ask:
                    survey = survey_store(self.store, self.memory, self.poller.reach, trusted=False)
                    self._settling.begin(survey, ready)
                    self._finish(survey, progress, until)
        if live and not progress.stored and self.spool is not None:
            with progress.note_failures():
                self.spool.keep(live)
                progress.note_spooled(live)
        return self._settling.take_failures()

    def _finish(self, survey: Survey, progress: Progress, until: float) -> None:
        """Wait for late candles, write them, and end the rounds that are complete by then."""
        self._settling.wait(until - time.monotonic())
        if self.cadence_s is None:
            self._settling.close()
        snapshot = self._settling.listen()
        self._write(None, Held(), snapshot, survey, progress)
        self._enter(self._settling.end(snapshot, survey, self.store.ticks), survey, progress)

    def _read_held(self, progress: Progress) -> Held:
        """Read the prices in the spool; none when it cannot be read."""
        if self.spool is not None:
            with progress.note_failures():
                return self.spool.read(self.clock.now_ms())
        return Held()

    def _write(self, live: Tick | None, held: Held, snapshot: Snapshot, survey: Survey, progress: Progress) -> None:
        """Write the price, the spooled prices and the candles agreed on so far, all at once."""
        settleable = self._settling.find_settleable(snapshot, survey, self.store.ticks)
        candles = settleable.candles
        if not (live or held.lines or candles):
            return
        if settleable.entries:  # before the candles: an unrecorded thin minute would never be checked again
            self.store.record_gaps(settleable.entries)
            progress.note_entries(settleable.entries)
        remembered = self.memory.untold if live else None
        written = self.store.write([*held.ticks, live] if live else held.ticks, candles, remembered=remembered)
        if remembered:
            self.memory.note_told(remembered)
        progress.note_written(live, held, candles, written)
        self._settling.note_written(candles)
        if self.spool is not None:
            with progress.note_failures():
                self.spool.drop(held)
                progress.note_torn(held.torn)

    def _enter(self, ended: Ended, survey: Survey, progress: Progress) -> None:
        """Enter the minutes that rounds left unsettled into the ledger, and correct candles that changed.

        Entries about a minute are recorded before its candle is written, and removed after it.
        """
        revision = ended.revision
        if revision.entries:
            self.store.record_gaps(revision.entries)
            progress.note_entries(revision.entries)
        if revision.reopened:
            dropped = {minute + offset for minute in revision.reopened for offset in CANDLE_OFFSETS_MS}
            self.store.rebuild(candles=revision.candles.values(), dropped=dropped)
        elif revision.candles:
            self.store.write([], [revision.candles[minute] for minute in sorted(revision.candles)])
        found = {**ended.gaps, **revision.reopened}
        forgotten = (find_outdated(survey, progress) | revision.forgotten) - found.keys()
        if found or forgotten:
            self.store.record_gaps(found, forget=forgotten)
            self.store.release_carried(found)
        ledger = {**survey.gaps, **progress.entered, **found}
        thin = sum(gap.reason == THIN for minute, gap in ledger.items() if minute not in forgotten)
        progress.note_ended(ended, thin=thin)

    def _learn(
        self, survey: Survey, asked: Asked, verdict: Verdict, errors: Sequence[ProviderError], progress: Progress
    ) -> None:
        """Learn from the cycle: before its price is written, for both go into Redis at once, and when it is over."""
        state, agreed = self._build_state(survey, asked, verdict, progress), verdict.agreed
        if asked.prices.readings or errors:  # otherwise nobody was due, and the last agreement stands
            state = replace(
                state,
                members=agreed.members if agreed else (),
                flag=agreed.flag if agreed else None,
                deviating=dict(agreed.deviating) if agreed else {},
            )
        if not survey.guest:
            past = verdict.past
            state = replace(state, anchor=past.anchor, lean=past.lean, candleless=self._settling.failing)
            state = replace(state, configured=self.poller.reach.providers, configured_ms=survey.now_ms)
        learned = self.poller.learn(state.providers, asked.prices._replace(errors=errors), survey.now_ms)
        self.memory.learn(state, learned, _build_tick(verdict) or survey.newest)

    def _tell(self, progress: Progress) -> None:
        """Tell the other collectors what was not written with the price, or the next run while Redis is away."""
        if not progress.away:
            with progress.note_failures():
                self.memory.tell(self.store)
        if progress.away:
            with progress.note_failures():
                self.memory.keep()

    def _build_state(self, survey: Survey, asked: Asked, verdict: Verdict, progress: Progress) -> State:
        return replace(
            survey.state,
            cadence_s=self.cadence_s or _estimate_cadence(survey),
            spacing_s=_find_spacing_s(asked.prices.readings, survey.now_ms),
            last_cycle_ms=survey.now_ms,
            problem=None if progress.stored else "; ".join(progress.problems) or None,
            pending=verdict.past.pending,
            accepted=_build_tick(verdict) or survey.state.accepted,
            simulated=self.poller.simulated,
            ahead_ms=asked.ahead_ms,
            reread_ms=progress.reread_ms,
        )


def _build_past(survey: Survey) -> Past:
    """Return the history for agreement; candles are left out, as a single lying provider may have made them."""
    state = survey.state
    return Past(state.accepted, state.anchor, state.pending, state.lean)


def _estimate_cadence(survey: Survey) -> float:
    """Estimate the interval of single runs by the time since the last one.

    At least a minute, the resolution of cron; more than a quarter of an hour counts as an outage.
    """
    last_ms = survey.state.last_cycle_ms
    since_s = 0 if last_ms is None else round((survey.now_ms - last_ms) / 1000)
    if since_s > LONGEST_CADENCE_S:
        return survey.state.cadence_s or SHORTEST_CADENCE_S
    return max(since_s, SHORTEST_CADENCE_S)


def _find_spacing_s(readings: Sequence[Reading], now_ms: int) -> float | None:
    """Return the time until the next price that budgets allow: the shortest wait of the providers that answered."""
    waits_ms = [(reading.not_before_ms or now_ms) - now_ms for reading in readings]
    return min(max(0.0, min(waits_ms) / 1000), LONGEST_CADENCE_S) if waits_ms else None


def _build_tick(verdict: Verdict) -> Tick | None:
    return Tick(verdict.agreed.time_ms, verdict.agreed.price) if verdict.agreed else None
