"""The time of the next try to deliver an alert."""

from hypothesis import given
from hypothesis import strategies as st

from btcts.services.watch.outbox import FIRST_WAIT_MS, LONGEST_WAIT_MS, choose_wait_ms, is_due
from support.series import HOUR, NOW


@given(failed=st.integers(1, 100), chance=st.floats(0, 1))
def test_tries_are_spaced_further_and_further_apart_up_to_the_longest_wait(failed: int, chance: float) -> None:
    full_ms = min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** (failed - 1))

    assert full_ms // 2 <= choose_wait_ms(failed, chance) <= full_ms


def test_a_delivery_is_due_at_first_not_before_its_time_and_then_again() -> None:
    next_ms = NOW + choose_wait_ms(1, 0.0)

    assert is_due(0, NOW)
    assert not is_due(next_ms, NOW)
    assert not is_due(next_ms, NOW + FIRST_WAIT_MS - 1)
    assert is_due(next_ms, NOW + FIRST_WAIT_MS)


def test_a_clock_that_was_set_back_keeps_no_delivery_waiting() -> None:
    assert is_due(NOW + FIRST_WAIT_MS, NOW - HOUR)
