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
from btcts.domain.clock import describe_skew
from btcts.domain.model import LOOKS, MINUTE_MS, Candle, Candles, Gap, Span
from btcts.errors import ProviderError, StoreError
from btcts.providers.poller import Poller, Prices
from btcts.providers.rounds import Ground, Question, RoundAnswers, find_unproven, judge
from btcts.services.backfill.plan import Minutes, Plan, load_ticks
from btcts.store import Store

if TYPE_CHECKING:
    from btcts.providers.base import Provider

PATIENCE_S = 90.0
"""Longest wait for the candles of a chunk; providers answer or fail within their own timeout, at most 60 s."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """The result of one part of the plan, which `settled` some of its `minutes`.

    `sources` are the providers that answered, or the file; `dropped` counts the ticks that were replaced, `gaps` the
    minutes that remain unsettled, by reason; `failed` has the problem of each provider that failed. `disputed` has the
    candles of each minute that the providers do not agree on, by provider; None is one that saw no trades.
    """

    span: Span
    minutes: int
    settled: int = 0
    sources: tuple[str, ...] = ()
    dropped: int = 0
    gaps: Mapping[str, int] = field(default_factory=dict)
    failed: Mapping[str, str] = field(default_factory=dict)
    disputed: Mapping[int, Mapping[str, Candle | None]] = field(default_factory=dict)


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
    plan: Plan, store: Store, poller: Poller, *, quorum: int = 1, configured: Reach | None = None
) -> Iterator[Chunk]:
    """Ask the providers chunk by chunk, and settle what they agree on.

    Where no collector has said which ones it asks, it counts as asking all those `configured` (None: the poller's).
    A provider that says to wait is not asked again; when none is left, the run ends. Minutes that could not be settled
    enter the ledger of gaps, except minutes of the past that a collector will never ask for.

    Raises:
        StoreError: the clocks of the providers contradict that of Redis, or Redis does not do what is needed.
    """
    if not plan.requests or not plan.chunks:
        return
    providers = _Providers(store, poller, configured or poller.reach)
    failures = providers.compare_clocks()
    writer = _Writer(plan, store)
    for minutes in plan.chunks:
        heard = providers.ask(minutes)
        agreed = writer.judge(heard, providers.reach, quorum=quorum)
        writer.enter_unproven(minutes, agreed, providers.reach)
        chunk = writer.write(minutes, [agreed.candles[minute] for minute in minutes if minute in agreed.candles])
        yield replace(
            chunk,
            sources=tuple(dict.fromkeys(answer.provider for answer in heard.answers if answer.covered)),
            gaps=writer.enter_gaps(minutes, heard.answers, agreed),
            failed={error.provider: error.problem for error in (*failures, *heard.errors)},
            disputed=_list_disputed(sorted(agreed.disputed.intersection(minutes)), heard.answers),
        )
        failures = ()
        if not providers.find_ready():
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


def _list_disputed(minutes: Sequence[int], answers: Sequence[Candles]) -> dict[int, dict[str, Candle | None]]:
    """Return the candles of these minutes by provider; None for one that covers a minute without a candle."""
    found: dict[int, dict[str, Candle | None]] = {minute: {} for minute in minutes}
    for answer in answers:
        candles = {candle.start_ms: candle for candle in answer.candles}
        for minute in minutes:
            if answer.covered and minute in answer.covered:
                found[minute][answer.provider] = candles.get(minute)
    return found


class _Providers:
    """The providers of one run; what their answers teach about the next call is told to Redis at once."""

    def __init__(self, store: Store, poller: Poller, configured: Reach) -> None:
        self._store = store
        self._poller = poller
        self._clock = store.clock
        state = store.state()
        self.reach = Reach(state.configured) if state.configured else configured
        self._states = dict(state.providers)

    def find_ready(self) -> list["Provider"]:
        """Return the providers that have candles and may be asked now."""
        return self._poller.split(self._states, self._clock.now_ms(), able=True)[0]

    def compare_clocks(self) -> Sequence[ProviderError]:
        """Ask each provider for its price once; return the failures.

        Raises:
            StoreError: the dates of the answers contradict Redis' clock.
        """
        prices = self._poller.ask_prices(self.find_ready())
        self._learn(prices)
        skew_ms = prices.find_skew(self._clock.now_ms(), poisoned=False)
        if skew_ms is not None:
            raise StoreError(f"{describe_skew(skew_ms, self._clock.source)}; nothing was written")
        return prices.errors

    def ask(self, minutes: Minutes) -> RoundAnswers:
        """Ask the ready providers for the minutes."""
        span = Span(minutes[0], minutes[-1] + MINUTE_MS)
        asked = self._poller.ask_candles(self.find_ready(), Question(frozenset(minutes)), [span])
        asked.wait(PATIENCE_S)
        asked.close()
        heard = asked.listen()
        self._learn(Prices([], heard.errors))
        return heard

    def _learn(self, heard: Prices) -> None:
        learned = self._poller.learn(self._states, heard, self._clock.now_ms())
        self._states |= learned
        if learned:
            self._store.tell(learned, simulated=self._poller.simulated)


class _Writer:
    """Writes to the store as the plan sees it: for old prices, their end counts as the present."""

    def __init__(self, plan: Plan, store: Store) -> None:
        self._plan = plan
        self._clock = store.clock
        self._store = store.as_of(plan.kept.end_ms) if plan.historical else store
        self._known: Mapping[int, Gap] = {}
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

    def judge(self, heard: RoundAnswers, reach: Reach, *, quorum: int) -> AgreedCandles:
        """Return the agreement of the answers.

        Unless ticks are overwritten, it is checked against those that are stored and the disputes that are known, and
        minutes that a collector has settled meanwhile are left to it.
        """
        if self._plan.overwrite:
            return heard.agree(quorum=quorum)
        now_ms, settled = self._clock.now_ms(), self._store.settled(heard.question.minutes)
        agreed = judge(heard, Ground(reach, now_ms, settled, self._store.ticks), quorum=quorum)
        left = {minute: candle for minute, candle in agreed.candles.items() if minute not in settled}
        agreed = replace(agreed, candles=left)
        if self._plan.historical:
            return agreed
        return agreed.reject(healing.find_contested(agreed, self._store.gaps(), reach, now_ms, complete=True))

    def enter_unproven(self, minutes: Minutes, agreed: AgreedCandles, reach: Reach) -> None:
        """Enter the minutes that will rest on few providers into the ledger, before they are written."""
        if not self._plan.historical:
            self._known = self._store.gaps()
            self._unproven = find_unproven(minutes, agreed, reach, self._clock.now_ms())
            self._store.record_gaps(self._unproven)

    def enter_gaps(self, minutes: Minutes, answers: Sequence[Candles], agreed: AgreedCandles) -> Mapping[str, int]:
        """Enter the minutes that remain unsettled into the ledger, and count them by reason.

        A settled minute that was not written now keeps its entry: its candle is as doubtful as before. An entry that is
        new stays, as another process may have written that minute again.
        """
        left = set(minutes) - self._store.settled(minutes)
        found = healing.find_unserved(left, answers, agreed, now_ms=self._clock.now_ms(), offered=True)
        if not self._plan.historical:
            known = self._store.gaps()
            written = agreed.candles.keys() - self._unproven.keys()
            same = {minute: gap for minute, gap in known.items() if gap == self._known.get(minute)}
            stale = {minute for minute, gap in same.items() if minute in written or gap.reason not in LOOKS}
            forgotten = stale.intersection(minutes) - left - self._unproven.keys()
            entries = {**self._unproven, **healing.count_again(found, known)}  # a collector may have removed some
            self._store.record_gaps(entries, forget=forgotten)
            self._store.release_carried(found)
        return Counter(gap.reason for gap in found.values())

    def forget_gaps(self, minutes: Minutes) -> None:
        """Take the minutes out of the ledger."""
        self._store.record_gaps({}, forget=self._store.gaps().keys() & set(minutes))

    def _check(self) -> None:
        """Repair deviations from the layout.

        Raises:
            StoreError: a later tick has appeared, next to which these minutes cannot be written.
        """
        inspection = self._store.inspect()
        if inspection.poisoned:
            raise StoreError(
                f"{self._store.where} was given a price of a later time meanwhile, beside which these have no place; "
                f"end btcts collect there, or use {self._store.elsewhere}"
            )
        if inspection.faults:
            self._store.repair(inspection)
