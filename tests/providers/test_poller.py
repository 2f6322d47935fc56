"""Asking several providers at once."""

import errno
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from btcts.domain.model import MINUTE_MS, Candle, Candles, Reading, Span
from btcts.errors import ProviderError, ProviderLimited, ProviderStopped, describe_unforeseen
from btcts.providers.poller import Poller
from btcts.providers.rounds import Question
from btcts.system.calls import start_thread

NOON = 1_700_006_400_000
SPAN = Span(NOON, NOON + MINUTE_MS)
QUESTION = Question(frozenset({NOON}))


@dataclass
class Scripted:
    """A provider that answers when `gate` opens, or fails;"""

    name: str
    gate: threading.Event = field(default_factory=threading.Event)
    failure: Exception | None = None
    key_id: str = ""
    reach_ms: int = MINUTE_MS
    page_minutes: int = 1
    bulky: bool = False
    calls: int = 0
    not_before_ms: int | None = None

    def latest(self) -> Reading:
        self._answer()
        return Reading(self.name, 60_000.0, NOON, not_before_ms=self.not_before_ms)

    def candles(self, span: Span) -> Candles:
        self._answer()
        return Candles(self.name, span, (Candle(span.start_ms, 1.0, 2.0, 1.0, 2.0),))

    def _answer(self) -> None:
        self.calls += 1
        self.gate.wait(30)
        if self.failure:
            raise self.failure


@pytest.fixture
def scripted() -> Iterator[Callable[..., Scripted]]:
    made: list[Scripted] = []

    def make(name: str, *, opened: bool = True, failure: Exception | None = None) -> Scripted:
        made.append(Scripted(name, failure=failure))
        if opened:
            made[-1].gate.set()
        return made[-1]

    yield make
    for each in made:
        each.gate.set()


def test_prices_and_failures_come_back_by_provider(scripted: Callable[..., Scripted]) -> None:
    good, bad = scripted("good"), scripted("bad", failure=ProviderError("bad", "HTTP 503"))

    with Poller([good, bad]) as poller:
        readings, errors = poller.ask_prices([good, bad], within_s=5)

    assert [each.provider for each in readings] == ["good"]
    assert [str(each) for each in errors] == ["bad: HTTP 503"]


def test_a_slow_provider_is_left_behind_and_not_asked_twice(scripted: Callable[..., Scripted]) -> None:
    good, slow = scripted("good"), scripted("slow", opened=False)

    with Poller([good, slow]) as poller:
        first, errors = poller.ask_prices([good, slow], within_s=0.3)
        poller.ask_prices([good, slow], within_s=0.3)
        asked_so_far = slow.calls
        slow.gate.set()
        last, _ = poller.ask_prices([good, slow], within_s=5)

    assert [each.provider for each in first] == ["good"]
    assert [each.problem for each in errors] == ["no answer within 0.3 s"]
    assert {each.provider for each in last} == {"good", "slow"}
    assert asked_so_far == 1


@pytest.mark.parametrize(
    ("failure", "not_before_ms"),
    [
        (None, NOON + 300_000),
        (ProviderLimited("slow", "HTTP 429", until_ms=NOON + 300_000), None),
        (ProviderStopped("slow", "the key is invalid"), None),
    ],
    ids=["budget", "limited", "stopped"],
)
def test_a_late_answer_that_forbids_to_ask_again_counts_the_next_time(
    failure: Exception | None, not_before_ms: int | None, scripted: Callable[..., Scripted]
) -> None:
    slow, waiting = scripted("slow", failure=failure), list[Callable[[], None]]()
    slow.not_before_ms = not_before_ms

    with Poller([slow], start=waiting.append) as poller:
        poller.ask_prices([slow], within_s=0)
        waiting.pop()()
        late = poller.ask_prices([slow], within_s=0)
        asked_so_far = slow.calls + len(waiting)
        poller.ask_prices([slow], within_s=0)

    assert [type(error) for error in late.errors] == ([type(failure)] if failure else [])
    assert [reading.not_before_ms for reading in late.readings] == ([not_before_ms] if not_before_ms else [])
    assert (asked_so_far, len(waiting)) == (1, 1)


def test_a_round_is_complete_when_all_have_answered_or_failed(scripted: Callable[..., Scripted]) -> None:
    providers = [scripted("a"), scripted("b", failure=ProviderError("b", "HTTP 503"))]

    with Poller(providers) as poller:
        asked = poller.ask_candles(providers, QUESTION, [SPAN])
        asked.wait(5)

    heard = asked.listen()
    assert heard.complete
    assert [answer.provider for answer in heard.answers] == ["a"]
    assert [error.problem for error in heard.errors] == ["HTTP 503"]


def test_a_round_that_is_closed_counts_those_that_answered(scripted: Callable[..., Scripted]) -> None:
    providers = [scripted("a"), scripted("slow", opened=False)]

    with Poller(providers) as poller:
        asked = poller.ask_candles(providers, QUESTION, [SPAN])
        asked.wait(0.2)
        before = asked.listen()
        asked.close()

    after = asked.listen()
    assert (before.complete, after.complete) == (False, True)
    assert after.agree().candles.keys() == {NOON}


