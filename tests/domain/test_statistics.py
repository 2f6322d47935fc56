"""Volatility, against numpy on the same prices and by what must hold for any prices; moves and the range of a day."""

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from btcts.domain.layout import HOUR, MINUTE, RESOLUTIONS, Resolution
from btcts.domain.model import HOUR_MS, MINUTE_MS, Slot
from btcts.domain.statistics import SPANS, PriceMove, Volatility, compute_move, find_day_range, volatility_of
from support.series import NOW

START_MS = 1_768_406_400_000

Prices = tuple[float, float, float]
"""Min, close and max of a slot."""


def slot(number: int, prices: Prices | None, *, closed: bool = True) -> Slot:
    low, close, high = prices or (None, None, None)
    return Slot(
        START_MS + number * HOUR_MS,
        close,
        low,
        high,
        closed=closed,
        settled=bool(prices),
        minutes=60 if prices else 0,
    )


def slots(prices: Sequence[Prices | None]) -> list[Slot]:
    """One closed slot of an hour after the other; None for a missing one."""
    return [slot(number, traded) for number, traded in enumerate(prices)]


def of(*prices: Prices | None) -> Volatility:
    return volatility_of(slots(prices), HOUR_MS)


def flat(price: float) -> Prices:
    return price, price, price


def scaled(original: Slot, factor: float) -> Slot:
    """The slot with its prices multiplied."""
    prices = {name: value and value * factor for name in ("close", "min", "max") for value in [getattr(original, name)]}
    return original._replace(**prices)


price = st.floats(min_value=1e-4, max_value=1e7)
some_prices = st.tuples(price, price, price).map(lambda three: (min(three), sorted(three)[1], max(three)))
many_slots = st.lists(st.none() | some_prices, max_size=30).map(slots)
full_slots = st.lists(some_prices, min_size=3, max_size=30)


@given(full_slots)
def test_realised_volatility_is_what_numpy_makes_of_the_closes(prices: list[Prices]) -> None:
    closes = np.array([close for _, close, _ in prices])

    measured = of(*prices)

    returns = np.diff(np.log(closes))
    assert measured.realised == pytest.approx(np.sqrt(np.mean(returns**2)), rel=1e-9, abs=1e-14)
    assert measured.realised_per_year == pytest.approx(np.sqrt(np.mean(returns**2) * 8_760), rel=1e-9, abs=1e-12)


@given(full_slots)
def test_the_parkinson_estimate_is_what_numpy_makes_of_the_ranges(prices: list[Prices]) -> None:
    lows, highs = np.array([low for low, _, _ in prices]), np.array([high for _, _, high in prices])

    measured = of(*prices)

    variance = np.sum((np.log(highs) - np.log(lows)) ** 2) / (4 * len(prices) * np.log(2))
    assert measured.parkinson == pytest.approx(np.sqrt(variance), rel=1e-9, abs=1e-14)
    assert measured.parkinson_per_year == pytest.approx(np.sqrt(variance * 8_760), rel=1e-9, abs=1e-12)


@given(full_slots)
def test_the_range_and_the_widest_slot_are_those_that_numpy_finds(prices: list[Prices]) -> None:
    lows, highs = np.array([low for low, _, _ in prices]), np.array([high for _, _, high in prices])

    measured = of(*prices)

    at = int(np.argmax(highs - lows))
    assert measured.range == (START_MS, lows.min(), highs.max())
    assert measured.range.width == np.ptp([lows, highs])
    assert measured.range.ratio == highs.max() / lows.min() - 1
    assert measured.widest == (START_MS + at * HOUR_MS, lows[at], highs[at])


@given(many_slots, st.integers(min_value=-10, max_value=3))
def test_the_unit_of_the_price_does_not_matter(of_any: list[Slot], power: int) -> None:
    """Doubling is exact in floating point, so the figures are the very same ones."""
    measured, other = (
        volatility_of(listed, HOUR_MS) for listed in (of_any, [scaled(original, 2.0**power) for original in of_any])
    )

    assert (other.realised, other.parkinson) == (measured.realised, measured.parkinson)
    assert (other.range and other.range.ratio) == (measured.range and measured.range.ratio)
    assert (other.widest and other.widest.ratio) == (measured.widest and measured.widest.ratio)


