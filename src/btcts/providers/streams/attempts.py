"""The moments at which connections of one stream may be opened (pure)."""

from collections import deque

MOST = 20
"""Most connections within `WITHIN_S`: Kraken bans for more than 150 in 10 minutes, and others may be stricter."""

WITHIN_S = 600.0

LONGEST_WAIT_S = 60.0

STEADY_S = 60.0
"""A connection that has worked this long makes good for the failures before it."""


class Attempts:
    """The attempts of one stream, which back off: the first wait is up to `unit_s`, later ones double up to a minute.

    Times are seconds of one monotonic clock.
    """

    def __init__(self, unit_s: float = 1.0) -> None:
        self._unit_s = unit_s
        self._begun: deque[float] = deque(maxlen=MOST)
        self._failures = 0
        self._ready_s = 0.0

    def begin(self, now_s: float) -> None:
        """Count an attempt."""
        self._begun.append(now_s)

    def end(self, now_s: float, *, worked_s: float, chance: float, least_wait_s: float = 0.0) -> None:
        """Note the end of a connection, or of an attempt, after it worked for `worked_s`.

        `chance`, from 0 to 1, spreads streams and users that lost their connections together; the next attempt comes
        after `least_wait_s` at the earliest.
        """
        if worked_s >= STEADY_S:
            self._failures = 0
        wait_s = self._unit_s * chance
        if self._failures:
            wait_s = self._unit_s * min(2.0 ** (self._failures - 1), LONGEST_WAIT_S) * (1 + chance) / 2
        self._failures = min(self._failures + 1, 10)
        self._ready_s = now_s + max(wait_s, least_wait_s)

    def find_next(self) -> float:
        """Return the time from which on the next attempt is allowed."""
        full = len(self._begun) == MOST
        return max(self._ready_s, self._begun[0] + WITHIN_S) if full else self._ready_s
