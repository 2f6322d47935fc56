"""Whether the rows of a file lie as candles of a minute do, or as those of five minutes, an hour or a day.

What tells is the minute of the hour at which they begin: candles of an hour or more share it. A single row may be
strange, as the running candle at the end of some exports, so the last word has how unlikely the whole would be.
"""

import math
from collections import Counter
from dataclasses import dataclass, field

from btcts.domain.model import MINUTE_MS
from btcts.errors import ConfigError

SELDOM, NEVER = 1 / 24, 1 / 10_000
"""A file is doubted when minutes would lie so regularly by chance less often than the first, and refused whatever its
owner says when less often than the second."""

LENGTHS = (60, 30, 20, 15, 12, 10, 6, 5, 4, 3, 2)
"""The lengths of candles, in minutes, that the minute of the hour gives away; whole hours and days show as 60."""


@dataclass(slots=True)
class Spacing:
    """How far the rows lie apart: `counts` has them by the minute of the hour that is written.

    `apart_ms` is the longest time of which all are multiples, counted from any of them; `adjacent` says that two rows
    that follow each other are a minute apart.
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
        """Refuse what looks like candles of more than a minute; where it hardly does, unless `minutes` says it is not.

        Raises:
            ConfigError: it does.
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
        """How likely minutes lie by chance as these do, most of them on a multiple of `length` or all so much later."""
        total = self.counts.total()
        least = 1.0
        for offset in range(length):
            share = sum(count for minute, count in self.counts.items() if minute % length == offset) / max(total, 1)
            if 2 * share > 1 + 1 / length:
                least = min(least, (length if offset else 1) * _bound_tail(total, share, length))
        return least


def _bound_tail(total: int, share: float, length: int) -> float:
    """The most that the chance can be for this share of so many minutes to lie on one of `length` (Chernoff)."""
    strays = (1 - share) * math.log((1 - share) / (1 - 1 / length)) if share < 1 else 0.0
    return math.exp(-total * (share * math.log(share * length) + strays))