@given(price, st.integers(min_value=3, max_value=30))
def test_a_price_that_stands_still_has_no_volatility(still: float, count: int) -> None:
    measured = of(*[flat(still)] * count)

    assert measured.range is not None
    assert (measured.range.width, measured.range.ratio) == (0, 0)
    assert (measured.realised, measured.realised_per_year) == (0, 0)
    assert (measured.parkinson, measured.parkinson_per_year) == (0, 0)


@given(many_slots)
def test_a_figure_is_finite_and_not_negative_or_it_is_none(of_any: list[Slot]) -> None:
    measured = volatility_of(of_any, HOUR_MS)

    figures = (measured.realised, measured.realised_per_year, measured.parkinson, measured.parkinson_per_year)
    assert all(figure is None or (math.isfinite(figure) and figure >= 0) for figure in figures)


@given(full_slots)
def test_realised_volatility_is_the_same_backwards(prices: list[Prices]) -> None:
    there, back = of(*prices), of(*reversed(prices))

    assert back.realised == pytest.approx(there.realised, rel=1e-9, abs=1e-14)


def test_a_known_case_by_hand() -> None:
    e = math.e

    measured = of((1.0, 1.0, e), (1.0, e, e), (1.0, 1.0, e))

    assert measured.realised == 1.0
    assert measured.parkinson == pytest.approx(math.sqrt(1 / (4 * math.log(2))), rel=1e-15)
    assert measured.realised_per_year == math.sqrt(8_760)


def test_a_year_of_minutes_has_525_600_of_them() -> None:
    still = [
        slot(0, (1.0, close, 2.0))._replace(start_ms=start) for start, close in ((0, 1), (MINUTE_MS, 2), (120_000, 1))
    ]

    measured = volatility_of(still, MINUTE_MS)

    assert measured.realised_per_year == math.log(2) * math.sqrt(525_600)


def test_a_year_is_365_days_of_24_hours() -> None:
    assert HOUR.bucket_ms * 8_760 == MINUTE.bucket_ms * 525_600 == 365 * 86_400_000


def test_no_return_is_taken_over_a_missing_slot() -> None:
    measured = of(flat(1.0), flat(2.0), None, flat(16.0), flat(8.0))

    assert measured.returns == 2
    assert measured.realised == math.log(2)


def test_no_return_is_taken_where_a_slot_is_not_even_listed() -> None:
    listed = slots([flat(1.0), flat(2.0), flat(400.0), flat(16.0), flat(8.0)])

    measured = volatility_of([*listed[:2], *listed[3:]], HOUR_MS)

    assert (measured.returns, measured.realised) == (2, math.log(2))


@pytest.mark.parametrize("prices", [[flat(1.0), flat(2.0)], [flat(1.0), None, flat(2.0), None, flat(1.0)]])
def test_fewer_than_two_returns_tell_no_realised_volatility(prices: list[Prices | None]) -> None:
    measured = of(*prices)

    assert (measured.realised, measured.realised_per_year) == (None, None)
    assert measured.parkinson is not None


def test_one_slot_has_a_range_but_no_volatility() -> None:
    measured = of((90.0, 100.0, 120.0))

    assert measured.range == measured.widest == (START_MS, 90.0, 120.0)
    assert (measured.ranges, measured.parkinson, measured.parkinson_per_year) == (1, None, None)


@pytest.mark.parametrize("prices", [[], [None, None]])
def test_without_a_price_nothing_is_known(prices: list[Prices | None]) -> None:
    nothing = Volatility(HOUR_MS, range=None, widest=None, returns=0, realised=None, ranges=0, parkinson=None)

    assert of(*prices) == nothing
    assert (nothing.realised_per_year, nothing.parkinson_per_year) == (None, None)


def test_the_open_slot_does_not_count() -> None:
    closed = slots([(90.0, 100.0, 120.0), (95.0, 105.0, 110.0), (99.0, 100.0, 101.0)])

    measured = volatility_of([*closed, slot(3, (1.0, 1.0, 1000.0), closed=False)], HOUR_MS)

    assert measured == volatility_of(closed, HOUR_MS)


