"""The price between two cycles, from the streams: at most one tick a second, and minutes settled from their trades.

Cycles decide whether it goes on: after one that doubted the clock or found no undisputed price, nothing is written
until the next.
"""

import logging
import time
from collections.abc import Collection, Iterable, Mapping, Sequence, Set
from concurrent.futures import Future, wait
from dataclasses import KW_ONLY, dataclass, field, replace
from typing import Any, Protocol

from btcts.domain.agreement import Past, Verdict, agree, find_objection
from btcts.domain.candle_agreement import Reach
from btcts.domain.clock import find_skew
from btcts.domain.codes import ProblemCode
from btcts.domain.healing import closed_minutes
from btcts.domain.model import THIN, Bounds, Candles, Reading, StreamState, Tick
from btcts.domain.tape import Tape
from btcts.domain.tapes import TapeCandle, Tapes
from btcts.domain.trades import StreamEvent
from btcts.errors import EmbeddedError, Problem, SpoolError, StoreError, describe_unforeseen
from btcts.services.collect.cycle import Asked, Progress, build_tick
from btcts.services.collect.spool import Spool
from btcts.services.collect.survey import Survey
from btcts.store import Store

TICK_MS = 1_000
"""Shortest time between two ticks."""

REPEAT_MS = 1_600
"""Time after which a price that has not changed is written again, so that readers see that it holds."""

SLICE_S = 0.25
"""Longest wait for trades before a look whether a tick or a minute is due."""

STEP_BACK_MS, LEAP_MS = 1_000, 10_000
"""A clock that goes back or leaps further than this was set, and the times on the tapes are wrong."""

log = logging.getLogger(__name__)


class Source(Protocol):
    """The open streams."""

    @property
    def contiguous(self) -> Mapping[str, bool]:
        """The providers that have a stream, and whether the numbers of their trades count 1, 2, 3 ..."""
        ...

    def take(self) -> Sequence[tuple[str, StreamEvent]]:
        """Return what has arrived since the last call, in order."""
        ...

    def wait(self, seconds: float) -> None:
        """Wait until a trade arrives, for `seconds` at most."""
        ...


@dataclass(frozen=True, slots=True)
class Basis:
    """The findings of the last cycle, on which the ticks until the next one rest.

    `polled` are the readings of the providers that were asked for a price, `configured` counts the price providers.
    Candles of the `settled` minutes stay, except those that rest on few providers. A `guest` settles no minute and
    moves no price. While Redis is `away`, prices go to the spool.
    """

    past: Past
    polled: tuple[Reading, ...]
    configured: int
    reach: Reach
    settled: Set[int]
    guest: bool
    away: bool


def build_basis(survey: Survey, asked: Asked, verdict: Verdict, progress: Progress) -> Basis | None:
    """Return what the ticks after a cycle rest on; None without an undisputed price."""
    agreed = verdict.agreed
    if agreed is None or (agreed.flag and asked.configured > 1):
        return None
    unsettled = survey.unsettled - progress.settled
    thin = {minute for minute, gap in {**survey.gaps, **progress.entered}.items() if gap.reason == THIN}
    return Basis(
        past=replace(verdict.past, last=build_tick(verdict)),
        polled=tuple(asked.prices.readings),
        configured=asked.configured,
        reach=survey.reach,
        settled=set(closed_minutes(survey.now_ms)) - unsettled - thin,
        guest=survey.guest,
        away=progress.away,
    )


