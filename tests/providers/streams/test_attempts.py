"""Connections back off, and are never more than 20 in 10 minutes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from btcts.providers.streams.stream import MOST_ATTEMPTS, STEADY_S, WITHIN_S, Attempts

OUTCOMES = st.tuples(
    st.floats(0, 3600),  # how long the connection worked
    st.floats(0, 1),
    st.floats(0, 600) | st.just(0.0),  # the wait that the server asks for
    st.floats(0, 100) | st.just(0.0),  # the delay of the thread
)


@given(st.lists(OUTCOMES, max_size=200))
def test_no_ten_minutes_see_more_than_twenty_attempts(outcomes: list[tuple[float, float, float, float]]) -> None:
    attempts, begun, now_s = Attempts(), [], 0.0

    for worked_s, chance, asked_s, late_s in outcomes:
        now_s = max(now_s, attempts.find_next()) + late_s
        attempts.begin(now_s)
        begun.append(now_s)
        now_s += worked_s
        attempts.end(now_s, worked_s=worked_s, chance=chance, least_wait_s=asked_s)
        assert attempts.find_next() >= now_s + asked_s

    assert all(later - earlier >= WITHIN_S for earlier, later in zip(begun, begun[MOST_ATTEMPTS:], strict=False))


@pytest.mark.parametrize(
    ("chance", "waits"), [(1.0, [1, 1, 2, 4, 8, 16, 32, 60, 60]), (0.0, [0, 0.5, 1, 2, 4, 8, 16, 30])]
)
def test_the_wait_doubles_up_to_a_minute(chance: float, waits: list[float]) -> None:
    attempts, seen = Attempts(), []

    for number in range(len(waits)):
        attempts.begin(number)
        attempts.end(number, worked_s=0, chance=chance)
        seen.append(attempts.find_next() - number)

    assert seen == waits


def test_a_connection_that_worked_makes_good_for_failures() -> None:
    attempts = Attempts()
    for now_s in range(5):
        attempts.begin(now_s)
        attempts.end(now_s, worked_s=0, chance=1)

    attempts.end(100, worked_s=STEADY_S, chance=0.25)

    assert attempts.find_next() == 100.25


def test_the_first_attempt_is_allowed_at_once() -> None:
    assert Attempts().find_next() <= 0
