"""The simulated market can be asked anything in any order and always says the same."""

import math
import statistics
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from btcts.domain.model import HOUR_MS, MINUTE_MS, Candles, Span, is_price
from btcts.providers.simulated import LEVEL, Simulated
from providers.opening import NOW_MS
from support.clocks import FakeClock

TIMES = st.integers(1_231_006_505_000, 4_102_444_800_000)


@given(TIMES)
def test_a_reading_lies_in_the_candle_of_its_minute(time_ms: int) -> None:
    simulated = Simulated(FakeClock(time_ms))

    reading = simulated.latest()
    candle = simulated.candle(time_ms // MINUTE_MS * MINUTE_MS)

    assert candle.low <= reading.price <= candle.high
    assert (reading.observed_ms, reading.traded_ms) == (time_ms, time_ms // 1000 * 1000)


@given(TIMES)
def test_a_candle_is_the_path_of_its_sixty_seconds(time_ms: int) -> None:
    simulated = Simulated(FakeClock(time_ms))
    start_ms = time_ms // MINUTE_MS * MINUTE_MS

    path = [simulated.price(start_ms + second * 1000) for second in range(60)]
    candle = simulated.candle(start_ms)

    assert (candle.open, candle.high, candle.low, candle.close) == (path[0], max(path), min(path), path[-1])


@given(TIMES, st.integers())
def test_the_price_stays_near_its_level_for_every_seed(time_ms: int, seed: int) -> None:
    price = Simulated(FakeClock(time_ms), seed).latest().price

    assert is_price(price)
    assert 0.9 < price / LEVEL < 1.1


def test_the_prices_are_the_same_in_every_version() -> None:
    prices = Simulated(FakeClock(NOW_MS), seed=1).prices(NOW_MS)

    assert prices[:3] == (60458.74, 60457.14, 60460.35)


def test_another_seed_is_another_market() -> None:
    one, two = (Simulated(FakeClock(NOW_MS), seed).candle(NOW_MS // MINUTE_MS * MINUTE_MS) for seed in (1, 2))

    assert one != two


def test_candles_have_no_gaps_and_end_with_the_last_closed_minute() -> None:
    closed_ms = NOW_MS // MINUTE_MS * MINUTE_MS
    simulated = Simulated(FakeClock(NOW_MS))

    candles = simulated.candles(Span(NOW_MS - HOUR_MS, NOW_MS + HOUR_MS))

    span = Span(closed_ms - 59 * MINUTE_MS, closed_ms)
    assert candles == Candles("simulated", span, tuple(map(simulated.candle, span.minutes())))


def test_minutes_and_days_differ_as_those_of_bitcoin_do() -> None:
    simulated = Simulated(FakeClock(NOW_MS))

    def deviation(step_ms: int) -> float:
        prices = [simulated.price(NOW_MS + each * step_ms) for each in range(300)]
        return statistics.stdev(math.log(after / before) for before, after in pairwise(prices))

    assert 0.0003 < deviation(MINUTE_MS) < 0.0008
    assert 0.01 < deviation(24 * HOUR_MS) < 0.03