@dataclass(eq=False)
class Live:
    """The streams of one collector, their tapes, and the ticks made from these.

    `able` counts the providers with candles, `quorum` is that of prices, `polled_ms` the age up to which a polled price
    counts beside streamed ones; `spool` keeps prices while Redis is away. Without `streams` nothing happens.
    """

    store: Store
    streams: Source | None
    _: KW_ONLY
    able: int
    quorum: int
    polled_ms: int
    spool: Spool | None = None
    _basis: Basis | None = field(default=None, init=False)
    _listened_ms: int = field(default=0, init=False)
    _listened_s: float = field(default=0.0, init=False)
    _tried_ms: int = field(default=0, init=False)
    _written: tuple[float, Sequence[Bounds]] | None = field(default=None, init=False)
    _settled: set[int] = field(default_factory=set, init=False)
    _failure: Problem | None = field(default=None, init=False)
    _tapes: Tapes = field(init=False)

    def __post_init__(self) -> None:
        contiguous = self.streams.contiguous if self.streams else {}
        tapes = [Tape(provider, contiguous=counts) for provider, counts in contiguous.items()]
        self._tapes = Tapes(tapes, able=self.able, quorum=self.quorum)

    # For the cycle

    def find_readings(self) -> list[Reading]:
        """Return the prices of the streams that have one."""
        return self._tapes.find_readings(self._listen())

    def find_bounds(self) -> list[Bounds]:
        """Return the bounds of the minutes that are not settled."""
        return self._tapes.find_bounds(self._listen())

    def find_awaited(self) -> frozenset[int]:
        """Return the minutes that the streams may still settle."""
        return self._tapes.find_awaited(self._listen())

    def compare(self, answers: Iterable[Candles]) -> None:
        """Compare the candles that providers publish with their trades."""
        for answer in answers:
            self._tapes.compare(answer)

    def take_settled(self) -> set[int]:
        """Return the minutes that were settled since the last call."""
        settled, self._settled = self._settled, set()
        return settled

    def take_failure(self) -> Problem | None:
        """Return what ended the ticks after the last cycle, once."""
        failure, self._failure = self._failure, None
        return failure

    def describe(self) -> Mapping[str, StreamState]:
        """Return the state of each stream."""
        return self._tapes.describe(self.store.clock.now_ms())

    def _listen(self) -> int:
        """Take in what has arrived, and return the time."""
        events = self.streams.take() if self.streams else ()
        now_ms = self.store.clock.now_ms()
        passed_ms, leapt_ms = now_ms - self._listened_ms, 1000 * (time.monotonic() - self._listened_s) + LEAP_MS
        if not -STEP_BACK_MS <= passed_ms <= leapt_ms:
            self._tapes.begin_anew()
        self._listened_ms, self._listened_s = now_ms, time.monotonic()
        for provider, event in events:
            self._tapes.take(provider, event)
        self._tapes.forget_old(now_ms)
        return now_ms

    # Between and within cycles

    def go_on(self, basis: Basis | None) -> None:
        """Go on with what a cycle has found; None stops the ticks until the next one."""
        self._basis, self._written = basis, None
        self._tried_ms = self.store.clock.now_ms()

    def pass_time(self, seconds: float) -> None:
        """Wait for a moment, `seconds` at most, and write what is due then; without streams just wait."""
        if self.streams is None:
            self.store.clock.sleep(seconds)
            return
        now_ms = self.store.clock.now_ms()
        since_s = (now_ms - self._tried_ms) / 1000
        if 0 <= since_s < TICK_MS / 1000:
            longest_s = SLICE_S if self._tapes.find_awaited(now_ms) else seconds
            self.store.clock.sleep(min(seconds, longest_s, TICK_MS / 1000 - since_s))
        else:
            self.streams.wait(min(seconds, SLICE_S))
        self.tick()

    def wait_for(self, jobs: Collection[Future[Any]], seconds: float) -> None:
        """Wait until all jobs are done, for `seconds` at most, and write ticks meanwhile."""
        if self.streams is None:
            wait(jobs, timeout=max(0.0, seconds))
            return
        until = time.monotonic() + seconds
        while (left_s := until - time.monotonic()) > 0 and wait(jobs, timeout=min(SLICE_S, left_s)).not_done:
            self.tick()

    def tick(self) -> None:
        """Write what can be settled, and the price of this moment unless that was done a moment ago."""
        try:
            now_ms = self._listen()
            if self._basis:
                self._write(self._basis, now_ms, due=abs(now_ms - self._tried_ms) >= TICK_MS)
        except Exception as exc:
            log.debug("a tick failed", exc_info=exc)
            self._basis, self._failure = None, Problem(describe_unforeseen(exc), ProblemCode.UNEXPECTED)

    def _write(self, basis: Basis, now_ms: int, *, due: bool) -> None:
        streamed = self._tapes.find_readings(now_ms)
        if find_skew([reading.date_ms for reading in streamed if reading.date_ms is not None], now_ms) is not None:
            return
        price = self._agree(streamed, basis, now_ms) if due else None
        bounds = [] if basis.guest else self._tapes.find_bounds(now_ms)
        settles = not (basis.guest or basis.away)
        settleable = self._tapes.find_settleable(now_ms, basis.reach, basis.settled) if settles else []
        known = self._written == (price, bounds) and now_ms - self._tried_ms < REPEAT_MS
        if (price is None or known) and not settleable:
            return
        if due:
            self._tried_ms = now_ms
        live = [Tick(now_ms, price)] if price is not None else []
        if not basis.away and self._store_all(live, settleable, bounds, now_ms):
            self._written = None if price is None else (price, bounds)
        elif self.spool is not None:
            self._keep(self.spool, live)

    def _agree(self, streamed: Sequence[Reading], basis: Basis, now_ms: int) -> float | None:
        """Return the price that streams and recent polls agree on without a dispute."""
        streamed = [reading for reading in streamed if not find_objection(reading, now_ms)]
        if not streamed:
            return None
        names = {reading.provider for reading in streamed}
        polled = [
            reading
            for reading in basis.polled
            if reading.provider not in names and 0 <= now_ms - reading.observed_ms <= self.polled_ms
        ]
        verdict = agree(
            [*streamed, *polled], now_ms=now_ms, past=basis.past, configured=basis.configured, quorum=self.quorum
        )
        agreed = verdict.agreed
        return agreed.price if agreed and (not agreed.flag or basis.configured == 1) else None

    def _store_all(
        self, live: Sequence[Tick], settleable: Sequence[TapeCandle], bounds: Sequence[Bounds], now_ms: int
    ) -> bool:
        """Store all of it at once; after a failure (False) prices go to the spool until the next cycle."""
        try:
            with self.store.without_waiting():
                candles = [settled.candle for settled in settleable]
                self.store.write(live, candles, bounds=bounds, wary=True)
        except (StoreError, EmbeddedError) as exc:
            log.debug("a tick was not stored", exc_info=exc)
            self._basis = self._basis and replace(self._basis, away=True)
            return False
        self._tapes.note_settled(settleable, now_ms)
        self._settled.update(settled.candle.start_ms for settled in settleable)
        return True

    def _keep(self, spool: Spool, live: Iterable[Tick]) -> None:
        for tick in live:
            try:
                spool.keep(tick)
            except SpoolError as exc:
                log.debug("a tick was not spooled", exc_info=exc)
