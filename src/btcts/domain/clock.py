"""The clock that guards, slots and the schedule share, the time of the Redis server; and how far it is wrong.

It is wrong only if a majority of the providers' clocks agree that it is.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Protocol

from btcts.domain.codes import ProblemCode
from btcts.errors import Problem

_STEADY = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""The clock that cannot be set and keeps running during suspend (Linux, macOS), unlike `time.monotonic`."""

MAX_SKEW_MS = 10_000
"""Maximum difference between the providers' clocks and ours; beyond it nothing is written."""


class Clock(Protocol):
    """The source of `now`; tests inject a clock that stands still."""

    follows_server: bool
    """True if `now` is the Redis server's TIME; otherwise the clock itself is authoritative."""

    @property
    def source(self) -> str:
        """The machine whose time this is, as worded in messages."""
        ...

    def now_ms(self) -> int:
        """Return the current time in ms since the epoch."""
        ...

    def observe(self, server_ms: int) -> int:
        """Record the server's TIME, read just now, and return `now` by this clock."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait; return early when the process is asked to stop."""
        ...


class Stop:
    """A request to stop, which a signal handler may make at any moment.

    `threading.Event` is no choice: its `set` would wait forever in a handler that interrupts its `wait`.
    """

    def __init__(self) -> None:
        self._asked: SimpleQueue[None] = SimpleQueue()

    def set(self) -> None:
        """Make the request."""
        self._asked.put(None)

    def is_set(self) -> bool:
        """Tell whether it was made."""
        return not self._asked.empty()

    def wait(self, seconds: float) -> None:
        """Wait for it, for `seconds` at most."""
        with suppress(Empty):
            self._asked.put(self._asked.get(timeout=seconds))


class ServerClock:
    """The Redis server's time, advanced by a steady clock between replies.

    Before the first reply it is this machine's time. Later changes of this machine's clock do not affect it.
    """

    follows_server = True

    def __init__(self, stop: Stop | None = None) -> None:
        self._stop = stop or Stop()
        self._offset_ms = time.time() * 1000 - _read_steady_ms()
        self._observed = False

    @property
    def source(self) -> str:
        """The machine whose time this is: this one until the first reply of the server."""
        return "the Redis server" if self._observed else "this machine"

    def now_ms(self) -> int:
        """Return the server's time in ms since the epoch."""
        return int(_read_steady_ms() + self._offset_ms)

    def observe(self, server_ms: int) -> int:
        """Set the clock to the server's TIME, read just now."""
        self._offset_ms = server_ms - _read_steady_ms()
        self._observed = True
        return server_ms

    def sleep(self, seconds: float) -> None:
        """Wait until the time is up or a stop is asked for."""
        self._stop.wait(max(0.0, seconds))


class StoppedClock:
    """A fixed moment in the past that serves as `now` for storing and reading old prices."""

    follows_server = False
    source = "this machine"

    def __init__(self, now_ms: int) -> None:
        self._now_ms = now_ms

    def now_ms(self) -> int:
        """Return the fixed moment."""
        return self._now_ms

    def observe(self, server_ms: int) -> int:
        """Return the fixed moment, whatever the server says."""
        return self._now_ms

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(max(0.0, seconds))


def _read_steady_ms() -> float:
    return time.clock_gettime(_STEADY) * 1000


def find_next_beat(now_ms: int, interval_ms: int, phase_ms: int) -> int:
    """Return the first moment after `now_ms` that is `phase_ms` past a multiple of the interval since the epoch."""
    return (now_ms - phase_ms) // interval_ms * interval_ms + interval_ms + phase_ms


def follow_beats(
    clock: Clock,
    *,
    interval_s: float,
    phase_s: float = 0.0,
    stopped: Callable[[], bool] = lambda: False,
    sleep: Callable[[float], None] | None = None,
) -> Iterator[None]:
    """Yield at once, and then at the multiples of the interval since the epoch plus the phase, until stopped.

    Beats that pass while the caller works are left out. `sleep` (default: that of the clock) may return early.
    """
    sleep = sleep or clock.sleep
    interval_ms, phase_ms = round(interval_s * 1000), round(phase_s * 1000)
    while not stopped():
        yield
        beat_ms = find_next_beat(clock.now_ms(), interval_ms, phase_ms)
        while not stopped() and 0 < (left_ms := beat_ms - clock.now_ms()) <= interval_ms:  # more: it was set back
            sleep(left_ms / 1000)


def measure_skew(dates_ms: Sequence[int], now_ms: int, *, least: int = 1) -> int | None:
    """Return how far the clocks of a majority are ahead of `now_ms`, by their HTTP Date headers.

    The clocks of a majority lie within `MAX_SKEW_MS` of each other; without one of at least `least` clocks the result
    is None. A Date header has a resolution of one second.
    """
    majority = _find_majority(dates_ms)
    return sum(majority) // len(majority) - now_ms if len(majority) >= least else None


def find_skew(dates_ms: Sequence[int], now_ms: int, *, least: int = 2) -> int | None:
    """Return the skew of a majority of at least `least` clocks if it exceeds `MAX_SKEW_MS`, else None."""
    skew_ms = measure_skew(dates_ms, now_ms, least=least)
    return None if skew_ms is None or abs(skew_ms) <= MAX_SKEW_MS else skew_ms


def describe_skew(skew_ms: int, source: str) -> Problem:
    """Say that the clock of `source` is wrong by the providers' clocks."""
    problem = f"the providers' clocks are {skew_ms / 1000:+.0f} s from {source}'s; set its clock right"
    return Problem(problem, ProblemCode.PROVIDER_CLOCKS)


def _find_majority(dates_ms: Sequence[int]) -> Sequence[int]:
    """Return the largest group of dates near each other, ascending, if it holds more than half of all; else none."""
    ascending = sorted(dates_ms)
    groups = ([date for date in ascending if first <= date <= first + MAX_SKEW_MS] for first in ascending)
    largest = max(groups, key=len, default=[])
    return largest if 2 * len(largest) > len(ascending) else []
