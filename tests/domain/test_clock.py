"""The clock and the schedule."""

import threading
from itertools import islice

from hypothesis import given
from hypothesis import strategies as st

from btcts.domain.clock import ServerClock, find_next_beat, follow_beats
from support.clocks import FakeClock

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
    clock = FakeClock(NOON)
    beats = []

    for number, _ in enumerate(islice(follow_beats(clock, interval_s=10, phase_s=3.7), 8641)):
        beats.append(clock.now_ms())
        clock.advance(number % 9_000)

    assert beats[0] == NOON
    assert beats[1:] == [beats[1] + 10_000 * number for number in range(8640)]


def test_beats_that_pass_during_a_long_cycle_are_left_out() -> None:
    clock = FakeClock(NOON)
    beats = []

    for _ in islice(follow_beats(clock, interval_s=10), 3):
        beats.append(clock.now_ms() - NOON)
        clock.advance(25_000)

    assert beats == [0, 30_000, 60_000]


def test_no_beat_follows_once_it_is_stopped_not_even_during_a_wait() -> None:
    clock = FakeClock(NOON)

    beats = [clock.now_ms() for _ in follow_beats(clock, interval_s=10, stopped=lambda: clock.now_ms() > NOON)]

    assert beats == [NOON]


def test_the_clock_follows_the_server() -> None:
    clock = ServerClock()

    assert clock.observe(NOON) == NOON

    assert NOON <= clock.now_ms() < NOON + 60_000


def test_sleep_ends_when_the_process_is_asked_to_stop() -> None:
    stop = threading.Event()
    stop.set()

    ServerClock(stop).sleep(3_600)

    assert stop.is_set()
