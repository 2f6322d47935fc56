"""Rounds of candle requests whose answers arrive at any time, also between two looks at them."""

import threading
from collections.abc import Iterator

import pytest

from btcts.domain.model import Candles, Span, Tick
from btcts.providers.poller import Poller
from btcts.providers.simulated import Simulated
from btcts.services.collect.settling import Settling
from btcts.services.collect.survey import Survey
from btcts.store import State
from support.clocks import FakeClock
from support.series import MINUTE, NOW

CLOSED = NOW - NOW % MINUTE - 2 * MINUTE


class Gated(Simulated):
    """A provider whose candles arrive once its gate opens."""

    def __init__(self) -> None:
        super().__init__(FakeClock(NOW))
        self.gate = threading.Event()

    def candles(self, span: Span) -> Candles:
        self.gate.wait(30)
        return super().candles(span)


class Tallied(Simulated):
    """A provider under a name of its own that counts how often it is asked for candles."""

    def __init__(self, name: str) -> None:
        super().__init__(FakeClock(NOW))
        self.name = name
        self.asked = 0

    def candles(self, span: Span) -> Candles:
        self.asked += 1
        return super().candles(span)._replace(provider=self.name)


@pytest.fixture
def gated() -> Iterator[Gated]:
    provider = Gated()
    yield provider
    provider.gate.set()


def read_ticks(span: Span) -> list[Tick]:
    """A store without ticks."""
    return []


def test_an_answer_that_arrives_between_two_looks_is_neither_judged_nor_lost(gated: Gated) -> None:
    with Poller([gated]) as poller:
        survey = Survey(NOW, None, State(), unsettled=frozenset({CLOSED}), reach=poller.reach)
        settling = Settling(poller, quorum=1, salt=0)
        settling.begin(survey, [gated])
        before = settling.listen()
        gated.gate.set()
        settling.wait(30)

        early = settling.find_settleable(before, survey, read_ticks), settling.end(before, survey, read_ticks)
        after = settling.listen()
        late = settling.find_settleable(after, survey, read_ticks)
        settling.note_written(late.candles)
        ended = settling.end(after, survey, read_ticks)

    assert ([*early[0].candles], early[1].gaps) == ([], {})
    assert [candle.start_ms for candle in late.candles] == [CLOSED]
    assert (ended.gaps, [*settling.listen()]) == ({}, [])


def test_minutes_that_waited_for_a_slow_round_are_asked_for_when_it_is_complete(gated: Gated) -> None:
    later = NOW + MINUTE
    with Poller([gated]) as poller:
        survey = Survey(NOW, None, State(), unsettled=frozenset({CLOSED}), reach=poller.reach)
        settling = Settling(poller, quorum=1, salt=0)
        settling.begin(survey, [gated])
        survey = Survey(later, None, State(), unsettled=frozenset({CLOSED, CLOSED + MINUTE}), reach=poller.reach)
        settling.begin(survey, [gated])
        waiting = settling.has_more_to_ask
        gated.gate.set()
        settling.wait(30)
        settling.end(settling.listen(), survey, read_ticks)

        complete = settling.has_more_to_ask
        settling.begin(survey, [gated])

        asked = [sorted(heard.question.minutes) for _, heard in settling.listen()]

    assert (waiting, complete) == (False, True)
    assert asked == [[CLOSED, CLOSED + MINUTE]]
    assert not settling.has_more_to_ask


def test_candles_that_wait_for_redis_are_asked_for_again_once_more_providers_can_be_asked() -> None:
    few, late = Tallied("few"), Tallied("late")
    with Poller([few, late]) as poller:
        survey = Survey(NOW, None, State(), unsettled=frozenset({CLOSED}), reach=poller.reach)
        settling = Settling(poller, quorum=1, salt=0)
        asked = []
        for ready in ([few], [few], [few, late]):
            settling.begin(survey, ready)
            settling.wait(30)
            asked.append([sorted(heard.find_asked()) for _, heard in settling.listen()])

    assert asked == [[["few"]], [["few"]], [["few", "late"]]]
    assert (few.asked, late.asked) == (2, 1)
