"""A round of candle requests: several providers are asked for the same spans, and their answers arrive over time."""

import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from btcts.domain.candle_agreement import AgreedCandles, Reach, agree_candles, find_stray, group_live_ticks
from btcts.domain.candles import candles_of
from btcts.domain.model import MINUTE_MS, Candles, Gap, Span, Tick
from btcts.errors import ProviderError
from btcts.system.calls import Wait

if TYPE_CHECKING:
    from btcts.providers.base import Provider

ReadTicks = Callable[[Span], Iterable[Tick]]

LEAST_NEAR = 3
"""With this many near a candle, all its fields were compared; of two providers only the closes are."""

BESIDE_MS = 15 * MINUTE_MS
"""Range of neighbours read around a minute that few providers have."""

BEHIND_MS = 15 * MINUTE_MS
"""An answer that ends more than this before the newest minute comes from a provider whose clock or data is late."""

LOOK_FOR_MS = 2 * MINUTE_MS
"""Maximum age of answers that may change settled minutes; rounds wait longer while Redis is away."""


@dataclass(frozen=True, slots=True)
class Question:
    """The subject of a round: the `minutes` to settle, and the settled minutes to check again, `looks`.

    Once checked, minutes before `reread_ms` (None: none) need no further routine check, and the providers in `back`
    have caught up on what they missed while they were away. The question was put at `asked_ms`; a `sparing` one
    goes to providers with bulky answers only when the others do not suffice.
    """

    minutes: frozenset[int]
    looks: frozenset[int] = frozenset()
    reread_ms: int | None = None
    back: frozenset[str] = frozenset()
    asked_ms: int = 0
    sparing: bool = False

    def is_outdated(self, now_ms: int) -> bool:
        """Tell whether answers are too old to change settled minutes: providers may say something else by now."""
        return now_ms - self.asked_ms > LOOK_FOR_MS


@dataclass(frozen=True, slots=True)
class RoundAnswers:
    """The answers and failures of a round at one moment.

    It is `complete` once every provider has answered or failed, or is no longer waited for. `agreements` are those
    worked out before, by the number of answers and the quorum.
    """

    question: Question
    answers: tuple[Candles, ...]
    errors: tuple[ProviderError, ...]
    complete: bool
    agreements: dict[tuple[int, int], AgreedCandles] = field(repr=False, compare=False)

    def find_covering(self) -> set[str]:
        """Return the providers that answered."""
        return {answer.provider for answer in self.answers}

    def find_asked(self) -> set[str]:
        """Return the providers that answered or failed."""
        return self.find_covering() | self.find_failing()

    def find_failing(self) -> set[str]:
        """Return the providers that failed, or whose answers end well before the newest minute that was asked for."""
        newest_ms = max(self.question.minutes | self.question.looks, default=0)
        reached_ms = {provider: covered.end_ms for provider, covered, _ in self.answers if covered}
        failed = {error.provider for error in self.errors}
        return failed | {name for name in self.find_covering() if newest_ms - reached_ms.get(name, 0) > BEHIND_MS}

    def agree(self, *, quorum: int = 1) -> AgreedCandles:
        """Return the agreement of the answers."""
        key = len(self.answers), quorum
        if key not in self.agreements:
            self.agreements[key] = agree_candles(self.answers, quorum=quorum)
        return self.agreements[key]


Jobs = Mapping[str, Future[list[Candles]]]
"""The answers to come, by provider."""


@dataclass(frozen=True, slots=True)
class Sparing:
    """Spare the `providers` whose answers are bulky: their `recent` answers count for the minutes that these cover.

    They are asked only when all others have answered or failed, and those answers are not `enough`.
    """

    providers: Sequence["Provider"]
    recent: Sequence[Candles]
    enough: Callable[[RoundAnswers], bool]


