"""The values that pass between the modules."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from btcts.domain.model import PRICE_CEILING, Candle, Slot, Span, is_price

MINUTE = 1_767_225_600_000


@pytest.mark.parametrize("value", [1e-8, 1, 64_123.45678901, PRICE_CEILING])
def test_a_finite_positive_number_is_a_price(value: float) -> None:
    assert is_price(value)


@pytest.mark.parametrize("value", [0, -0.0, -1, math.nan, math.inf, -math.inf, math.nextafter(PRICE_CEILING, math.inf)])
def test_zero_negatives_and_what_is_beyond_belief_are_no_prices(value: float) -> None:
    assert not is_price(value)


def test_a_span_holds_its_start_and_not_its_end() -> None:
    span = Span(10, 20)

    assert 10 in span
    assert 19 in span
    assert 9 not in span
    assert 20 not in span


def test_a_span_cannot_end_before_it_starts() -> None:
    with pytest.raises(ValueError, match=r"20 \.\. 10"):
        Span(20, 10)


def test_an_empty_span_holds_nothing() -> None:
    assert 10 not in Span(10, 10)


@given(start=st.integers(0, 10_000_000), length=st.integers(0, 1_000_000))
def test_the_minutes_of_a_span_are_those_wholly_inside(start: int, length: int) -> None:
    minutes = Span(start, start + length).minutes()

    candidates = range(0, start + length + 60_000, 60_000)
    assert list(minutes) == [minute for minute in candidates if start <= minute and minute + 60_000 <= start + length]


def test_a_candle_starts_on_a_whole_minute() -> None:
    with pytest.raises(ValueError, match="off the minute"):
        Candle(MINUTE + 1, 10, 12, 9, 11)


@pytest.mark.parametrize("value", [0, -1, math.nan, math.inf])
@pytest.mark.parametrize("field", ["open", "high", "low", "close"])
def test_every_field_of_a_candle_is_a_price(field: str, value: float) -> None:
    prices: dict[str, float] = {"open": 10, "high": 12, "low": 9, "close": 11} | {field: value}

    with pytest.raises(ValueError, match="no price"):
        Candle(MINUTE, **prices)


@pytest.mark.parametrize(
    ("opened", "high", "low", "close"), [(8, 12, 9, 11), (13, 12, 9, 11), (10, 12, 9, 8), (10, 12, 9, 13)]
)
def test_a_candle_stays_in_its_own_range(opened: float, high: float, low: float, close: float) -> None:
    with pytest.raises(ValueError, match="own range"):
        Candle(MINUTE, opened, high, low, close)


def test_a_candle_may_stand_still() -> None:
    assert Candle(MINUTE, 10, 10, 10, 10).low == 10


def test_a_slot_without_a_close_is_missing() -> None:
    missing = Slot(MINUTE, None, None, None, closed=True, settled=False, minutes=0)

    assert missing.missing
    assert not missing._replace(close=10.0).missing
