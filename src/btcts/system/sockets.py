"""Sockets that keep a time limit: TCP connections to a host by name, and calls under a shared deadline.

The look-up and the race of the addresses share one limit. They are raced as in RFC 8305 (Happy Eyeballs): address
families take turns, the next attempt starts 250 ms after the last one or as soon as one fails, the first connection
wins and the others are closed. asyncio, anyio and aiohappyeyeballs do the same, but need an event loop for each
connection and a thread pool for look-ups.
"""

import errno
import os
import selectors
import socket
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from itertools import zip_longest
from math import inf
from threading import Lock
from typing import Any

from btcts.system.calls import start_call

Address = tuple[int, Any]
"""An address family and an address in it, as `socket.connect` takes it."""

Resolve = Callable[[str, int], Iterable[Address]]

Option = tuple[int, int, int]
"""The arguments of `setsockopt`."""

Attempts = selectors.BaseSelector

PACE_S = 0.25
"""From one attempt to the next: the Connection Attempt Delay that RFC 8305 recommends."""

MOST_ADDRESSES = 16
"""Maximum number of addresses tried per host; each attempt holds a file descriptor."""

NO_DELAY: Option = (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

_NOT_REACHED = {errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}
"""Errors that are less informative than that of an address that was reached."""


def resolve(host: str, port: int, flags: int = 0) -> list[Address]:
    """Return the addresses of a host, best first; the system sets no time limit.

    Raises:
        OSError: the look-up failed.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=flags)
    except UnicodeError:
        raise socket.gaierror(socket.EAI_NONAME, "not a valid host name") from None
    return [(family, address) for family, _, _, _, address in found]


class Dialer:
    """Opens TCP connections. A look-up that hangs holds one thread, however often its host is dialed."""

    def __init__(self, resolve: Resolve = resolve) -> None:
        self._resolve = resolve
        self._pending: dict[tuple[str, int], Future[list[Address]]] = {}
        self._lock = Lock()

    def dial(self, host: str, port: int, timeout_s: float, options: Sequence[Option] = ()) -> socket.socket:
        """Return a connection; set its time-out before use.

        Raises:
            OSError: no address could be reached.
            TimeoutError: time ran out before a connection or the failure of all addresses.
        """
        deadline = time.monotonic() + timeout_s
        addresses = interleave(self._look_up(host, port, deadline))[:MOST_ADDRESSES]
        return race(addresses, deadline, (NO_DELAY, *options))

    def _look_up(self, host: str, port: int, deadline: float) -> list[Address]:
        try:
            return resolve(host, port, socket.AI_NUMERICHOST)
        except socket.gaierror:
            pass  # a name
        with self._lock:
            answer = self._pending.get((host, port))
            if answer is None or answer.done():
                answer = self._pending[host, port] = self._ask(host, port)
        try:
            return answer.result(max(0.0, deadline - time.monotonic()))
        except TimeoutError:
            raise TimeoutError("the name look-up timed out") from None

    def _ask(self, host: str, port: int) -> Future[list[Address]]:
        try:
            return start_call(lambda: list(self._resolve(host, port)))
        except (RuntimeError, MemoryError) as exc:
            raise OSError(errno.EAGAIN, "no thread for the name look-up") from exc


def interleave(addresses: Iterable[Address]) -> list[Address]:
    """Return the addresses without duplicates, alternating families, each family in its order."""
    families: dict[int, list[Address]] = {}
    for address in dict.fromkeys(addresses):
        families.setdefault(address[0], []).append(address)
    return [address for turn in zip_longest(*families.values()) for address in turn if address]


def race(addresses: Sequence[Address], deadline: float, options: Sequence[Option]) -> socket.socket:
    """Return the first connection to one of the addresses; every address gets its turn before the deadline.

    Raises:
        OSError: every address failed; the failure of one that was reached is preferred.
        TimeoutError: the deadline passed.
    """
    failures: list[OSError] = []
    waiting = list(reversed(addresses))
    pace_s = min(PACE_S, max(0.0, deadline - time.monotonic()) / max(1, len(addresses)))
    with selectors.PollSelector() as attempts:
        try:
            while waiting or attempts.get_map():
                if waiting:
                    _start(waiting.pop(), options, attempts, failures)
                until = min(deadline, time.monotonic() + pace_s) if waiting else deadline
                if winner := _await_attempt(attempts, until, failures):
                    return winner
                if time.monotonic() >= deadline:
                    raise TimeoutError("timed out")
        finally:
            for loser in list(attempts.get_map().values()):
                loser.data.close()
    raise min(failures, key=lambda failure: failure.errno in _NOT_REACHED, default=OSError("the host has no address"))


def _start(address: Address, options: Sequence[Option], attempts: Attempts, failures: list[OSError]) -> None:
    family, place = address
    try:
        attempt = socket.socket(family, socket.SOCK_STREAM)
    except OSError as exc:
        failures.append(exc)
        return
    attempts.register(attempt, selectors.EVENT_WRITE, attempt)
    attempt.setblocking(False)
    for option in options:
        attempt.setsockopt(*option)
    if (code := attempt.connect_ex(place)) not in (0, errno.EINPROGRESS):
        _drop(attempt, code, attempts, failures)


def _await_attempt(attempts: Attempts, until: float, failures: list[OSError]) -> socket.socket | None:
    """Return the first connection, or None after a failure or when time is up."""
    if not attempts.get_map():
        return None
    for ready, _ in attempts.select(max(0.0, until - time.monotonic())):
        attempt: socket.socket = ready.data
        if code := attempt.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            _drop(attempt, code, attempts, failures)
            continue
        attempts.unregister(attempt)
        attempt.setblocking(True)
        return attempt
    return None


def _drop(attempt: socket.socket, code: int, attempts: Attempts, failures: list[OSError]) -> None:
    attempts.unregister(attempt)
    attempt.close()
    failures.append(OSError(code, os.strerror(code)))


class Deadline:
    """A moment of the monotonic clock that can be moved; infinitely far away until it is set."""

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

    def __init__(self, connection: socket.socket, deadline: Deadline) -> None:
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
