"""Refuse readings that cannot be a price of now (pure)."""

from collections.abc import Iterable
from typing import NamedTuple

from btcts.domain.codes import RefusalCode
from btcts.domain.layout import FUTURE_SLACK_MS
from btcts.domain.model import Reading, is_price
from btcts.errors import Problem

STALE_MS = 120_000
"""Maximum age of a price and of its last trade."""


class RefusedReading(NamedTuple):
    """A reading that was refused, and the reason."""

    provider: str
    reason: Problem


def sift(readings: Iterable[Reading], now_ms: int) -> tuple[tuple[Reading, ...], tuple[RefusedReading, ...]]:
    """Return the newest passing reading of each provider, sorted by name, and the refused readings."""
    passed, refused = [], []
    for reading in readings:
        if reason := _find_objection(reading, now_ms):
            refused.append(RefusedReading(reading.provider, reason))
        else:
            passed.append(reading)
    oldest_first = sorted(passed, key=lambda reading: (reading.observed_ms, reading.price))
    newest = {reading.provider: reading for reading in oldest_first}
    return tuple(newest[name] for name in sorted(newest)), tuple(sorted(refused))


def _find_objection(reading: Reading, now_ms: int) -> Problem | None:
    if not is_price(reading.price):
        return Problem(f"{reading.price!r} is no price", RefusalCode.BAD_PRICE)
    for what, time_ms in (("last trade", reading.traded_ms), ("price", reading.observed_ms)):
        if time_ms is None:
            continue
        if now_ms - time_ms > STALE_MS:
            return Problem(f"its {what} is {(now_ms - time_ms) / 1000:.1f} s old", RefusalCode.OLD_PRICE)
        if time_ms - now_ms > FUTURE_SLACK_MS:
            ahead_s = (time_ms - now_ms) / 1000
            return Problem(f"its {what} is {ahead_s:.1f} s ahead of the clock", RefusalCode.FUTURE_PRICE)
    return None