class Round:
    """A question put to several providers; `settled` are those of its minutes that are written already.

    Once all have answered or failed, `ask_more` returns the answers to come of further providers, which replace their
    `recent` ones.
    """

    def __init__(
        self,
        question: Question,
        jobs: Jobs,
        *,
        recent: Sequence[Candles] = (),
        ask_more: Callable[[RoundAnswers], Jobs] | None = None,
    ) -> None:
        self.question = question
        self.settled: frozenset[int] = frozenset()
        self._jobs = dict(jobs)
        self._recent = recent
        self._ask_more = ask_more
        self._closed = False
        self._told = False
        self._agreements: dict[tuple[int, int], AgreedCandles] = {}

    def listen(self) -> RoundAnswers:
        """Return a consistent snapshot of the answers so far; exceptions other than `ProviderError` propagate."""
        heard = self._collect()
        if self._ask_more is None or not heard.complete or self._closed:
            return heard
        ask_more, self._ask_more = self._ask_more, None
        self._jobs |= ask_more(heard)
        self._agreements = {}
        return self._collect()

    def _collect(self) -> RoundAnswers:
        closed = self._closed
        done = [job for job in self._jobs.values() if job.done()]
        answers = [answer for answer in self._recent if answer.provider not in self._jobs]
        errors: list[ProviderError] = []
        for job in done:
            exc = job.exception()
            if exc is None:
                answers += job.result()
            elif isinstance(exc, ProviderError):
                errors.append(exc)
            else:
                raise exc
        complete = closed or len(done) == len(self._jobs)
        return RoundAnswers(self.question, tuple(answers), tuple(errors), complete, self._agreements)

    def note_settled(self, minutes: Iterable[int]) -> None:
        """Note that these minutes are written."""
        self.settled |= self.question.minutes.intersection(minutes)

    def take_failures(self) -> tuple[ProviderError, ...]:
        """Return the failures of a complete round, on the first call only."""
        heard = self.listen()
        if self._told or not heard.complete:
            return ()
        self._told = True
        return heard.errors

    def wait(self, seconds: float, wait: Wait = wait) -> None:
        """Wait until the round is complete, for `seconds` at most."""
        until = time.monotonic() + seconds
        wait(self._jobs.values(), max(0.0, seconds))
        if self._ask_more and not self.listen().complete:
            wait(self._jobs.values(), max(0.0, until - time.monotonic()))

    def close(self) -> None:
        """Stop waiting for answers."""
        self._closed = True


@dataclass(frozen=True, slots=True)
class Ground:
    """The context for judging answers: the reach of providers, the time, the settled minutes and the stored ticks."""

    reach: Reach
    now_ms: int
    settled: Collection[int]
    read_ticks: ReadTicks


def judge(heard: RoundAnswers, ground: Ground, *, quorum: int) -> AgreedCandles:
    """Return the agreement of the answers of a complete round, checked against the store.

    A minute that few providers have is also judged by its stored neighbours. A candle without a majority is rejected
    when a live tick contradicts it.
    """
    agreed = heard.agree(quorum=quorum)
    if agreed.sparse:
        span = Span(min(agreed.sparse) - BESIDE_MS, max(agreed.sparse) + BESIDE_MS)
        stored = candles_of(ground.read_ticks(span))
        neighbours = {minute: candle for minute, candle in stored.items() if minute not in agreed.backing}
        agreed = agree_candles(heard.answers, quorum=quorum, settled=neighbours)
    weak = {
        minute
        for minute in agreed.candles.keys() & (heard.question.minutes | heard.question.looks)
        if not ground.reach.has_majority(agreed.backing[minute].near, minute, ground.now_ms)
    }
    if not weak:
        return agreed
    live = group_live_ticks(ground.read_ticks(Span(min(weak), max(weak) + MINUTE_MS)), ground.settled)
    return agreed.reject({minute for minute in weak if find_stray(agreed.candles[minute], live.get(minute, ()))})


def is_proven(heard: RoundAnswers, reach: Reach, *, quorum: int) -> bool:
    """Tell whether a majority stands behind a candle of each minute to settle, so that nobody else need be heard."""
    agreed, question = heard.agree(quorum=quorum), heard.question

    def is_minute_proven(minute: int) -> bool:
        near = agreed.backing[minute].near if minute in agreed.candles else ()
        return len(near) >= LEAST_NEAR and reach.has_majority(near, minute, question.asked_ms)

    return all(map(is_minute_proven, question.minutes))


def find_unproven(minutes: Iterable[int], agreed: AgreedCandles, reach: Reach, now_ms: int) -> dict[int, Gap]:
    """Return the ledger entries for the minutes whose agreed candle has no majority behind it."""
    found: dict[int, Gap] = {}
    for minute in minutes:
        backing = agreed.backing[minute] if minute in agreed.candles else None
        doubt = reach.find_doubt(backing, minute, now_ms) if backing else None
        if backing and doubt:
            found[minute] = Gap(doubt, 1, now_ms, tuple(sorted(backing.heard)))
    return found
