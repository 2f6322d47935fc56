"""`collect`: one cycle asks the providers, agrees on a price, stores it and settles minutes; and the loop of them.

Candles that arrived in time are written before the price, so that a minute without a tick comes into being in
ascending order; candles that arrive later take one merge. A price that Redis does not take waits in the spool, and
is written by the next cycle that reaches Redis, together with what that one writes anyway.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import KW_ONLY, dataclass, field, replace
from typing import TYPE_CHECKING

from btcts import healing, pacing
from btcts.agreement import Verdict, agree, skew_ms
from btcts.clock import Clock, next_beat
from btcts.cycle import Cycle, Outcome, Survey, account
from btcts.errors import ForeignKey, NoTimeSeries, ProviderError, StoreError
from btcts.layout import window
from btcts.memory import Memory
from btcts.model import Candle, Reading, Tick
from btcts.polling import Poller, Round
from btcts.spool import Held, Spool
from btcts.store import Inspection, Store

if TYPE_CHECKING:
    from btcts.providers.base import Provider

ARRIVAL_S = 5.0
"""How long a cycle waits for prices and candles before it writes what it has."""

ONCE_S = 45.0
"""How long a single run waits for late candles; it ends within 50 s."""

SHORTEST_CADENCE_S, LONGEST_CADENCE_S = 60.0, 900.0
"""Between these the time from one single run to the next is taken for their cadence."""


@dataclass(eq=False)
class Collector:
    """One collector of one store; holds the round of candle requests that is under way between two cycles.

    `cadence_s` is the interval at which it runs, by which readers judge staleness (None: the time since the last
    cycle of any collector); `quorum` the number of providers that must agree; `salt` tells collectors apart; in
    `spool` prices wait while Redis is away, and without one they are lost.
    """

    store: Store
    poller: Poller
    clock: Clock
    _: KW_ONLY
    cadence_s: float | None
    quorum: int = 1
    salt: int = 0
    spool: Spool | None = None
    _memory: Memory = field(default_factory=Memory, init=False)
    _round: Round | None = field(default=None, init=False)

    def cycle(self, *, patience_s: float = 0.0) -> Cycle:
        """Do one cycle, and wait for late candles until `patience_s` after its start.

        Raises:
            ForeignKey: one of our names belongs to somebody else.
            NoTimeSeries: the server lacks the module.
            StoreError: the store holds simulated prices and the providers are real, or the other way round.
        """
        outcome = Outcome()
        survey = self._survey(outcome)
        self.store.refuse_mixture(survey.newest, survey.state, simulated=self._simulated)
        ready, waiting = pacing.split(self.poller.providers, survey.state.providers, survey.now_ms)
        self._start_round(ready, survey)
        readings, errors = self.poller.latest(ready, within_s=self._within_s)
        self._wait_for_round(outcome.began + ARRIVAL_S)
        skew = self._skew(readings)
        verdict = self._agree(readings, survey) if skew is None else self._mistrust(skew, survey)
        if verdict.problem and (ready or not waiting):
            outcome.problems.append(verdict.problem)
        if skew is None:
            errors += self._deliver(_tick(verdict), survey, outcome, until=outcome.began + patience_s)
        self._remember(survey, verdict, readings, errors, outcome)
        return account(survey, verdict, outcome, errors, waiting)

    @property
    def _within_s(self) -> float:
        """How long prices may take: a slow provider must not make the next cycle late."""
        return ARRIVAL_S if self.cadence_s is None else min(ARRIVAL_S, 0.8 * self.cadence_s)

    def _survey(self, outcome: Outcome) -> Survey:
        with outcome.noting():
            return self._inspect()
        newest = self._memory.newest or max(self._held(outcome).ticks, default=None)
        return Survey(self.clock.now_ms(), newest, self._memory.recall())

    def _inspect(self) -> Survey:
        inspection = self.store.inspect()
        if inspection.faults or inspection.poisoned:
            self.store.repair(inspection)
        state, newest = self._memory.amend(self.store.state(), inspection.newest)
        closed = healing.closed_minutes(inspection.now_ms)
        return Survey(
            now_ms=inspection.now_ms,
            newest=newest,
            state=state,
            gaps=self.store.gaps(),
            unsettled=frozenset(closed) - self.store.settled(closed),
            repaired=_phrases(inspection),
        )

    @property
    def _simulated(self) -> bool:
        return any(each.name == "simulated" for each in self.poller.providers)

    def _start_round(self, ready: Sequence["Provider"], survey: Survey) -> None:
        if self._round is None:
            minutes = healing.due(survey.unsettled, survey.gaps, survey.now_ms, salt=self.salt)
            if minutes:
                able = [each for each in ready if each.reach_ms]
                self._round = self.poller.candles(able, minutes, healing.spans_to_ask(minutes))

    def _wait_for_round(self, until: float) -> None:
        if self._round is not None:
            self._round.wait(until - time.monotonic())

    def _skew(self, readings: Sequence[Reading]) -> int | None:
        return skew_ms([each.date_ms for each in readings if each.date_ms is not None], self.clock.now_ms())

    def _mistrust(self, skew: int, survey: Survey) -> Verdict:
        """Believe no price and no candle when the clocks disagree."""
        self._round = None
        problem = f"the providers' clocks are {skew / 1000:+.0f} s from the Redis server's; set its clock right"
        return Verdict(pending=survey.state.pending, problem=problem)

    def _agree(self, readings: Sequence[Reading], survey: Survey) -> Verdict:
        return agree(
            readings,
            now_ms=self.clock.now_ms(),
            last=survey.newest,
            pending=survey.state.pending,
            quorum=self.quorum,
        )

    def _deliver(self, live: Tick | None, survey: Survey, outcome: Outcome, *, until: float) -> list[ProviderError]:
        """Write what the cycle has; the price waits in the spool when Redis does not take it.

        Returns the failures of the round that came to its end.
        """
        errors: list[ProviderError] = []
        if not outcome.away:
            with outcome.noting():
                self._write(live, self._held(outcome), survey, outcome)
                self._wait_for_round(until)
                self._write(None, Held(), survey, outcome)
                errors = self._end_round(survey)
        if live and not outcome.stored and self.spool is not None:
            with outcome.noting():
                self.spool.keep(live)
                outcome.spooled = live
        return errors

    def _held(self, outcome: Outcome) -> Held:
        """What waits in the spool; nothing when it cannot be read."""
        if self.spool is not None:
            with outcome.noting():
                return self.spool.read(self.clock.now_ms())
        return Held()

    def _write(self, live: Tick | None, held: Held, survey: Survey, outcome: Outcome) -> None:
        """Write the price, what waited in the spool and the candles that the round has agreed on by now, at once."""
        candles = self._candles(survey)
        if not (live or held.lines or candles):
            return
        written = self.store.write([*held.ticks, live] if live else held.ticks, candles)
        outcome.stored = outcome.stored or live
        outcome.unspooled += max(0, len(held.ticks) - written.too_old - written.too_early)
        if written.too_early:
            outcome.problems.append(f"{written.too_early} prices lie ahead of Redis' clock and were refused")
        settled = {each.start_ms for each in candles}
        outcome.settled |= settled
        if self._round is not None:
            self._round.settled |= settled
        if self.spool is not None:
            with outcome.noting():
                self.spool.drop(held)
                outcome.torn += held.torn

    def _candles(self, survey: Survey) -> list[Candle]:
        """The agreed candles of the minutes that the round has not settled yet."""
        if self._round is None or not self._round.usable:
            return []
        agreed = self._round.agreed(self.quorum).candles
        minutes = self._round.minutes & survey.unsettled & agreed.keys()
        return [agreed[minute] for minute in minutes - self._round.settled]

    def _end_round(self, survey: Survey) -> list[ProviderError]:
        """Enter into the ledger what a complete round left unsettled; its failures."""
        ended = self._round
        if ended is None or not ended.complete:
            return []
        left = (ended.minutes & survey.unsettled) - ended.settled
        offered = any(each.reach_ms for each in self.poller.providers)
        found = healing.unserved(left, ended.answers, ended.agreed(self.quorum), now_ms=survey.now_ms, offered=offered)
        passed = {minute for minute in survey.gaps if minute < window(survey.now_ms).start_ms}
        self.store.record_gaps(healing.again(found, survey.gaps), forget=(ended.settled | passed) & survey.gaps.keys())
        self._round = None
        return ended.errors

    def _remember(
        self,
        survey: Survey,
        verdict: Verdict,
        readings: Sequence[Reading],
        errors: Sequence[ProviderError],
        outcome: Outcome,
    ) -> None:
        state = replace(
            survey.state,
            cadence_s=self.cadence_s or _cadence(survey),
            last_cycle_ms=survey.now_ms,
            pending=verdict.pending,
            simulated=self._simulated,
        )
        self._memory.learn(state, readings, errors, {each.name: each.key_id for each in self.poller.providers})
        self._memory.newest = _tick(verdict) or survey.newest
        if not outcome.away:
            with outcome.noting():
                self._memory.tell(self.store)


def _phrases(repaired: Inspection) -> tuple[str, ...]:
    """What was put right, of what an inspection had found."""
    if repaired.empty:
        return ("made the layout",)
    poison = ["took out ticks from the future"] if repaired.poisoned else []
    return (*map(str, repaired.faults), *poison)


def _cadence(survey: Survey) -> float:
    """How often single runs come, by the time since the last one.

    At least a minute, for cron knows nothing finer; after more than a quarter of an hour it was an outage.
    """
    last_ms = survey.state.last_cycle_ms
    since_s = 0 if last_ms is None else round((survey.now_ms - last_ms) / 1000)
    if since_s > LONGEST_CADENCE_S:
        return survey.state.cadence_s or SHORTEST_CADENCE_S
    return max(since_s, SHORTEST_CADENCE_S)


def _tick(verdict: Verdict) -> Tick | None:
    return Tick(verdict.agreed.time_ms, verdict.agreed.price) if verdict.agreed else None


def once(collector: Collector) -> Cycle:
    """One cycle that waits for late candles; ends within 50 s."""
    return collector.cycle(patience_s=ONCE_S)


def forever(
    collector: Collector, clock: Clock, *, interval_s: float, phase_s: float, stopped: Callable[[], bool]
) -> Iterator[Cycle]:
    """Cycles at the multiples of the interval since the epoch plus the phase, the first one at once, until stopped.

    A failing Redis does not end it: the cycle says so and the next one tries again. A server without TimeSeries and
    a key that is not ours do, because no waiting mends them.
    """
    interval_ms, phase_ms = round(interval_s * 1000), round(phase_s * 1000)
    while not stopped():
        try:
            yield collector.cycle()
        except (ForeignKey, NoTimeSeries):
            raise
        except StoreError as exc:
            yield Cycle(clock.now_ms(), problem=str(exc))
        beat_ms = next_beat(clock.now_ms(), interval_ms, phase_ms)
        while not stopped() and clock.now_ms() < beat_ms:
            clock.sleep((beat_ms - clock.now_ms()) / 1000)
