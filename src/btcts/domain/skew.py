"""Clock skew: our clock is wrong only if a majority of the providers' clocks agree that it is (pure)."""

from collections.abc import Sequence

from btcts.domain.codes import ProblemCode
from btcts.errors import Problem

MAX_SKEW_MS = 10_000
"""Maximum difference between the providers' clocks and ours; beyond it nothing is written."""


def measure_skew(dates_ms: Sequence[int], now_ms: int) -> int | None:
    """Return how far the clocks of a majority are ahead of `now_ms`, by their HTTP Date headers.

    The clocks of a majority lie within `MAX_SKEW_MS` of each other; without one the result is None. A Date header has
    a resolution of one second.
    """
    majority = _find_majority(dates_ms)
    return sum(majority) // len(majority) - now_ms if majority else None


def find_skew(dates_ms: Sequence[int], now_ms: int, *, least: int = 2) -> int | None:
    """Return the skew of a majority of at least `least` clocks if it exceeds `MAX_SKEW_MS`, else None."""
    ahead_ms = measure_skew(dates_ms, now_ms)
    if ahead_ms is None or abs(ahead_ms) <= MAX_SKEW_MS:
        return None
    return ahead_ms if len(_find_majority(dates_ms)) >= least else None


def describe_skew(skew_ms: int, source: str) -> Problem:
    """Say that the clock of `source` is wrong by the providers' clocks."""
    problem = f"the providers' clocks are {skew_ms / 1000:+.0f} s from {source}'s; set its clock right"
    return Problem(problem, ProblemCode.PROVIDER_CLOCKS)


def _find_majority(dates_ms: Sequence[int]) -> Sequence[int]:
    """Return the largest group of dates near each other, ascending, if it holds more than half of all; else none."""
    ascending = sorted(dates_ms)
    groups = ([date for date in ascending if first <= date <= first + MAX_SKEW_MS] for first in ascending)
    largest = max(groups, key=len, default=[])
    return largest if 2 * len(largest) > len(ascending) else []
