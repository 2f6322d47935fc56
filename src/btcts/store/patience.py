"""Waiting for a failover, or for a slot that moves: what fails until it is over, and for how long it is tried again."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import redis

from btcts.store.explain import Unfound, extract_reply, is_passing
from btcts.system.sockets import Deadline

PAUSE_S = 0.1

MOVING = frozenset({"ASK", "CLUSTERDOWN", "LOADING", "MASTERDOWN", "MOVED", "NOREPLICAS", "READONLY", "TRYAGAIN"})
"""The codes of replies for as long as the primary or the slot of our keys changes its place."""


class Patience:
    """The time for which a command is tried again, in s, and never beyond the deadline; 0 for a Redis of one server.

    A `replica` that is read from refuses writes for good.
    """

    def __init__(self, limit_s: float = 0.0, deadline: Deadline | None = None, *, replica: bool = False) -> None:
        self.limit_s = limit_s
        self._moving = MOVING - ({"READONLY"} if replica else set())
        self._deadline = deadline
        self._suspended = False

    def begin(self) -> float:
        """Return the moment of the monotonic clock until which a command that begins now is tried again."""
        left_s = self._deadline.left_s if self._deadline else self.limit_s
        return time.monotonic() + (0.0 if self._suspended else min(self.limit_s, left_s))

    def find_move(self, exc: Exception) -> str | None:
        """Return the code of a reply that says that our keys change their place."""
        code = getattr(exc, "status_code", None) or extract_reply(exc).partition(" ")[0]
        return code if self.limit_s and code in self._moving else None

    def covers(self, exc: BaseException | None) -> bool:
        """Tell whether this failure may be over in a moment."""
        if not self.limit_s:
            return False
        if isinstance(exc, Unfound):
            return exc.passing
        return self.find_move(exc) is not None if isinstance(exc, redis.ResponseError) else is_passing(exc)

    @contextmanager
    def suspended(self) -> Iterator[None]:
        """Try nothing again until the block ends."""
        self._suspended = True
        try:
            yield
        finally:
            self._suspended = False
