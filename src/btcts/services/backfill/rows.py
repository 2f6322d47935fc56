"""Rows of a file of candles: their times, and by these the length of the candles.

Times are numbers since 1970 in one of four units, or ISO 8601 to the minute. The minute of the hour at which rows start
gives the length of candles away: hourly candles all share it. A single row may be off, like the running candle at the
end of some exports, so the decision rests on how improbable the whole pattern is.
"""

import math
import re
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from btcts.domain.model import MINUTE_MS
from btcts.domain.untrusted import END_MS, GENESIS_MS
from btcts.errors import ConfigError
from btcts.providers.base import quoted

UNITS = {"seconds": 1_000_000_000, "milliseconds": 1_000_000, "microseconds": 1000, "nanoseconds": 1}
"""Length of each unit in ns. At most one of them turns a number into a time since bitcoin began."""

ISO = "ISO 8601"

MS_NS = 1_000_000

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DATE = re.compile(r"\d{4}-?\d\d-?\d\d", re.ASCII)
_WRITTEN = re.compile(
    rf"(?P<when>{_DATE.pattern}[T ]\d\d:?(?P<minute>\d\d)(:?\d\d([.,]\d+)?)?) *(?P<zone>Z|UTC|GMT|[+-]\d\d(:?\d\d)?)?",
    re.IGNORECASE | re.ASCII,
)
"""A time in ISO 8601, at least to the minute, optionally with a blank before its zone."""

SELDOM, NEVER = 1 / 24, 1 / 10_000
"""A file is rejected when one-minute rows would show this pattern by chance with less than the first probability, and
with less than the second even if --minutes is given."""

LENGTHS = (60, 30, 20, 15, 12, 10, 6, 5, 4, 3, 2)
"""Candle lengths, in minutes, that the minute of the hour reveals; whole hours and days show as 60."""


def parse_time(text: str) -> tuple[str, int, int]:
    """Return the unit of a time (empty for an invalid one), its ns since the epoch, and its minute of the hour.

    The minute is the one in the text: local time when the text has a UTC offset.
    """
    whole, _, fraction = text.partition(".")
    written = _WRITTEN.fullmatch(text)
    try:
        if whole.isdecimal() and text.isascii() and not fraction.strip("0"):
            units, number = UNITS, int(whole)
        elif written:
            zone = written["zone"] or "UTC"
            then = datetime.fromisoformat(written["when"] + (zone if zone[0] in "+-" else "+00:00"))
            units, number = {ISO: 1000}, (then - _EPOCH) // timedelta(microseconds=1)
        else:
            return "", 0, 0
    except (ValueError, OverflowError):
        return "", 0, 0
    times = ((unit, number * size) for unit, size in units.items())
    unit, time_ns = next(((unit, ns) for unit, ns in times if GENESIS_MS * MS_NS <= ns < END_MS * MS_NS), ("", 0))
    return unit, time_ns, int(written["minute"]) if written else time_ns // (MINUTE_MS * MS_NS) % 60


def describe_misfit(text: str) -> str:
    """Explain why a text is not the time of a minute."""
    if _DATE.fullmatch(text.strip()):
        return f"{quoted(text)} is a date without a time, like that of a daily candle; candles of one minute are needed"
    return f"{quoted(text)} is not a time from 2009-01-03 to 2099; write seconds since 1970 (UTC)"


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
