"""Ask those providers that may be asked now, all at once, without waiting for slow ones, and learn from the answers."""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, wait
from typing import TYPE_CHECKING, NamedTuple, Self, TypeVar

from btcts.domain.candle_agreement import Reach
from btcts.domain.clock import find_skew, measure_skew
from btcts.domain.layout import FUTURE_SLACK_MS, HOUR
from btcts.domain.model import BUDGET, DAY_MS, LONGEST_WAIT_MS, Candles, ProviderState, Reading, Span, Waiting
from btcts.errors import Problem, ProviderError, ProviderLimited, ProviderStopped, describe_unforeseen
from btcts.providers.rounds import Jobs, Question, Round, RoundAnswers, Sparing
from btcts.system.calls import KeptThreads, StartThread, Wait, start_call

if TYPE_CHECKING:
    from btcts.providers.base import Provider

T = TypeVar("T")

PRICES_S = 5.0
"""Time limit for prices that are only requested for the dates of their answers."""

STOPPED_FOR_MS = DAY_MS
"""The wait after an error that only the user can fix; a new API key ends it at once."""

ASKED_AGAIN_MS = DAY_MS
"""A waiting provider is asked again after this long: the reason may be gone, and CoinMarketCap reports the credits left
for free."""

log = logging.getLogger(__name__)


class Prices(NamedTuple):
    """The prices that arrived in time, and the errors of the other providers."""

    readings: Sequence[Reading]
    errors: Sequence[ProviderError]

    def measure_skew(self, now_ms: int) -> int | None:
        """Return how far the clocks of most providers are ahead of ours, in ms; None without a majority."""
        return measure_skew(self._dates, now_ms)

    def find_skew(self, now_ms: int, *, poisoned: bool) -> int | None:
        """Return this lead if it is too large to write anything, else None.

        In a `poisoned` store, where a sample lies in the future, a single clock decides whether ours is wrong.
        """
        return find_skew(self._dates, now_ms, least=1 if poisoned else 2)

    @property
    def _dates(self) -> list[int]:
        return [reading.date_ms for reading in self.readings if reading.date_ms is not None]


class Poller:
    """The providers of one run: who may be asked now, what they answer, and what follows for the next call.

    Each call runs in a daemon thread of its own, which may have served earlier ones. Calls still running when the
    `with` block ends are abandoned, and ask for no further span.
    """

    def __init__(self, providers: Sequence["Provider"], *, start: StartThread | None = None) -> None:
        self.providers = providers
        self._threads = KeptThreads()
        self._start = start or self._threads.start
        self._asked: dict[str, Future[Reading]] = {}
        self._ended = threading.Event()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._ended.set()
        self._threads.end()

    @property
    def simulated(self) -> bool:
        """True when any of the prices is made up."""
        return any(provider.name == "simulated" for provider in self.providers)

    @property
    def able(self) -> list["Provider"]:
        """The providers with candles."""
        return [provider for provider in self.providers if provider.reach_ms]

    @property
    def reach(self) -> Reach:
        """The reach of the providers' candles."""
        return Reach({provider.name: provider.reach_ms for provider in self.providers})

    def find_full_reach(self) -> list[str]:
        """Return the names of the providers whose candles reach back through the whole window."""
        longest_ms = (HOUR.entries + 1) * HOUR.bucket_ms
        return [provider.name for provider in self.providers if provider.reach_ms >= longest_ms]

    def split(
        self, states: Mapping[str, ProviderState], now_ms: int, *, able: bool = False
    ) -> tuple[list["Provider"], Waiting]:
        """Return the providers that may be asked, and those that must wait; with `able` only those with candles."""
        return split(self.able if able else self.providers, states, now_ms)

    def learn(self, states: Mapping[str, ProviderState], heard: Prices, now_ms: int) -> dict[str, ProviderState]:
        """Return the new states of the providers that answered or failed, to be told to other processes."""
        keys = {provider.name: provider.key_id for provider in self.providers}
        return learn_states(states, heard.readings, heard.errors, keys, now_ms)

    def ask_prices(self, providers: Sequence["Provider"], *, within_s: float = PRICES_S, wait: Wait = wait) -> Prices:
        """Return the prices that arrive in time, and the errors of the other providers."""
        until = time.monotonic() + within_s
        for provider in providers:
            job = self._asked.get(provider.name)
            if job is None or (job.done() and not _has_limit(job)):
                self._asked[provider.name] = self._begin(provider, provider.latest)
        jobs = {provider.name: self._asked[provider.name] for provider in providers}
        wait(jobs.values(), max(0.0, until - time.monotonic()))
        readings: list[Reading] = []
        errors: list[ProviderError] = []
        for name, job in jobs.items():
            if not job.done():
                late = f"no answer within {within_s:g} s"
                errors.append(ProviderError(name, Problem(late, "slow", late)))
                continue
            del self._asked[name]
            try:
                readings.append(job.result())
            except ProviderError as exc:
                errors.append(exc)
        return Prices(readings, errors)

    def ask_candles(
        self,
        providers: Sequence["Provider"],
        question: Question,
        spans: Sequence[Span],
        sparing: Sparing | None = None,
    ) -> Round:
        """Ask the providers for the candles of the spans, which cover the minutes of the question."""

        def ask(some: Sequence["Provider"]) -> Jobs:
            return {provider.name: self._begin_candles(provider, spans) for provider in some}

        if sparing is None:
            return Round(question, ask(providers))

        def ask_spared(heard: RoundAnswers) -> Jobs:
            return {} if sparing.enough(heard) else ask(sparing.providers)

        return Round(question, ask(providers), recent=sparing.recent, ask_more=ask_spared)

    def _begin_candles(self, provider: "Provider", spans: Sequence[Span]) -> Future[list[Candles]]:
        if provider.bulky and spans:  # each of its answers has all of them
            spans = [Span(spans[0].start_ms, spans[-1].end_ms)]
        ended = self._ended.is_set
        return self._begin(
            provider, lambda: [provider.candles(span) for number, span in enumerate(spans) if not (number and ended())]
        )

    def _begin(self, provider: "Provider", work: Callable[[], T]) -> Future[T]:
        """Start a call to a provider; any exception counts as that provider's failure."""

        def call() -> T:
            try:
                return work()
            except ProviderError as exc:
                exc.__cause__ = exc.__context__ = None  # their frames would keep the answer alive, which may be large
                raise exc.with_traceback(None) from None
            except Exception as exc:
                raise _wrap_failure(provider, exc) from exc

        lost = ProviderError(provider.name, describe_unforeseen(MemoryError()))
        try:
            return start_call(call, start=self._start, lost=lost)
        except (RuntimeError, MemoryError) as exc:
            failed: Future[T] = Future()
            failed.set_exception(_wrap_failure(provider, exc))
            return failed


