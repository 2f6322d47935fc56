"""The one clock that guards, slots and the schedule share: the Redis server's time."""

import threading
import time
from typing import Protocol

_SUSPEND_AWARE: int | None = getattr(time, "CLOCK_BOOTTIME", getattr(time, "CLOCK_MONOTONIC", None))
"""What goes on while the machine sleeps is called so on Linux, and so on macOS."""


class Clock(Protocol):
    """Where `now` comes from; tests inject one that stands still."""

    follows_server: bool
    """Whether `now` is the Redis server's TIME; a clock that does not is authoritative itself."""

    @property
    def source(self) -> str:
        """Whose time it is, in the words of a message."""
        ...

    def now_ms(self) -> int:
        """The present in ms since the epoch."""
        ...

    def observe(self, server_ms: int) -> int:
        """Take note of the server's TIME, read just now, and return what `now` is by this clock."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait, or return earlier when the process was asked to stop."""
        ...


class ServerClock:
    """The Redis server's time, carried forward by a steady clock between two replies.

    Before the first reply it says this machine's time. A step of this machine's clock does not move it.
    """

    follows_server = True

    def __init__(self, stop: threading.Event | None = None) -> None:
        self._stop = stop or threading.Event()
        self._offset_ms = time.time() * 1000 - _read_steady_ms()
        self._observed = False

    @property
    def source(self) -> str:
        """The machine whose time it is: this one until the server has told its own."""
        return "the Redis server" if self._observed else "this machine"

    def now_ms(self) -> int:
        """The server's time in ms since the epoch."""
        return int(_read_steady_ms() + self._offset_ms)

    def observe(self, server_ms: int) -> int:
        """Follow the server's TIME, read just now."""
        self._offset_ms = server_ms - _read_steady_ms()
        self._observed = True
        return server_ms

    def sleep(self, seconds: float) -> None:
        """Wait until the time is up or the stop event is set."""
        self._stop.wait(max(0.0, seconds))


class StoppedClock:
    """A moment of the past that is taken for the present, by which old prices are stored and looked at."""

    follows_server = False
    source = "this machine"

    def __init__(self, now_ms: int) -> None:
        self._now_ms = now_ms

    def now_ms(self) -> int:
        """That moment."""
        return self._now_ms

    def observe(self, server_ms: int) -> int:
        """That moment, whatever the server says."""
        return self._now_ms

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(max(0.0, seconds))


def _read_steady_ms() -> float:
    """A clock that nobody sets and that goes on while the machine sleeps, which `time.monotonic` does not."""
    return (time.monotonic() if _SUSPEND_AWARE is None else time.clock_gettime(_SUSPEND_AWARE)) * 1000


def find_next_beat(now_ms: int, interval_ms: int, phase_ms: int) -> int:
    """The first moment after `now_ms` that lies `phase_ms` behind a whole multiple of the interval since the epoch."""
    return (now_ms - phase_ms) // interval_ms * interval_ms + interval_ms + phase_ms
