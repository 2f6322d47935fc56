"""A moment by which all waiting for one server ends, however many answers are waited for."""

import time
from math import inf
from socket import socket
from typing import Any


class Deadline:
    """A moment of the monotonic clock, never until it is set; it can be moved."""

    def __init__(self) -> None:
        self._at = inf

    def set(self, at: float) -> None:
        """Move it to this moment."""
        self._at = at

    @property
    def left_s(self) -> float:
        """Seconds until then, 0 behind it."""
        return max(0.0, self._at - time.monotonic())

    def limit(self, seconds: float | None) -> float | None:
        """A time limit (None: as long as it takes) that ends by the deadline.

        Raises:
            TimeoutError: it is over.
        """
        left_s = self.left_s
        if not left_s:
            raise TimeoutError("timed out")
        if seconds is None:
            return None if left_s == inf else left_s
        return min(seconds, left_s)


class TimelySocket:
    """A connected socket, TLS or not, of which no call waits beyond the deadline.

    Each call is limited anew: an answer that comes in drops would be waited for time and again.
    """

    def __init__(self, connection: socket, deadline: Deadline) -> None:
        self._connection = connection
        self._deadline = deadline
        self._timeout_s = connection.gettimeout()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def settimeout(self, seconds: float | None) -> None:
        """How long a call may take where the deadline is later; with 0 none waits at all."""
        self._timeout_s = seconds
        self._connection.settimeout(seconds)

    def recv(self, *arguments: Any) -> bytes:
        """As that of a socket."""
        self._limit()
        return self._connection.recv(*arguments)

    def recv_into(self, *arguments: Any) -> int:
        """As that of a socket."""
        self._limit()
        return self._connection.recv_into(*arguments)

    def sendall(self, data: bytes) -> None:
        """As that of a socket, for which the limit is that of all the data."""
        self._limit()
        self._connection.sendall(data)

    def _limit(self) -> None:
        if self._connection.gettimeout() != 0:
            self._connection.settimeout(self._deadline.limit(self._timeout_s))
