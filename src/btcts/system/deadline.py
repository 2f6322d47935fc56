"""A shared deadline for all waits on one server, however many calls are made."""

import time
from math import inf
from socket import socket
from typing import Any


class Deadline:
    """A moment of the monotonic clock; infinite until it is set, and movable."""

    def __init__(self) -> None:
        self._at = inf

    def set(self, at: float) -> None:
        """Set or move the deadline."""
        self._at = at

    @property
    def left_s(self) -> float:
        """Seconds until the deadline, 0 after it."""
        return max(0.0, self._at - time.monotonic())

    def limit(self, seconds: float | None) -> float | None:
        """Return the time limit (None: no limit) cut to the deadline.

        Raises:
            TimeoutError: the deadline has passed.
        """
        left_s = self.left_s
        if not left_s:
            raise TimeoutError("timed out")
        if seconds is None:
            return None if left_s == inf else left_s
        return min(seconds, left_s)


class TimelySocket:
    """A connected socket, TLS or not, whose calls never wait beyond the deadline.

    Each call gets a new limit: an answer that arrives in small pieces would otherwise restart the time-out each time.
    """

    def __init__(self, connection: socket, deadline: Deadline) -> None:
        self._connection = connection
        self._deadline = deadline
        self._timeout_s = connection.gettimeout()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def settimeout(self, seconds: float | None) -> None:
        """Set the time limit of each call before the deadline; 0 makes the socket non-blocking."""
        self._timeout_s = seconds
        self._connection.settimeout(seconds)

    def recv(self, *arguments: Any) -> bytes:
        """Receive like `socket.recv`."""
        self._limit()
        return self._connection.recv(*arguments)

    def recv_into(self, *arguments: Any) -> int:
        """Receive like `socket.recv_into`."""
        self._limit()
        return self._connection.recv_into(*arguments)

    def sendall(self, data: bytes) -> None:
        """Send like `socket.sendall`, with one limit for all the data."""
        self._limit()
        self._connection.sendall(data)

    def _limit(self) -> None:
        if self._connection.gettimeout() != 0:
            self._connection.settimeout(self._deadline.limit(self._timeout_s))
