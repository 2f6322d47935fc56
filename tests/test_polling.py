"""Asking several providers at once."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from btcts.errors import ProviderError
from btcts.model import MINUTE_MS, Candle, Candles, Reading, Span
from btcts.polling import Poller

NOON = 1_700_006_400_000
SPAN = Span(NOON, NOON + MINUTE_MS)


@dataclass
class Scripted:
    """A provider that answers when `gate` opens, or fails; one that does not reach a span has nothing of it."""

    name: str
    gate: threading.Event = field(default_factory=threading.Event)
    failure: Exception | None = None
    key_id: str = ""
    reaches: bool = True
    reach_ms: int = MINUTE_MS
    page_minutes: int = 1
    calls: int = 0

    def latest(self) -> Reading:
        self._answer()
        return Reading(self.name, 60_000.0, NOON)

    def candles(self, span: Span) -> Candles:
        self._answer()
        if not self.reaches:
            return Candles(self.name, None, ())
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
        readings, errors = poller.latest([good, bad], within_s=5)

    assert [each.provider for each in readings] == ["good"]
    assert [str(each) for each in errors] == ["bad: HTTP 503"]


def test_a_slow_provider_is_left_behind_and_not_asked_twice(scripted: Callable[..., Scripted]) -> None:
    good, slow = scripted("good"), scripted("slow", opened=False)

    with Poller([good, slow]) as poller:
        first, errors = poller.latest([good, slow], within_s=0.05)
        poller.latest([good, slow], within_s=0.05)
        asked_so_far = slow.calls
        slow.gate.set()
        last, _ = poller.latest([good, slow], within_s=5)

    assert [each.provider for each in first] == ["good"]
    assert [each.problem for each in errors] == ["no answer within 0.05 s"]
    assert {each.provider for each in last} == {"good", "slow"}
    assert asked_so_far == 1


def test_a_round_is_usable_when_all_have_answered(scripted: Callable[..., Scripted]) -> None:
    providers = [scripted("a"), scripted("b", failure=ProviderError("b", "HTTP 503"))]

    with Poller(providers) as poller:
        asked = poller.candles(providers, [NOON], [SPAN])
        asked.wait(5)

    assert asked.complete
    assert asked.usable == {NOON}
    assert [each.provider for each in asked.answers] == ["a"]
    assert [each.problem for each in asked.errors] == ["HTTP 503"]


def test_a_round_waits_for_more_than_two_answers_or_for_all(scripted: Callable[..., Scripted]) -> None:
    fast = [scripted(name) for name in "abc"]
    slow = scripted("slow", opened=False)

    with Poller([*fast, slow]) as poller:
        two = poller.candles([*fast[:2], slow], [NOON], [SPAN])
        three = poller.candles([*fast, slow], [NOON], [SPAN])
        two.wait(0.2)
        three.wait(0.2)

        assert (two.complete, two.usable) == (False, frozenset())
        assert (three.complete, three.usable) == (False, {NOON})
        slow.gate.set()


def test_those_that_do_not_reach_a_minute_do_not_count_for_it(scripted: Callable[..., Scripted]) -> None:
    fast = [scripted(name) for name in "abc"]
    slow = scripted("slow", opened=False)
    fast[1].reaches = fast[2].reaches = False

    with Poller([*fast, slow]) as poller:
        asked = poller.candles([*fast, slow], [NOON], [SPAN])
        asked.wait(0.2)
        early = asked.usable
        slow.gate.set()
        asked.wait(5)

    assert early == frozenset()
    assert asked.usable == {NOON}


def test_at_the_end_nothing_more_is_asked(scripted: Callable[..., Scripted]) -> None:
    slow = scripted("slow", opened=False)

    with Poller([slow]) as poller:
        asked = poller.candles([slow], [NOON], [SPAN, SPAN])
    slow.gate.set()
    asked.wait(5)

    assert asked.complete
    assert slow.calls == 1


def test_a_round_of_nobody_is_complete_at_once() -> None:
    with Poller([]) as poller:
        asked = poller.candles([], [NOON], [SPAN])

    assert asked.complete
    assert asked.answers == []


def test_a_bug_in_a_provider_is_raised_not_taken_for_an_outage(scripted: Callable[..., Scripted]) -> None:
    broken = scripted("broken", failure=ZeroDivisionError())

    with Poller([broken]) as poller, pytest.raises(ZeroDivisionError):
        poller.latest([broken], within_s=5)
