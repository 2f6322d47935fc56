"""Simulated prices for demonstrations and tests: deterministic for a seed, at any time and in any order."""

import math
from functools import lru_cache

from btcts.domain.clock import Clock
from btcts.domain.model import MINUTE_MS, Candle, Candles, Reading, Span
from btcts.providers.base import UNBOUNDED_MS
from btcts.providers.pages import find_closed_part

LEVEL = 60_000.0

PERIODS_S = (1, 8, 64, 512, 4096, 32_768, 262_144)
"""The octaves of the noise. Each interpolates linearly between random heights one period apart, which scale with the
square root of the period, like the steps of a random walk."""

HEIGHT = 0.0001
"""The amplitude of the one-second octave. Minutes then differ by 0.05 % and days by 2 %, about like bitcoin, and
the price stays within a tenth of LEVEL for ever."""

_MASK = (1 << 64) - 1


class Simulated:
    """A market without gaps that trades once a second, at a price derived from the seed and the second alone.

    Candles reach back without limit and match the prices of `latest`.
    """

    name = "simulated"
    key_id = ""
    reach_ms = UNBOUNDED_MS
    page_minutes = UNBOUNDED_MS // MINUTE_MS
    bulky = False

    def __init__(self, clock: Clock, seed: int = 1) -> None:
        self._clock = clock
        self._seed = seed

    def latest(self) -> Reading:
        """Return the price of the current second."""
        now_ms = self._clock.now_ms()
        return Reading(self.name, self.price(now_ms), now_ms, traded_ms=now_ms // 1000 * 1000)

    def candles(self, span: Span) -> Candles:
        """Return the candles of the closed minutes of `span`."""
        covered = find_closed_part(span, self._clock.now_ms(), self.reach_ms)
        minutes = covered.minutes() if covered else ()
        return Candles(self.name, covered, tuple(map(self.candle, minutes)))

    def price(self, time_ms: int) -> float:
        """Return the price of the second that contains `time_ms`."""
        return self.prices(time_ms)[time_ms % MINUTE_MS // 1000]

    def candle(self, start_ms: int) -> Candle:
        """Return the candle of the minute that starts at `start_ms`."""
        prices = self.prices(start_ms)
        return Candle(start_ms, prices[0], max(prices), min(prices), prices[-1])

    def prices(self, time_ms: int) -> tuple[float, ...]:
        """Return the 60 prices of the minute that contains `time_ms`."""
        return _compute_prices(self._seed, time_ms // MINUTE_MS * 60)


@lru_cache(maxsize=2048)
def _compute_prices(seed: int, start_s: int) -> tuple[float, ...]:
    """Return the prices of the minute that starts at `start_s`; the window is asked for again and again."""
    octaves = (_compute_heights(seed, period_s, start_s) for period_s in PERIODS_S)
    return tuple(round(LEVEL * math.exp(HEIGHT * sum(heights)), 2) for heights in zip(*octaves, strict=True))


def _compute_heights(seed: int, period_s: int, start_s: int) -> list[float]:
    """Return the heights of one octave in the minute that starts at `start_s`."""
    first = start_s // period_s
    knots = [_compute_noise(seed, period_s, i) for i in range(first, (start_s + 59) // period_s + 2)]
    heights = []
    for second in range(start_s, start_s + 60):
        index, part = divmod(second - first * period_s, period_s)
        heights.append(knots[index] + (knots[index + 1] - knots[index]) * part / period_s)
    return heights


def _compute_noise(seed: int, period_s: int, index: int) -> float:
    """Return a pseudo-random height of the octave: the splitmix64 hash of its index."""
    z = (index * 0x9E3779B97F4A7C15 + period_s * 0xD1342543DE82EF95 + seed * 0x2545F4914F6CDD1D) & _MASK
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 & _MASK
    z = (z ^ z >> 27) * 0x94D049BB133111EB & _MASK
    return ((z ^ z >> 31) / (1 << 63) - 1) * math.sqrt(period_s)
