"""The clock and the schedule."""

import threading

from hypothesis import given
from hypothesis import strategies as st

from btcts.domain.clock import ServerClock, find_next_beat

NOON = 1_700_000_000_000


@given(
    now_ms=st.integers(NOON, NOON + 10**9),
    interval_ms=st.integers(1_000, 3_600_000),
    share=st.floats(0, 1, exclude_max=True),
)
def test_the_next_beat_is_the_first_one_after_now_on_the_grid(now_ms: int, interval_ms: int, share: float) -> None:
    phase_ms = int(interval_ms * share)

    beat = find_next_beat(now_ms, interval_ms, phase_ms)

    assert now_ms < beat <= now_ms + interval_ms
    assert (beat - phase_ms) % interval_ms == 0


def test_beats_of_a_day_do_not_drift_however_long_each_cycle_takes() -> None:
    now_ms, beats = NOON, []

    for number in range(8640):
        beats.append(find_next_beat(now_ms, 10_000, 3_700))
        now_ms = beats[-1] + number % 9_000

    assert beats == [beats[0] + 10_000 * number for number in range(8640)]


def test_the_clock_follows_the_server() -> None:
    clock = ServerClock()

    assert clock.observe(NOON) == NOON

    assert NOON <= clock.now_ms() < NOON + 60_000


def test_sleep_ends_when_the_process_is_asked_to_stop() -> None:
    stop = threading.Event()
    stop.set()

    ServerClock(stop).sleep(3_600)

    assert stop.is_set()
