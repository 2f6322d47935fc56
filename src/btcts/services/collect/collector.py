"""`collect`: cycles that ask the providers, agree on a price, store it and settle minutes.

Candles that arrive in time are written before the price, so that a minute without a tick is written in ascending
order; later candles take one merge. A price that Redis does not accept waits in the spool until a cycle reaches Redis.
"""

import time
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass, field, replace
from math import inf
from typing import TYPE_CHECKING

from btcts.domain.agreement import Past, Verdict, agree, find_objection
from btcts.domain.candles import CANDLE_OFFSETS_MS
from btcts.domain.clock import describe_skew
from btcts.domain.model import BUDGET, THIN, Tick
from btcts.errors import ProviderError, StoreError
from btcts.providers.poller import Poller, Prices
from btcts.services.collect.cycle import (
    Asked,
    Cycle,
    Ended,
    Limits,
    Progress,
    build_cycle,
    build_state,
    build_tick,
    find_outdated,
)
from btcts.services.collect.live import Live, Source, build_basis
from btcts.services.collect.memory import Memory
from btcts.services.collect.settling import Settling, Snapshot
from btcts.services.collect.spool import Held, Spool
from btcts.services.collect.survey import Survey, survey_memory, survey_store
from btcts.store import Store
from btcts.system.sockets import Deadline

if TYPE_CHECKING:
    from btcts.providers.base import Provider

ARRIVAL_S = 5.0
"""Wait of a cycle for prices and candles before it writes what it has."""