def test_of_equally_wide_slots_the_oldest_is_named() -> None:
    measured = of((10.0, 10.0, 11.0), (10.0, 12.0, 15.0), (20.0, 22.0, 25.0))

    assert measured.widest is not None
    assert measured.widest.start_ms == START_MS + HOUR_MS


def test_a_slot_without_min_and_max_still_makes_returns() -> None:
    closed = [listed._replace(min=None, max=None) for listed in slots([flat(1.0), flat(2.0), flat(1.0)])]

    measured = volatility_of(closed, HOUR_MS)

    assert (measured.range, measured.widest, measured.ranges, measured.parkinson) == (None, None, 0, None)
    assert (measured.returns, measured.realised) == (2, math.log(2))


@pytest.mark.parametrize("wrong", [0.0, -1.0, math.nan])
def test_what_is_no_price_does_not_count(wrong: float) -> None:
    measured = of(flat(1.0), flat(2.0), flat(wrong), flat(2.0), flat(1.0))

    assert measured == of(flat(1.0), flat(2.0), None, flat(2.0), flat(1.0))


def day_slots(resolution: Resolution, closes: dict[int, float]) -> tuple[Slot, ...]:
    """The slots of the clock, those that start so long ago with a close; min and max are 10 USD away from it."""
    return tuple(
        Slot(start, close, close and close - 10, close and close + 10, closed=True, settled=True, minutes=1)
        for start in resolution.slots(NOW)
        for close in [closes.get(resolution.start_of(NOW) - start)]
    )


@pytest.mark.parametrize(
    ("span", "resolution", "ago_ms"),
    [
        ("5min", MINUTE, 5 * MINUTE_MS),
        ("15min", MINUTE, 15 * MINUTE_MS),
        ("1h", MINUTE, 60 * MINUTE_MS),
        ("24h", HOUR, 24 * HOUR_MS),
    ],
)
def test_a_move_begins_with_the_close_of_the_slot_in_which_that_long_ago_lies(
    span: str, resolution: Resolution, ago_ms: int
) -> None:
    known = {resolution.name: day_slots(resolution, {ago_ms: 50_000.0})}

    moved = compute_move(span, known, 60_000.0, NOW)

    assert moved == PriceMove(50_000.0, 60_000.0)
    assert (moved.amount, moved.ratio) == (10_000.0, 60_000 / 50_000 - 1)


@pytest.mark.parametrize("span", SPANS)
def test_a_move_from_a_missing_slot_is_not_known(span: str) -> None:
    assert (
        compute_move(span, {name: day_slots(resolution, {}) for name, resolution in RESOLUTIONS.items()}, 60_000.0, NOW)
        is None
    )


@pytest.mark.parametrize("span", SPANS)
def test_a_move_without_the_slots_that_reach_so_far_back_is_not_known(span: str) -> None:
    newest_alone = {name: day_slots(resolution, {0: 50_000.0})[-1:] for name, resolution in RESOLUTIONS.items()}

    assert compute_move(span, newest_alone, 60_000.0, NOW) is None
    assert compute_move(span, {}, 60_000.0, NOW) is None


def test_without_a_newest_price_there_is_no_move() -> None:
    assert compute_move("5min", {"minute": day_slots(MINUTE, {5 * MINUTE_MS: 50_000.0})}, None, NOW) is None


def test_the_range_of_the_day_is_over_all_hours_the_open_one_included() -> None:
    known = {"hour": day_slots(HOUR, {24 * HOUR_MS: 50_000.0, 3 * HOUR_MS: 40_000.0, 0: 60_000.0})}

    assert find_day_range(known, NOW) == (39_990.0, 60_010.0)


def test_the_range_of_the_day_is_not_known_from_a_part_of_it() -> None:
    assert find_day_range({"hour": day_slots(HOUR, {0: 60_000.0})[1:]}, NOW) is None
    assert find_day_range({"hour": day_slots(HOUR, {})}, NOW) is None
