"""Connections whose every step is bound by the deadline of the call, and uses little memory."""

import math
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import httpcore

LARGEST_HEAD = 16_384
"""Most bytes of an incomplete response head, and per read: parsing a head takes 250 times its size in memory."""

httpcore.HTTP11Connection.MAX_INCOMPLETE_EVENT_SIZE = LARGEST_HEAD

_DEADLINE: ContextVar[float] = ContextVar("deadline", default=math.inf)


@contextmanager
def limit_steps(until: float) -> Iterator[None]:
    """Abort any step of a connection in this block at `until`, by the monotonic clock."""
    token = _DEADLINE.set(until)
    try:
        yield
    finally:
        _DEADLINE.reset(token)


def limit_wait(timeout: float | None, late: type[Exception]) -> float | None:
    """Return the time limit of a step: its own `timeout`, or less when the deadline comes first.

    Raises:
        `late`: the deadline has passed.
    """
    left = _DEADLINE.get() - time.monotonic()
    if left <= 0:
        raise late("the time is up")
    return timeout if math.isinf(left) else min(left, left if timeout is None else timeout)


class Stream(httpcore.NetworkStream):
    """A connection that keeps to the deadline."""

    def __init__(self, inner: httpcore.NetworkStream) -> None:
        self._inner = inner

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Read the next bytes."""
        return self._inner.read(min(max_bytes, LARGEST_HEAD), limit_wait(timeout, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Write the bytes."""
        self._inner.write(buffer, limit_wait(timeout, httpcore.WriteTimeout))

    def close(self) -> None:
        """Close the connection."""
        self._inner.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> "Stream":
        """Return the connection, encrypted from now on."""
        limit_s = limit_wait(timeout, httpcore.ConnectTimeout)
        return Stream(self._inner.start_tls(ssl_context, server_hostname, limit_s))

    def get_extra_info(self, info: str) -> Any:
        """Return details of the socket for httpcore."""
        return self._inner.get_extra_info(info)