@dataclass(eq=False)
class Collector:
    """One collector of one store; keeps pending candle requests between cycles.

    `cadence_s` is its interval, by which readers judge staleness (None: the time since the last cycle of any
    collector); `quorum` the number of providers that must agree; `salt` distinguishes collectors; `spool` keeps prices
    while Redis is away, and without it they are lost; `memory` is its knowledge independent of Redis; `deadline`
    applies to the store's connections; `streams` bring trades between the cycles.
    """

    store: Store
    poller: Poller
    _: KW_ONLY
    cadence_s: float | None
    quorum: int = 1
    salt: int = 0
    spool: Spool | None = None
    memory: Memory = field(default_factory=Memory)
    deadline: Deadline = field(default_factory=Deadline)
    streams: Source | None = None
    _settling: Settling = field(init=False)
    _live: Live = field(init=False)
    _doubted: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        self._live = Live(
            self.store,
            self.streams,
            able=len(self.poller.able),
            quorum=self.quorum,
            polled_ms=round(1000 * (ARRIVAL_S + (self.cadence_s or 0))),
            spool=self.spool,
        )
        audits, wait = self.streams is not None, self._live.wait_for
        self._settling = Settling(self.poller, quorum=self.quorum, salt=self.salt, wait=wait, audits=audits)

    def pass_time(self, seconds: float) -> None:
        """Wait, `seconds` at most; with streams write the price of each second meanwhile."""
        self._live.pass_time(seconds)

    def cycle(self, *, patience_s: float = 0.0, limit_s: float = inf) -> Cycle:
        """Run one cycle within `limit_s`, and wait for late candles until `patience_s` after its start.

        Raises:
            ForeignKey: one of our names belongs to somebody else.
            NoTimeSeries: the server lacks the module.
            StoreError: the store holds simulated prices and the providers are real, or the other way round.
        """
        try:
            return self._run_cycle(patience_s, limit_s)
        except StoreError:
            self._live.go_on(None)
            raise

    def _run_cycle(self, patience_s: float, limit_s: float) -> Cycle:
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
            progress.problems.append(verdict.problem)
        if failure := self._live.take_failure():
            progress.problems.append(failure)
        progress.settled |= self._live.take_settled()
        self._learn(survey, asked, verdict, progress)
        if asked.doubt or survey.poisoned:
            self._settling.abandon()
            self._live.go_on(None)
        else:
            asked = asked.with_failures(self._deliver(build_tick(verdict), survey, asked.ready, progress, until=until))
            self._learn(survey, asked, verdict, progress)
            self._live.go_on(build_basis(survey, asked, verdict, progress))
        self._tell(progress)
        return build_cycle(survey, asked, verdict, progress, self._live.describe())

    def _survey(self, progress: Progress, *, trusted: bool = False) -> Survey:
        """Survey the store, or fall back on memory; `trusted` means that the providers have confirmed the clock."""
        with progress.note_failures():
            return survey_store(self.store, self.memory, self.poller.reach, trusted=trusted)
        newest = self.memory.newest or max(self._read_held(progress).ticks, default=None)
        return survey_memory(self.memory.recall(), newest, self.poller.reach, self.store.clock.now_ms())

    def _ask(self, survey: Survey, progress: Progress) -> Asked:
        """Ask for prices and candles, and wait for both.

        Candles are asked for at the same time as prices; but while our clock is in doubt, which minutes are due is in
        doubt as well, and candles wait until the prices have confirmed it.
        """
        within_s = ARRIVAL_S if self.cadence_s is None else min(ARRIVAL_S, 0.8 * self.cadence_s)  # before the next one
        ready, waiting = self.poller.split(survey.state.providers, survey.now_ms)
        awaited = self._live.find_awaited()
        if not self._doubted:
            self._settling.begin(survey, ready, awaited)
        prices = self._ask_prices(ready, within_s)
        now_ms = self.store.clock.now_ms()
        skew_ms = prices.find_skew(now_ms, poisoned=survey.poisoned)
        if self._doubted and skew_ms is None:
            self._settling.begin(survey, ready, awaited)
        self._doubted = skew_ms is not None
        self._settling.resume(survey, ready, [reading.provider for reading in prices.readings])
        self._settling.wait(progress.began + within_s - time.monotonic())
        self._settling.follow_up(survey, ready, awaited)
        self._settling.wait(progress.began + within_s - time.monotonic())
        doubt = None if skew_ms is None else describe_skew(skew_ms, self.store.clock.source)
        configured = len(self.poller.providers) - sum(why == BUDGET for _, _, why in waiting)
        return Asked(ready, waiting, configured, prices, prices.measure_skew(now_ms), doubt)

    def _ask_prices(self, ready: Sequence["Provider"], within_s: float) -> Prices:
        """Ask those providers for prices whose streams have none that passes, and take the others from the streams."""
        streaming, now_ms = self._live.find_readings(), self.store.clock.now_ms()
        streamed = {reading.provider for reading in streaming if not find_objection(reading, now_ms)}
        polled = [provider for provider in ready if provider.name not in streamed]
        prices = self.poller.ask_prices(polled, within_s=within_s, wait=self._live.wait_for)
        answered = {reading.provider for reading in prices.readings}
        latest = [reading for reading in self._live.find_readings() if reading.provider not in answered]
        return prices._replace(readings=[*prices.readings, *latest])

    def _agree(self, asked: Asked, survey: Survey) -> Verdict:
        state = survey.state  # no stored candles: a single lying provider may have made them
        past = Past(state.accepted, state.anchor, state.pending, state.lean)
        if asked.doubt:
            return Verdict(problem=asked.doubt, past=past)
        return agree(
            asked.prices.readings,
            now_ms=self.store.clock.now_ms(),
            past=past,
            configured=asked.configured,
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
                if survey.crowded:
                    self.store.rebuild()
        if live and not progress.stored and self.spool is not None:
            with progress.note_failures():
                self.spool.keep(live)
                progress.spooled = live
        return self._settling.take_failures()

    def _finish(self, survey: Survey, progress: Progress, until: float) -> None:
        """Wait for late candles, write them, and end the rounds that are complete by then."""
        self._settling.wait(until - time.monotonic())
        if self.cadence_s is None:
            self._settling.close()
        snapshot = self._settling.listen()
        self._live.compare(answer for _, heard in snapshot if heard.complete for answer in heard.answers)
        self._write(None, Held(), snapshot, survey, progress)
        self._enter(self._settling.end(snapshot, survey, self.store.ticks), survey, progress)

    def _read_held(self, progress: Progress) -> Held:
        """Read the prices in the spool; none when it cannot be read."""
        if self.spool is not None:
            with progress.note_failures():
                return self.spool.read(self.store.clock.now_ms())
        return Held()

    def _write(self, live: Tick | None, held: Held, snapshot: Snapshot, survey: Survey, progress: Progress) -> None:
        """Write the price, the spooled prices and the candles agreed on so far, all at once."""
        settleable = self._settling.find_settleable(snapshot, survey, self.store.ticks)
        if taken := self.store.settled(settleable.entries):  # thin here, and by now settled by another collector
            self._settling.note_written(candle for candle in settleable.candles if candle.start_ms in taken)
            settleable = self._settling.find_settleable(snapshot, survey, self.store.ticks)
        candles = settleable.candles
        if not (live or held.lines or candles):
            return
        if settleable.entries:  # before the candles: an unrecorded thin minute would never be checked again
            self.store.record_gaps(settleable.entries)
            progress.entered |= settleable.entries
        remembered = self.memory.untold if live else None
        bounds = self._live.find_bounds() if live and not survey.guest else ()
        ticks = [*held.ticks, live] if live else held.ticks
        written = self.store.write(ticks, candles, bounds=bounds, remembered=remembered, wary=True)
        if remembered:
            self.memory.note_told(remembered)
        progress.note_written(live, held, candles, written)
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
            self.store.write([], [revision.candles[minute] for minute in sorted(revision.candles)], wary=True)
        taken = self.store.settled(ended.gaps)  # by another collector, whose entries stay
        found = {minute: gap for minute, gap in ended.gaps.items() if minute not in taken} | revision.reopened
        forgotten = (find_outdated(survey, progress) | revision.forgotten) - found.keys()
        if found or forgotten:
            self.store.record_gaps(found, forget=forgotten)
            self.store.release_carried(found)
        ledger = {**survey.gaps, **progress.entered, **found}
        thin = sum(gap.reason == THIN for minute, gap in ledger.items() if minute not in forgotten)
        progress.note_ended(ended, thin=thin)

    def _learn(self, survey: Survey, asked: Asked, verdict: Verdict, progress: Progress) -> None:
        """Learn from the cycle: before its price is written, for both go into Redis at once, and when it is over."""
        state = build_state(survey, asked, verdict, progress, self.cadence_s)
        if not survey.guest:
            candleless, configured = self._settling.failing, self.poller.reach.providers
            state = replace(state, candleless=candleless, configured=configured, configured_ms=survey.now_ms)
        streams, streams_ms = (self._live.describe(), survey.now_ms) if self.streams else (None, None)
        state = replace(state, simulated=self.poller.simulated, streams=streams, streams_ms=streams_ms)
        waiting = {provider for provider, _, _ in asked.waiting}  # streams go on while polls have to wait
        heard = [reading for reading in asked.prices.readings if reading.provider not in waiting]
        learned = self.poller.learn(state.providers, asked.prices._replace(readings=heard), survey.now_ms)
        self.memory.learn(state, learned, build_tick(verdict) or survey.newest)

    def _tell(self, progress: Progress) -> None:
        """Tell the other collectors what was not written with the price, or the next run while Redis is away."""
        if not progress.away:
            with progress.note_failures():
                self.memory.tell(self.store)
        if progress.away:
            with progress.note_failures():
                self.memory.keep()
