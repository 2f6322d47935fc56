"""Detect files of candles longer than a minute, such as five minutes, an hour or a day, by the spacing of their rows.

The minute of the hour at which rows start gives the length away: hourly candles all share it. A single row may be off,
like the running candle at the end of some exports, so the decision rests on how improbable the whole pattern is.
"""

import math
from collections import Counter
from dataclasses import dataclass, field

from btcts.domain.model import MINUTE_MS
from btcts.errors import ConfigError

SELDOM, NEVER = 1 / 24, 1 / 10_000
"""A file is rejected when one-minute rows would show this pattern by chance with less than the first probability, and
with less than the second even if --minutes is given."""

LENGTHS = (60, 30, 20, 15, 12, 10, 6, 5, 4, 3, 2)
"""Candle lengths, in minutes, that the minute of the hour reveals; whole hours and days show as 60."""


@dataclass(slots=True)
class Spacing:
    """The spacing of the rows: `counts` has their number by minute of the hour, as written.

    `apart_ms` is the greatest common divisor of their distances; `adjacent` is set when two consecutive rows are a
    minute apart.
    """

    counts: Counter[int] = field(default_factory=Counter)
    last_ms: int = 0
    apart_ms: int = 0
    adjacent: bool = False

    def add(self, minute_ms: int, written: int) -> None:
        """Count a row."""
        if minute_ms == self.last_ms:
            return
        if self.last_ms:
            self.apart_ms = math.gcd(self.apart_ms, minute_ms - self.last_ms)
            self.adjacent |= abs(minute_ms - self.last_ms) == MINUTE_MS
        self.last_ms = minute_ms
        self.counts[written] += 1

    def check(self, name: str, *, minutes: bool) -> None:
        """Reject a file that looks like candles of more than a minute; with `minutes`, only a file that certainly is.

        Raises:
            ConfigError: it looks like such a file.
        """
        chances = {length: self._estimate_chance(length) for length in LENGTHS}
        length = min(LENGTHS, key=chances.__getitem__)
        if self.adjacent or chances[length] >= (NEVER if minutes else SELDOM):
            return
        if self.counts.total() == 1:
            problem = f"its only row is at minute {next(iter(self.counts))}, where candles of {length} min begin"
        else:
            problem = f"the rows are {max(length, self.apart_ms // MINUTE_MS)} min apart"
        step = "" if chances[length] < NEVER else ", or say --minutes if they are"
        raise ConfigError(f"{name}: {problem}; candles of one minute are needed{step}")

    def _estimate_chance(self, length: int) -> float:
        """Bound the chance that one-minute rows mostly fall on multiples of `length`, or at one offset from them."""
        total = self.counts.total()
        least = 1.0
        for offset in range(length):
            share = sum(count for minute, count in self.counts.items() if minute % length == offset) / max(total, 1)
            if 2 * share > 1 + 1 / length:
                least = min(least, (length if offset else 1) * _bound_tail(total, share, length))
        return least


def _bound_tail(total: int, share: float, length: int) -> float:
    """Return the Chernoff bound for this share of `total` minutes falling on one of `length`."""
    strays = (1 - share) * math.log((1 - share) / (1 - 1 / length)) if share < 1 else 0.0
    return math.exp(-total * (share * math.log(share * length) + strays))
