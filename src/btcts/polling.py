"""Asking several providers at once; a slow one is left behind, never waited for."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future, wait
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Self, TypeVar

from btcts.agreement import AgreedCandles, agree_candles
from btcts.errors import ProviderError
from btcts.model import Candles, Reading, Span

if TYPE_CHECKING:
    from btcts.providers.base import Provider

T = TypeVar("T")


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
    def usable(self) -> frozenset[int]:
        """The minutes that the answers so far may settle: those that enough reach, and all of them once all are in."""
        if self.complete:
            return self.minutes
        heard = Counter(chain.from_iterable(each.covered.minutes() for each in self.answers if each.covered))
        return frozenset(minute for minute in self.minutes if heard[minute] >= self.enough)

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
    """Makes each call of a provider in a thread of its own, which no end of the process waits for.

    What is under way when its `with` block ends is left to itself, and no further span is asked for.
    """

    def __init__(self, providers: Sequence["Provider"]) -> None:
        self.providers = providers
        self._asked: dict[str, Future[Reading]] = {}
        self._ended = threading.Event()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._ended.set()

    def latest(self, providers: Sequence["Provider"], *, within_s: float) -> tuple[list[Reading], list[ProviderError]]:
        """The prices that arrive in time, and why the others did not."""
        until = time.monotonic() + within_s
        for each in providers:
            job = self._asked.get(each.name)
            if job is None or job.done():
                self._asked[each.name] = _begun(each.latest)
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
            return [each.candles(span) for span in spans if not self._ended.is_set()]

        return Round(minutes, {each.name: _begun(partial(ask, each)) for each in providers})


def _begun(work: Callable[[], T]) -> Future[T]:
    """What the work comes to, in a thread that no end of the process waits for."""
    future: Future[T] = Future()

    def do() -> None:
        try:
            future.set_result(work())
        except BaseException as exc:  # noqa: BLE001 - who asks for the result raises it
            future.set_exception(exc)

    threading.Thread(target=do, name="provider", daemon=True).start()
    return future
