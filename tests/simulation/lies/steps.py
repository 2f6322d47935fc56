"""A poller whose answers arrive by a clock that stands still until somebody waits: no thread, and no real second."""

import math
from collections.abc import Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass

from btcts.domain.model import Candles, Span
from btcts.errors import ProviderError
from btcts.providers.base import Provider
from btcts.providers.poller import PRICES_S, Poller, Prices
from btcts.providers.rounds import Question, Round, RoundAnswers, Sparing
from btcts.system.calls import Wait
from simulation.lies.venues import Teller
from support.clocks import FakeClock


@dataclass(eq=False)
class Reply:
    """An answer on its way, known from the start, that arrives at `due_ms`."""

    due_ms: int
    answer: list[Candles] | ProviderError
    job: Future[list[Candles]]

    def arrive(self) -> None:
        """Be there."""
        if isinstance(self.answer, ProviderError):
            self.job.set_exception(self.answer)
        else:
            self.job.set_result(self.answer)


class Replies:
    """All answers that are on their way."""

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock
        self._under_way: list[Reply] = []

    def add(self, reply: Reply) -> None:
        """Send it on its way."""
        self._under_way.append(reply)
        self.deliver()

    def deliver(self) -> None:
        """Let those arrive whose time has come."""
        now_ms = self._clock.now_ms()
        for reply in self._under_way:
            if reply.due_ms <= now_ms:
                reply.arrive()
        self._under_way = [reply for reply in self._under_way if reply.due_ms > now_ms]

    def wait(self, seconds: float) -> None:
        """Let time pass until the last one is there, at most so many whole seconds."""
        last_ms = max((reply.due_ms for reply in self._under_way), default=0)
        most_ms = 1000 * math.ceil(max(0.0, seconds))
        self._clock.advance(min(most_ms, last_ms - self._clock.now_ms()))
        self.deliver()


class SteppedRound(Round):
    """A round that is waited for by the clock of the replies."""

    replies: Replies

    def wait(self, seconds: float, wait: Wait = wait) -> None:
        """Let time pass until the round is complete, at most so long for those asked first and those asked last."""
        for _ in range(2):
            if not self.listen().complete:
                self.replies.wait(seconds)


class SteppedPoller(Poller):
    """Asks at once, in the order of the providers; candles arrive after the delay of their provider."""

    def __init__(self, providers: Sequence[Teller], clock: FakeClock) -> None:
        super().__init__(providers)
        self.replies = Replies(clock)
        self._clock = clock
        self._delays = {provider.name: provider for provider in providers}

    def ask_prices(self, providers: Sequence[Provider], *, within_s: float = PRICES_S, wait: Wait = wait) -> Prices:
        """The prices, and why there is none of the others."""
        readings, errors = [], []
        for provider in providers:
            try:
                readings.append(provider.latest())
            except ProviderError as exc:
                errors.append(exc)
        return Prices(readings, errors)

    def ask_candles(
        self,
        providers: Sequence[Provider],
        question: Question,
        spans: Sequence[Span],
        sparing: Sparing | None = None,
    ) -> Round:
        """Ask the providers for the candles of the spans, which hold the minutes of the question."""

        def ask(some: Sequence[Provider]) -> dict[str, Future[list[Candles]]]:
            return {provider.name: self._ask(provider, spans) for provider in some}

        def ask_spared(heard: RoundAnswers) -> dict[str, Future[list[Candles]]]:
            return ask(sparing.providers) if sparing and not sparing.enough(heard) else {}

        begun = SteppedRound(question, ask(providers), recent=sparing.recent if sparing else (), ask_more=ask_spared)
        begun.replies = self.replies
        return begun

    def _ask(self, provider: Provider, spans: Sequence[Span]) -> Future[list[Candles]]:
        job: Future[list[Candles]] = Future()
        answer: list[Candles] | ProviderError
        try:
            answer = [provider.candles(span) for span in spans]
        except ProviderError as exc:
            answer = exc
        due_ms = self._clock.now_ms() + round(1000 * self._delays[provider.name].delay_s)
        self.replies.add(Reply(due_ms, answer, job))
        return job
