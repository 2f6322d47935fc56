"""A clock that stands still until a test moves it."""

import threading


class FakeClock:
    """Authoritative: the server's time does not move it, sleeping does."""

    follows_server = False
    source = "the Redis server"

    def __init__(self, now_ms: int) -> None:
        self._now_ms = now_ms
        self._lock = threading.Lock()

    def now_ms(self) -> int:
        """The time it was moved to."""
        return self._now_ms

    def observe(self, server_ms: int) -> int:
        """Its own time, whatever the server says."""
        return self._now_ms

    def sleep(self, seconds: float) -> None:
        """Move on by so much, at once."""
        self.advance(round(seconds * 1000))

    def advance(self, ms: int) -> None:
        """Move on, never back."""
        with self._lock:
            self._now_ms += max(0, ms)

    def step(self, ms: int) -> None:
        """Be set, forward or back."""
        with self._lock:
            self._now_ms += ms
