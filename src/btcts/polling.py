"""Asking several providers at once; a slow one is left behind, never waited for."""

import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from types import TracebackType
from typing import TYPE_CHECKING, Self

from btcts.agreement import AgreedCandles, agree_candles
from btcts.errors import ProviderError
from btcts.model import Candles, Reading, Span

if TYPE_CHECKING:
    from btcts.providers.base import Provider


class Round:
    """The same spans asked of several providers; answers come in while the caller does other things.

    `minutes` are those that the caller wants, `settled` those of them that it has written already, `reread` others that
    it looks at once more, up to `reread_ms` (None: it does not); `enough` answers make a good median.
    """

    enough = 3

    def __init__(self, minutes: Sequence[int], jobs: dict[str, Future[list[Candles]]]) -> None:
        self.minutes = frozenset(minutes)
        self.reread: frozenset[int] = frozenset()
        self.reread_ms: int | None = None
        self.settled: set[int] = set()
        self._jobs = jobs
        self._agreed: tuple[int, AgreedCandles] | None = None
        self._told = False

    @property
    def complete(self) -> bool:
        """Whether every provider has answered or failed."""
        return all(job.done() for job in self._jobs.values())

    @property
    def usable(self) -> bool:
        """Whether the answers so far may settle minutes: all are in, or enough for a good median."""
        return self.complete or len({each.provider for each in self.answers}) >= self.enough

    @property
    def answers(self) -> list[Candles]:
        """The answers so far."""
        done = [job for job in self._jobs.values() if job.done() and job.exception() is None]
        return [answer for job in done for answer in job.result()]

    @property
    def errors(self) -> list[ProviderError]:
        """The failures so far; anything but a `ProviderError` is raised."""
        found = []
        for job in self._jobs.values():
            exc = job.exception() if job.done() else None
            if isinstance(exc, ProviderError):
                found.append(exc)
            elif exc is not None:
                raise exc
        return found

    def failures(self) -> list[ProviderError]:
        """The failures of a complete round, told once."""
        if self._told or not self.complete:
            return []
        self._told = True
        return self.errors

    def agreed(self, quorum: int) -> AgreedCandles:
        """What the answers so far come to; worked out once for the same answers."""
        answers = self.answers
        if self._agreed is None or self._agreed[0] != len(answers):
            self._agreed = len(answers), agree_candles(answers, quorum=quorum)
        return self._agreed[1]

    def wait(self, seconds: float) -> None:
        """Wait until the round is complete, at most so long."""
        wait(self._jobs.values(), timeout=max(0.0, seconds))


class Poller:
    """The threads in which providers are asked; each has at most one call for a price and one for candles."""

    def __init__(self, providers: Sequence["Provider"]) -> None:
        self.providers = providers
        self._threads = ThreadPoolExecutor(2 * len(providers) or 1, thread_name_prefix="provider")
        self._asked: dict[str, Future[Reading]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    def latest(self, providers: Sequence["Provider"], *, within_s: float) -> tuple[list[Reading], list[ProviderError]]:
        """The prices that arrive in time, and why the others did not."""
        until = time.monotonic() + within_s
        for each in providers:
            job = self._asked.get(each.name)
            if job is None or job.done():
                self._asked[each.name] = self._threads.submit(each.latest)
        jobs = {each.name: self._asked[each.name] for each in providers}
        wait(jobs.values(), timeout=max(0.0, until - time.monotonic()))
        readings: list[Reading] = []
        errors: list[ProviderError] = []
        for name, job in jobs.items():
            if not job.done():
                errors.append(ProviderError(name, f"no answer within {within_s:g} s"))
                continue
            try:
                readings.append(job.result())
            except ProviderError as exc:
                errors.append(exc)
        return readings, errors

    def candles(self, providers: Sequence["Provider"], minutes: Sequence[int], spans: Sequence[Span]) -> Round:
        """Ask the providers for the candles of the spans."""

        def ask(each: "Provider") -> list[Candles]:
            return [each.candles(span) for span in spans]

        return Round(minutes, {each.name: self._threads.submit(ask, each) for each in providers})
