"""The clocks of the providers beside ours: only a majority of them can say that ours is wrong (pure)."""

from collections.abc import Sequence

MAX_SKEW_MS = 10_000
"""How far the providers' clocks may be from ours before nothing is written."""


def measure_skew(dates_ms: Sequence[int], now_ms: int) -> int | None:
    """Return how far the clocks of a majority are ahead of `now_ms`, by their HTTP Date headers.

    The clocks of a majority lie within `MAX_SKEW_MS` of each other; None where no such majority exists. A Date header
    has a resolution of one second.
    """
    majority = _find_majority(dates_ms)
    return sum(majority) // len(majority) - now_ms if majority else None


def find_skew(dates_ms: Sequence[int], now_ms: int, *, least: int = 2) -> int | None:
    """Return how far a majority of at least `least` clocks is ahead of `now_ms` when that is too much, else None."""
    ahead_ms = measure_skew(dates_ms, now_ms)
    if ahead_ms is None or abs(ahead_ms) <= MAX_SKEW_MS:
        return None
    return ahead_ms if len(_find_majority(dates_ms)) >= least else None


def _find_majority(dates_ms: Sequence[int]) -> Sequence[int]:
    """The largest group of dates near each other where more than half of all are in it, ascending; else none."""
    ascending = sorted(dates_ms)
    groups = ([date for date in ascending if first <= date <= first + MAX_SKEW_MS] for first in ascending)
    largest = max(groups, key=len, default=[])
    return largest if 2 * len(largest) > len(ascending) else []