def test_at_the_end_nothing_more_is_asked(scripted: Callable[..., Scripted]) -> None:
    slow = scripted("slow", opened=False)

    with Poller([slow]) as poller:
        asked = poller.ask_candles([slow], QUESTION, [SPAN, SPAN])
    slow.gate.set()
    asked.wait(5)

    assert asked.listen().complete
    assert slow.calls == 1


def test_a_round_of_nobody_is_complete_at_once() -> None:
    with Poller([]) as poller:
        asked = poller.ask_candles([], QUESTION, [SPAN])

    assert asked.listen().complete
    assert asked.listen().answers == ()


def fail_as_a_bug(scripted: Callable[..., Scripted], failure: Exception) -> list[str]:
    """The problems of a provider that raises what is no ProviderError, for its price and for its candles."""
    broken = scripted("broken", failure=failure)

    with Poller([broken]) as poller:
        _, errors = poller.ask_prices([broken], within_s=5)
        asked = poller.ask_candles([broken], QUESTION, [SPAN])
        asked.wait(5)

    return [str(error) for error in (*errors, *asked.listen().errors)]


@pytest.mark.parametrize(
    ("failure", "said"),
    [
        (MemoryError(), "there is no memory left"),
        (OSError(errno.EMFILE, "Too many open files"), "too many open files"),
        (RuntimeError("can't start new thread"), "no thread can be started; raise the limits"),
    ],
)
def test_a_shortage_of_the_machine_is_a_failure_of_the_provider_that_met_it(
    scripted: Callable[..., Scripted], failure: Exception, said: str
) -> None:
    problems = fail_as_a_bug(scripted, failure)

    assert len(problems) == 2
    assert all(problem.startswith(f"broken: {said}") for problem in problems)


def test_a_bug_is_a_failure_of_its_provider_and_says_its_place(scripted: Callable[..., Scripted]) -> None:
    problems = fail_as_a_bug(scripted, ZeroDivisionError())

    assert len(problems) == 2
    assert all(line.startswith("broken: ") for line in problems)
    assert all(re.search(r" providers/poller\.py:\d+; ", line) for line in problems)


def test_the_traceback_of_a_bug_is_there_for_whoever_asks_for_more(
    scripted: Callable[..., Scripted], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("DEBUG", "btcts"):
        fail_as_a_bug(scripted, ZeroDivisionError())

    assert [record.exc_info[0] for record in caplog.records if record.exc_info] == [ZeroDivisionError] * 2


def test_without_a_thread_only_the_providers_without_one_fail_and_are_asked_again(
    scripted: Callable[..., Scripted],
) -> None:
    providers = [scripted("a"), scripted("b")]
    refusals = iter([True])

    def start(run: Callable[[], None]) -> None:
        if next(refusals, False):
            raise RuntimeError("can't start new thread")
        start_thread(run)

    with Poller(providers, start=start) as poller:
        first, errors = poller.ask_prices(providers, within_s=5)
        second, _ = poller.ask_prices(providers, within_s=5)

    assert [reading.provider for reading in first] == ["b"]
    assert [error.provider for error in errors] == ["a"]
    assert [reading.provider for reading in second] == ["a", "b"]


def test_a_thread_that_ended_without_a_word_is_a_failure_of_its_provider(scripted: Callable[..., Scripted]) -> None:
    silent = scripted("silent")

    with Poller([silent], start=lambda run: None) as poller:
        _, errors = poller.ask_prices([silent], within_s=0)
        asked = poller.ask_candles([silent], [NOON], [SPAN])

    assert asked.listen().complete
    assert [(error.provider, error.problem) for error in (*errors, *asked.listen().errors)] == [
        ("silent", describe_unforeseen(MemoryError()))
    ] * 2


def test_a_failure_holds_on_to_nothing_of_the_answer(scripted: Callable[..., Scripted]) -> None:
    failure = ProviderError("bad", "no JSON")
    failure.__cause__ = ValueError()
    bad = scripted("bad", failure=failure)

    with Poller([bad]) as poller:
        _, (error,) = poller.ask_prices([bad], within_s=5)

    assert error.__cause__ is None
    assert error.__context__ is None


def test_a_provider_with_bulky_answers_is_asked_once_for_all_spans(scripted: Callable[..., Scripted]) -> None:
    light, bulky = scripted("light"), scripted("bulky")
    bulky.bulky = True
    later = Span(NOON + 400 * MINUTE_MS, NOON + 401 * MINUTE_MS)

    with Poller([light, bulky]) as poller:
        round_ = poller.ask_candles([light, bulky], QUESTION, [SPAN, later])
        round_.wait(30)

        covered = {answer.provider: answer.covered for answer in round_.listen().answers}

    assert (light.calls, bulky.calls) == (2, 1)
    assert covered["bulky"] == Span(SPAN.start_ms, later.end_ms)
