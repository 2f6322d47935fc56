"""Ask several providers at once without waiting for slow ones."""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, wait
from typing import TYPE_CHECKING, Self, TypeVar

from btcts.domain.model import Candles, Reading, Span
from btcts.errors import Problem, ProviderError, describe_unforeseen
from btcts.providers.rounds import Question, Round
from btcts.system.calls import StartThread, start_call, start_thread

if TYPE_CHECKING:
    from btcts.providers.base import Provider

T = TypeVar("T")

log = logging.getLogger(__name__)


class Poller:
    """Runs each call to a provider in its own daemon thread.

    Calls still running when the `with` block ends are abandoned, and ask for no further span.
    """

    def __init__(self, providers: Sequence["Provider"], *, start: StartThread = start_thread) -> None:
        self.providers = providers
        self._start = start
        self._asked: dict[str, Future[Reading]] = {}
        self._ended = threading.Event()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._ended.set()

    def latest(self, providers: Sequence["Provider"], *, within_s: float) -> tuple[list[Reading], list[ProviderError]]:
        """Return the prices that arrive in time, and the errors of the other providers."""
        until = time.monotonic() + within_s
        for provider in providers:
            job = self._asked.get(provider.name)
            if job is None or job.done():
                self._asked[provider.name] = self._begin(provider, provider.latest)
        jobs = {provider.name: self._asked[provider.name] for provider in providers}
        wait(jobs.values(), timeout=max(0.0, until - time.monotonic()))
        readings: list[Reading] = []
        errors: list[ProviderError] = []
        for name, job in jobs.items():
            if not job.done():
                late = f"no answer within {within_s:g} s"
                errors.append(ProviderError(name, Problem(late, "slow", late)))
                continue
            try:
                readings.append(job.result())
            except ProviderError as exc:
                errors.append(exc)
        return readings, errors

    def candles(self, providers: Sequence["Provider"], question: Question, spans: Sequence[Span]) -> Round:
        """Ask the providers for the candles of the spans, which cover the minutes of the question."""

        def ask(provider: "Provider") -> Future[list[Candles]]:
            return self._begin(provider, lambda: [provider.candles(span) for span in self._stop_at_exit(spans)])

        return Round(question, {provider.name: ask(provider) for provider in providers})

    def _stop_at_exit(self, spans: Sequence[Span]) -> Iterator[Span]:
        """Yield the first span, and the others until the `with` block ends."""
        return (span for number, span in enumerate(spans) if number == 0 or not self._ended.is_set())

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


def _wrap_failure(provider: "Provider", exc: Exception) -> ProviderError:
    log.debug("%s failed", provider.name, exc_info=exc)
    return ProviderError(provider.name, describe_unforeseen(exc))
