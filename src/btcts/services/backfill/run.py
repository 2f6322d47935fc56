"""`backfill`: settle minutes by hand, from the candles of providers or of a file, chunk by chunk.

Each chunk is written before the next one starts, so that an interruption loses at most the current one.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePath
from typing import TYPE_CHECKING

from btcts.domain import healing
from btcts.domain.candle_agreement import AgreedCandles, Reach
from btcts.domain.clock import Clock
from btcts.domain.model import MINUTE_MS, Candle, Candles, Gap, Reading, Span
from btcts.domain.skew import find_skew
from btcts.errors import ProviderError, StoreError
from btcts.providers import pacing
from btcts.providers.polling import Poller
from btcts.providers.rounds import Ground, Question, Round, RoundAnswers, find_unproven, judge
from btcts.services.backfill.plan import Minutes, Plan, is_simulated, load_ticks
from btcts.store import Store

if TYPE_CHECKING:
    from btcts.providers.base import Provider

PRICE_S = 5.0
"""Time limit for the prices whose dates are used to compare the providers' clocks with ours."""

PATIENCE_S = 90.0
"""Longest wait for the candles of a chunk; providers answer or fail within their own timeout, at most 60 s."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """The result of one part of the plan, which `settled` some of its `minutes`.

    `sources` are the providers that answered, or the file; `dropped` counts the ticks that were replaced, `gaps` the
    minutes that remain unsettled, by reason; `failed` has the problem of each provider that failed.
    """

    span: Span
    minutes: int
    settled: int = 0
    sources: tuple[str, ...] = ()
    dropped: int = 0
    gaps: Mapping[str, int] = field(default_factory=dict)
    failed: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Summary:
    """The result of all completed chunks; `unasked` counts the remaining minutes of the plan."""

    minutes: int
    settled: int
    unasked: int
    sources: tuple[str, ...]
    dropped: int
    gaps: Mapping[str, int]
    failed: Mapping[str, str]

    @property
    def in_vain(self) -> bool:
        """True when no provider delivered anything, or none could be asked."""
        return not self.sources and (bool(self.failed) or 0 < self.minutes == self.unasked)


def sum_chunks(plan: Plan, chunks: Sequence[Chunk]) -> Summary:
    """Sum up the completed chunks of a plan."""
    gaps: Counter[str] = Counter()
    for chunk in chunks:
        gaps.update(chunk.gaps)
    return Summary(
        minutes=len(plan.minutes),
        settled=sum(chunk.settled for chunk in chunks),
        unasked=len(plan.minutes) - sum(chunk.minutes for chunk in chunks),
        sources=tuple(dict.fromkeys(name for chunk in chunks for name in chunk.sources)),
        dropped=sum(chunk.dropped for chunk in chunks),
        gaps=dict(gaps),
        failed={name: why for chunk in chunks for name, why in chunk.failed.items()},
    )


def settle_from_providers(
    plan: Plan, store: Store, poller: Poller, clock: Clock, *, quorum: int = 1
) -> Iterator[Chunk]:
    """Ask the providers chunk by chunk, and settle what they agree on.

    A provider that says to wait is not asked again; when none is left, the run ends. Minutes that could not be settled
    enter the ledger of gaps, except minutes of the past that a collector will never ask for.

    Raises:
        StoreError: the clocks of the providers contradict that of Redis, or Redis does not do what is needed.
    """
    if not plan.requests or not plan.chunks:
        return
    panel = _Panel(store, poller, clock)
    panel.compare_clocks()
    writer = _Writer(plan, store)
    for minutes in plan.chunks:
        asked, heard = panel.ask(minutes)
        agreed = writer.judge(asked, heard, panel.reach, now_ms=clock.now_ms(), quorum=quorum)
        writer.enter_unproven(minutes, agreed, panel.reach, now_ms=clock.now_ms())
        chunk = writer.write(minutes, [agreed.candles[minute] for minute in minutes if minute in agreed.candles])
        yield replace(
            chunk,
            sources=tuple(dict.fromkeys(answer.provider for answer in heard.answers if answer.covered)),
            gaps=writer.enter_gaps(minutes, heard.answers, agreed, now_ms=clock.now_ms()),
            failed=panel.take_failures(),
        )
        if not panel.find_ready():
            return


def settle_from_file(plan: Plan, store: Store) -> Iterator[Chunk]:
    """Settle the minutes of the file.

    Raises:
        StoreError: Redis does not do what is needed.
    """
    if not plan.file or not plan.candles:
        return
    store.tell({}, simulated=False)
    writer = _Writer(plan, store)
    for minutes in plan.chunks:
        chunk = writer.write(minutes, plan.candles)
        writer.forget_gaps(minutes)
        yield replace(chunk, sources=(PurePath(plan.file.name).name,))


class _Panel:
    """The providers of one run; their states are recorded in Redis."""

    def __init__(self, store: Store, poller: Poller, clock: Clock) -> None:
        self._store = store
        self._poller = poller
        self._clock = clock
        state = store.state()
        self.reach = Reach(state.configured or {provider.name: provider.reach_ms for provider in poller.providers})
        self._states = dict(state.providers)
        self._failures: dict[str, str] = {}

    def find_ready(self) -> list["Provider"]:
        """Return the providers that have candles and may be asked now."""
        able = [provider for provider in self._poller.providers if provider.reach_ms]
        return pacing.split(able, self._states, self._clock.now_ms())[0]

    def compare_clocks(self) -> None:
        """Ask each provider for its price once, and raise `StoreError` when their dates contradict Redis' clock."""
        readings, errors = self._poller.latest(self.find_ready(), within_s=PRICE_S)
        self._note(errors, readings)
        dates = [reading.date_ms for reading in readings if reading.date_ms is not None]
        skew = find_skew(dates, self._clock.now_ms())
        if skew is not None:
            raise StoreError(
                f"the providers' clocks are {skew / 1000:+.0f} s from that of {self._store.where}; "
                "set it right, nothing was written"
            )

    def ask(self, minutes: Minutes) -> tuple[Round, RoundAnswers]:
        """Ask the ready providers for the minutes."""
        span = Span(minutes[0], minutes[-1] + MINUTE_MS)
        asked = self._poller.candles(self.find_ready(), Question(frozenset(minutes)), [span])
        asked.wait(PATIENCE_S)
        asked.close()
        heard = asked.listen()
        self._note(heard.errors)
        return asked, heard

    def take_failures(self) -> dict[str, str]:
        """Return the failures since the last call, by provider."""
        failures, self._failures = self._failures, {}
        return failures

    def _note(self, errors: Sequence[ProviderError], readings: Sequence[Reading] = ()) -> None:
        keys = {provider.name: provider.key_id for provider in self._poller.providers}
        heard = pacing.learn_states(self._states, readings, errors, keys, self._clock.now_ms())
        self._states |= heard
        self._failures |= {error.provider: error.problem for error in errors}
        if heard:
            self._store.tell(heard, simulated=is_simulated(self._poller.providers))


