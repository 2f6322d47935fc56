"""`collect`: one cycle asks the providers, agrees on a price, stores it and settles minutes; and the loop of them.

Candles that arrived in time are written before the price, so that a minute without a tick comes into being in
ascending order; candles that arrive later take one merge.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from btcts import healing, pacing
from btcts.agreement import Verdict, agree, skew_ms
from btcts.clock import Clock, next_beat
from btcts.errors import ForeignKey, NoTimeSeries, ProviderError, StoreError
from btcts.layout import window
from btcts.model import Gap, ProviderState, Reading, Tick
from btcts.polling import Poller, Round

if TYPE_CHECKING:
    from btcts.providers.base import Provider
    from btcts.store import State, Store

ARRIVAL_S = 5.0
"""How long a cycle waits for prices and candles before it writes what it has."""

ONCE_S = 45.0
"""How long a single run waits for late candles; it ends within 50 s."""


@dataclass(frozen=True, slots=True)
class Cycle:
    """The account of one cycle.

    `stored` is the live price that was written and `members` the providers that agreed on it; `flag` is "single"
    or "disputed" where fewer than three did. `deviating` has the relative deviation of providers from the agreed
    price, `refused` says why a reading was not taken, `waiting` until when (ms) a provider is not asked, and why.
    `settled` counts the minutes settled in this cycle, `unsettled` the closed minutes of the window that remain;
    `repaired` has one phrase for each thing that the check of keys and rules put right; `problem` says why no
    price was stored.
    """

    time_ms: int
    stored: Tick | None = None
    members: tuple[str, ...] = ()
    flag: str | None = None
    deviating: tuple[tuple[str, float], ...] = ()
    refused: tuple[tuple[str, str], ...] = ()
    waiting: tuple[tuple[str, int, str], ...] = ()
    settled: int = 0
    unsettled: int = 0
    repaired: tuple[str, ...] = ()
    problem: str | None = None
    took_ms: int = 0

    @property
    def idle(self) -> bool:
        """Whether no provider was due, so that nothing could be stored and nothing failed."""
        return bool(self.waiting) and self.stored is None and self.problem is None


@dataclass(frozen=True, slots=True)
class _Survey:
    """What a cycle finds before it asks anybody; `unsettled` are the closed minutes of the window."""

    now_ms: int
    newest: Tick | None
    state: "State"
    gaps: Mapping[int, Gap]
    unsettled: frozenset[int]
    repaired: tuple[str, ...]


class Collector:
    """One collector of one store; holds the round of candle requests that is under way between two cycles.

    `cadence_s` is the interval at which it runs, by which readers judge staleness (None: the time since the last
    cycle of any collector); `quorum` the number of providers that must agree; `salt` tells collectors apart.
    """

    def __init__(
        self, store: "Store", poller: Poller, clock: Clock, *, cadence_s: float | None, quorum: int = 1, salt: int = 0
    ) -> None:
        self._store = store
        self._poller = poller
        self._clock = clock
        self._cadence_s = cadence_s
        self._quorum = quorum
        self._salt = salt
        self._round: Round | None = None

    def cycle(self, *, patience_s: float = 0.0) -> Cycle:
        """Do one cycle, and wait for late candles until `patience_s` after its start.

        Raises:
            StoreError: Redis does not answer, one of our names belongs to somebody else, or the store holds
                simulated prices and the providers are real, or the other way round.
        """
        began = time.monotonic()
        survey = self._survey()
        ready, waiting = pacing.split(self._poller.providers, survey.state.providers, survey.now_ms)
        self._start_round(ready, survey)
        readings, errors = self._poller.latest(ready, within_s=self._within_s)
        self._wait_for_round(began + ARRIVAL_S)
        verdict = self._verdict(readings, survey)
        settled = self._write(_tick(verdict), survey)
        self._wait_for_round(began + patience_s)
        settled |= self._write(None, survey)
        errors += self._end_round(survey)
        self._remember(survey, verdict, readings, errors)
        return _account(survey, verdict, errors, waiting, settled, began)

    @property
    def _within_s(self) -> float:
        """How long prices may take: a slow provider must not make the next cycle late."""
        return ARRIVAL_S if self._cadence_s is None else min(ARRIVAL_S, 0.8 * self._cadence_s)

    def _survey(self) -> _Survey:
        inspection = self._store.inspect()
        broken = inspection.faults or inspection.poisoned
        repaired = self._store.repair(inspection) if broken else ()
        state = self._store.state()
        self._refuse_mixture(state, inspection.newest)
        closed = healing.closed_minutes(inspection.now_ms)
        return _Survey(
            now_ms=inspection.now_ms,
            newest=inspection.newest,
            state=state,
            gaps=self._store.gaps(),
            unsettled=frozenset(closed) - self._store.settled(closed),
            repaired=tuple(map(str, repaired)),
        )

    def _refuse_mixture(self, state: "State", newest: Tick | None) -> None:
        """Simulated prices and real ones never meet in one store."""
        if newest is None or state.simulated in (None, self._simulated):
            return
        kind, other = ("real", "simulated") if self._simulated else ("simulated", "real")
        raise StoreError(
            f"{self._store.where} holds {kind} prices and {other} ones must not be mixed in; "
            "use another database (REDIS_DB) or data directory (BTCTS_DATA_DIR)"
        )

    @property
    def _simulated(self) -> bool:
        return any(each.name == "simulated" for each in self._poller.providers)

    def _start_round(self, ready: Sequence["Provider"], survey: _Survey) -> None:
        if self._round is None:
            minutes = healing.due(survey.unsettled, survey.gaps, survey.now_ms, salt=self._salt)
            if minutes:
                able = [each for each in ready if each.reach_ms]
                self._round = self._poller.candles(able, minutes, healing.spans_to_ask(minutes))

    def _wait_for_round(self, until: float) -> None:
        if self._round is not None:
            self._round.wait(until - time.monotonic())

    def _verdict(self, readings: Sequence[Reading], survey: _Survey) -> Verdict:
        """What the readings come to; nothing, and no candle either, when the clocks disagree."""
        now_ms = self._clock.now_ms()
        skew = skew_ms([each.date_ms for each in readings if each.date_ms is not None], now_ms)
        if skew is not None:
            self._round = None
            problem = f"the providers' clocks are {skew / 1000:+.0f} s from the Redis server's; set its clock right"
            return Verdict(agreed=None, refused=(), pending=survey.state.pending, problem=problem)
        return agree(
            readings,
            now_ms=now_ms,
            last=survey.newest,
            pending=survey.state.pending,
            quorum=self._quorum,
        )

    def _write(self, live: Tick | None, survey: _Survey) -> set[int]:
        """Write the price and the candles that the round has agreed on by now; the minutes settled."""
        candles = []
        if self._round is not None and self._round.usable:
            agreed = self._round.agreed(self._quorum)
            minutes = self._round.minutes & survey.unsettled & agreed.candles.keys()
            candles = [agreed.candles[minute] for minute in minutes - self._round.settled]
            self._round.settled.update(minutes)
        if live or candles:
            self._store.write([live] if live else [], candles)
        return {candle.start_ms for candle in candles}

    def _end_round(self, survey: _Survey) -> list[ProviderError]:
        """Enter into the ledger what a complete round left unsettled; its failures."""
        if self._round is None or not self._round.complete:
            return []
        ended, self._round = self._round, None
        left = (ended.minutes & survey.unsettled) - ended.settled
        offered = any(each.reach_ms for each in self._poller.providers)
        found = healing.unserved(left, ended.answers, ended.agreed(self._quorum), now_ms=survey.now_ms, offered=offered)
        passed = {minute for minute in survey.gaps if minute < window(survey.now_ms).start_ms}
        self._store.record_gaps(healing.again(found, survey.gaps), forget=(ended.settled | passed) & survey.gaps.keys())
        return ended.errors

    def _remember(
        self,
        survey: _Survey,
        verdict: Verdict,
        readings: Sequence[Reading],
        errors: Sequence[ProviderError],
    ) -> None:
        keys = {each.name: each.key_id for each in self._poller.providers}
        states = dict(survey.state.providers)
        for reading in readings:
            states[reading.provider] = pacing.answered(reading, keys[reading.provider], survey.now_ms)
        for error in errors:
            name = error.provider
            before = states.get(name, ProviderState())
            states[name] = pacing.failed(error, before, keys[name], survey.now_ms)
        self._store.remember(
            replace(
                survey.state,
                cadence_s=self._cadence_s or _cadence(survey),
                last_cycle_ms=survey.now_ms,
                pending=verdict.pending,
                simulated=self._simulated,
                providers={
                    name: states[name] for name in {*(r.provider for r in readings), *(e.provider for e in errors)}
                },
            )
        )


def _cadence(survey: _Survey) -> float:
    """How often single runs come, by the time since the last one: at least a minute (cron), at most an hour."""
    last_ms = survey.state.last_cycle_ms
    since_s = 0.0 if last_ms is None else (survey.now_ms - last_ms) / 1000
    return min(max(since_s, 60.0), 3600.0)


def _tick(verdict: Verdict) -> Tick | None:
    return Tick(verdict.agreed.time_ms, verdict.agreed.price) if verdict.agreed else None


def _account(
    survey: _Survey,
    verdict: Verdict,
    errors: Sequence[ProviderError],
    waiting: tuple[tuple[str, int, str], ...],
    settled: set[int],
    began: float,
) -> Cycle:
    agreed = verdict.agreed
    refused = [(each.provider, each.reason) for each in verdict.refused]
    refused += [(each.provider, each.problem) for each in errors]
    asked = bool(refused) or agreed is not None
    return Cycle(
        time_ms=survey.now_ms,
        stored=_tick(verdict),
        members=agreed.members if agreed else (),
        flag=agreed.flag if agreed else None,
        deviating=agreed.deviating if agreed else (),
        refused=tuple(refused),
        waiting=waiting,
        settled=len(settled),
        unsettled=len(survey.unsettled - settled),
        repaired=survey.repaired,
        problem=verdict.problem if asked or not waiting else None,
        took_ms=round((time.monotonic() - began) * 1000),
    )


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
