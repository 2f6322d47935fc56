"""Times in the rows of a file: numbers since 1970 in one of four units, or ISO 8601 to the minute."""

import re
from datetime import UTC, datetime, timedelta

from btcts.domain.model import MINUTE_MS
from btcts.providers.base import END_MS, GENESIS_MS, quoted

UNITS = {"seconds": 1_000_000_000, "milliseconds": 1_000_000, "microseconds": 1000, "nanoseconds": 1}
"""Length of each unit in ns. At most one of them turns a number into a time since bitcoin began."""

ISO = "ISO 8601"

MS_NS = 1_000_000

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DATE = re.compile(r"\d{4}-?\d\d-?\d\d")
_WRITTEN = re.compile(
    rf"(?P<when>{_DATE.pattern}[T ]\d\d:?(?P<minute>\d\d)(:?\d\d([.,]\d+)?)?) *(?P<zone>Z|UTC|GMT|[+-]\d\d(:?\d\d)?)?",
    re.IGNORECASE,
)
"""A time in ISO 8601, at least to the minute, optionally with a blank before its zone."""


def parse_time(text: str) -> tuple[str, int, int]:
    """Return the unit of a time (empty for an invalid one), its ns since the epoch, and its minute of the hour.

    The minute is the one in the text: local time when the text has a UTC offset.
    """
    whole, _, fraction = text.partition(".")
    written = _WRITTEN.fullmatch(text)
    try:
        if whole.isdecimal() and not fraction.strip("0"):
            units, number = UNITS, int(whole)
        elif written:
            then = datetime.fromisoformat(written["when"] + _normalize_zone(written["zone"] or "UTC"))
            units, number = {ISO: 1000}, (then - _EPOCH) // timedelta(microseconds=1)
        else:
            return "", 0, 0
    except (ValueError, OverflowError):
        return "", 0, 0
    times = ((unit, number * size) for unit, size in units.items())
    unit, time_ns = next(((unit, ns) for unit, ns in times if GENESIS_MS * MS_NS <= ns < END_MS * MS_NS), ("", 0))
    return unit, time_ns, int(written["minute"]) if written else time_ns // (MINUTE_MS * MS_NS) % 60


def _normalize_zone(text: str) -> str:
    return text if text[0] in "+-" else "+00:00"


def describe_misfit(text: str) -> str:
    """Explain why a text is not the time of a minute."""
    if _DATE.fullmatch(text.strip()):
        return f"{quoted(text)} is a date without a time, like that of a daily candle; candles of one minute are needed"
    return f"{quoted(text)} is not a time from 2009-01-03 to 2099; write seconds since 1970 (UTC)"