class _Writer:
    """Writes to the store as the plan sees it: for old prices, their end counts as the present."""

    def __init__(self, plan: Plan, store: Store) -> None:
        self._plan = plan
        self._store = store.as_of(plan.kept.end_ms) if plan.historical else store
        self._unproven: Mapping[int, Gap] = {}

    def write(self, minutes: Minutes, candles: Sequence[Candle]) -> Chunk:
        """Store the candles of these minutes."""
        self._check()
        dropped: list[int] = []
        if candles and self._plan.overwrite:
            dropped = [tick.time_ms for tick in load_ticks(self._store, [candle.start_ms for candle in candles])]
            self._store.rebuild(candles=candles, dropped=frozenset(dropped))
        elif candles:
            self._store.write([], candles)
        return Chunk(Span(minutes[0], minutes[-1] + MINUTE_MS), len(minutes), len(candles), dropped=len(dropped))

    def judge(self, asked: Round, heard: RoundAnswers, reach: Reach, *, now_ms: int, quorum: int) -> AgreedCandles:
        """Return the agreement of the answers, checked against the stored ticks unless these are overwritten."""
        if self._plan.overwrite:
            return asked.agree(heard, quorum=quorum)
        minutes = asked.question.minutes
        settled = self._store.settled(minutes)
        return judge(asked, heard, Ground(reach, now_ms, settled, self._store.ticks), quorum=quorum)

    def enter_unproven(self, minutes: Minutes, agreed: AgreedCandles, reach: Reach, *, now_ms: int) -> None:
        """Enter the minutes that will rest on few providers into the ledger, before they are written."""
        if not self._plan.historical:
            self._unproven = find_unproven(minutes, agreed, reach, now_ms)
            self._store.record_gaps(self._unproven)

    def enter_gaps(
        self, minutes: Minutes, answers: Sequence[Candles], agreed: AgreedCandles, *, now_ms: int
    ) -> Mapping[str, int]:
        """Enter the minutes that remain unsettled into the ledger, and count them by reason."""
        left = set(minutes) - self._store.settled(minutes)
        found = healing.find_unserved(left, answers, agreed, now_ms=now_ms, offered=True)
        if not self._plan.historical:
            known = self._store.gaps()
            forgotten = known.keys() & set(minutes) - left - self._unproven.keys()
            self._store.record_gaps(healing.count_again(found, known), forget=forgotten)
        return Counter(gap.reason for gap in found.values())

    def forget_gaps(self, minutes: Minutes) -> None:
        """Take the minutes out of the ledger."""
        self._store.record_gaps({}, forget=self._store.gaps().keys() & set(minutes))

    def _check(self) -> None:
        """Repair deviations from the layout.

        Raises:
            StoreError: a later tick has appeared, next to which these minutes cannot be written.
        """
        self._store.wait_for_rebuild()
        inspection = self._store.inspect()
        if inspection.poisoned:
            raise StoreError(
                f"{self._store.where} was given a price of a later time meanwhile, beside which these have no place; "
                f"end btcts collect there, or use {self._store.elsewhere}"
            )
        if inspection.faults:
            self._store.repair(inspection)
