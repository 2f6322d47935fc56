"""The clock, the schedule, and the judgement of our clock by those of the providers."""

import sys
import threading
from itertools import count, islice
from types import FrameType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from btcts.domain.clock import ServerClock, Stop, find_next_beat, find_skew, follow_beats, measure_skew
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


def test_a_clock_that_is_set_back_during_a_wait_delays_no_beat_by_more_than_an_interval() -> None:
    clock, waits = FakeClock(NOON), []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        clock.step(-3_600_000 if len(waits) == 1 else round(seconds * 1000))

    for _ in islice(follow_beats(clock, interval_s=10, sleep=sleep), 4):
        pass

    assert waits == [10, 10, 10]


def test_no_beat_follows_once_it_is_stopped_not_even_during_a_wait() -> None:
    clock = FakeClock(NOON)

    beats = [clock.now_ms() for _ in follow_beats(clock, interval_s=10, stopped=lambda: clock.now_ms() > NOON)]

    assert beats == [NOON]


def test_the_clock_follows_the_server() -> None:
    clock = ServerClock()

    assert clock.observe(NOON) == NOON

    assert NOON <= clock.now_ms() < NOON + 60_000


def test_sleep_ends_when_the_process_is_asked_to_stop() -> None:
    stop = Stop()
    stop.set()

    ServerClock(stop).sleep(3_600)

    assert stop.is_set()


def test_a_signal_may_ask_to_stop_at_any_line_of_a_sleep() -> None:
    asked = 0

    for number in count(1):
        stop = Stop()
        sleeping = threading.Thread(target=sleep_and_stop_at, args=(number, stop), daemon=True)
        sleeping.start()
        sleeping.join(10)
        assert not sleeping.is_alive()
        if not stop.is_set():
            break
        asked = number

    assert asked >= 3


def sleep_and_stop_at(number: int, stop: Stop) -> None:
    """Sleep for a moment, and ask to stop just before that line of it, as a signal handler would."""
    lines = count(1)

    def trace(frame: FrameType, event: str, argument: object) -> Any:
        if event == "line" and next(lines) == number:
            stop.set()
        return trace

    sys.settrace(trace)
    ServerClock(stop).sleep(0.001)
    sys.settrace(None)


@pytest.mark.parametrize("dates", [[], [NOON - 3_600_000]], ids=["none", "one"])
def test_fewer_than_two_providers_cannot_say_that_our_clock_is_wrong(dates: list[int]) -> None:
    assert find_skew(dates, NOON) is None


def test_providers_within_ten_seconds_agree_with_our_clock() -> None:
    assert find_skew([NOON - 10_000, NOON - 10_000], NOON) is None


def test_the_median_of_a_majority_says_how_far_our_clock_is_off() -> None:
    assert find_skew([NOON + 3_600_000, NOON + 3_600_400, NOON], NOON) == 3_600_200


@pytest.mark.parametrize("right", [1, 2, 3])
def test_an_even_split_says_nothing_about_our_clock(right: int) -> None:
    dates = [NOON] * right + [NOON + 60_000] * right

    assert find_skew(dates, NOON) is None
    assert measure_skew(dates, NOON) is None


def test_clocks_that_differ_from_each_other_say_nothing_about_ours() -> None:
    assert find_skew([NOON - 30_000, NOON - 90_000, NOON - 300_000, NOON, NOON], NOON) is None


def test_a_tick_from_the_future_needs_one_clock_alone() -> None:
    assert find_skew([NOON + 60_000], NOON, least=1) == 60_000


def test_one_provider_with_a_wrong_clock_is_outvoted() -> None:
    assert find_skew([NOON + 3_600_000, NOON, NOON + 500], NOON) is None