def _has_limit(job: Future[Reading]) -> bool:
    """Tell whether an answer that came too late to count says not to ask again yet."""
    failure = job.exception()
    return isinstance(failure, ProviderLimited | ProviderStopped) if failure else bool(job.result().not_before_ms)


def _wrap_failure(provider: "Provider", exc: Exception) -> ProviderError:
    log.debug("%s failed", provider.name, exc_info=exc)
    return ProviderError(provider.name, describe_unforeseen(exc))


def split(
    providers: Sequence["Provider"], states: Mapping[str, ProviderState], now_ms: int
) -> tuple[list["Provider"], tuple[tuple[str, int, str], ...]]:
    """Return the providers that may be asked, and name, end of the wait (ms) and reason for the others."""
    ready = []
    waiting = []
    for provider in providers:
        state = states.get(provider.name, ProviderState())
        if _is_waiting(state, now_ms) and state.key == provider.key_id:
            waiting.append((provider.name, state.not_before_ms, state.why))
        else:
            ready.append(provider)
    return ready, tuple(waiting)


def _is_waiting(state: ProviderState, now_ms: int) -> bool:
    """Tell whether the provider must not be asked yet."""
    if state.said_ms > now_ms + FUTURE_SLACK_MS:  # the clock was set back since
        return False
    recent = not state.said_ms or now_ms < state.said_ms + ASKED_AGAIN_MS
    return recent and now_ms < state.not_before_ms <= now_ms + LONGEST_WAIT_MS


def note_answer(reading: Reading, key_id: str, now_ms: int) -> ProviderState:
    """Return the state of a provider that has answered."""
    budget = reading.not_before_ms is not None
    return ProviderState(
        not_before_ms=min(reading.not_before_ms or 0, now_ms + LONGEST_WAIT_MS),
        why=BUDGET if budget else "",
        answered_ms=now_ms,
        credits_left=reading.credits_left,
        key=key_id,
        said_ms=now_ms,
    )


def note_failure(error: ProviderError, before: ProviderState, key_id: str, now_ms: int) -> ProviderState:
    """Return the state of a provider that has failed; a plain failure is retried in the next cycle."""
    until_ms = 0
    if isinstance(error, ProviderLimited):
        until_ms = min(error.until_ms, now_ms + LONGEST_WAIT_MS)
    elif isinstance(error, ProviderStopped):
        until_ms = now_ms + STOPPED_FOR_MS
    return ProviderState(
        not_before_ms=until_ms,
        why=error.problem if until_ms else "",
        answered_ms=before.answered_ms,
        error=error.problem,
        credits_left=before.credits_left,
        key=key_id,
        said_ms=now_ms,
        cause=getattr(error.problem, "cause", ""),
        reason=getattr(error.problem, "why", ""),
    )


def learn_states(
    known: Mapping[str, ProviderState],
    readings: Iterable[Reading],
    errors: Iterable[ProviderError],
    keys: Mapping[str, str],
    now_ms: int,
) -> dict[str, ProviderState]:
    """Return the states of the providers that answered or failed, by name; `keys` has the ids of their API keys."""
    heard = {reading.provider: note_answer(reading, keys[reading.provider], now_ms) for reading in readings}
    for error in errors:
        before = heard.get(error.provider) or known.get(error.provider, ProviderState())
        heard[error.provider] = note_failure(error, before, keys[error.provider], now_ms)
    return heard
