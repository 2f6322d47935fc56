"""Numbers as people read them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from btcts.config import BTC_USD
from btcts.render.figures import countdown, decimals, duration, percent, price, share, signed


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.00001234, "0.00001234"),
        (0.0123, "0.01230"),
        (0.5, "0.5000"),
        (1.0, "1.0000"),
        (9.99, "9.9900"),
        (10.0, "10.00"),
        (64_123.456, "64,123.46"),
        (1_000_000.0, "1,000,000.00"),
        (1e8, "100,000,000.00"),
    ],
)
def test_a_price_has_cents_and_below_ten_dollars_four_significant_digits(value: float, text: str) -> None:
    assert price(value, decimals(value, BTC_USD)) == text


@pytest.mark.parametrize("value", [0.0, -1.0, float("nan")])
def test_what_is_no_price_still_has_a_number_of_decimals(value: float) -> None:
    assert decimals(value, BTC_USD) == 8


@given(st.floats(min_value=1e-4, max_value=1e8))
def test_a_written_price_is_off_by_less_than_a_thousandth(value: float) -> None:
    written = float(price(value, decimals(value, BTC_USD)).replace(",", ""))

    assert abs(written - value) < value / 1000


@pytest.mark.parametrize(
    ("value", "text"), [(12.3, "+12.30"), (-1234.5, "-1,234.50"), (0.0, "0.00"), (0.001, "0.00"), (-0.001, "0.00")]
)
def test_a_change_has_a_sign_unless_it_rounds_to_nothing(value: float, text: str) -> None:
    assert signed(value, 2) == text


@pytest.mark.parametrize(
    ("fraction", "text"),
    [
        (0.0004, "+0.04%"),
        (-0.00421, "-0.42%"),
        (0.00001, "0.00%"),
        (-0.00001, "0.00%"),
        (9.5, "+950.00%"),
        (999_999.0, "+99,999,900%"),
        (-0.99999, "-100.00%"),
    ],
)
def test_a_relative_change_has_decimals_until_they_say_nothing(fraction: float, text: str) -> None:
    assert percent(fraction) == text


@pytest.mark.parametrize(
    ("fraction", "places", "text"),
    [(0.0, 3, "0.000%"), (0.004471, 3, "0.447%"), (1.0499, 1, "105.0%"), (123.4567, 1, "12,345.7%")],
)
def test_a_share_has_no_sign_and_as_many_decimals_as_asked_for(fraction: float, places: int, text: str) -> None:
    assert share(fraction, places) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0 s"),
        (0.9, "0 s"),
        (3.4, "3 s"),
        (60, "1 min"),
        (150, "2 min 30 s"),
        (3_600, "1 h"),
        (3_601, "1 h"),
        (11_520, "3 h 12 min"),
        (86_400 * 5 + 3_600 * 3 + 59, "5 d 3 h"),
    ],
)
def test_a_duration_is_said_in_its_two_largest_units(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("left_ms", "text"), [(300_000, "5:00"), (250_000, "4:10"), (1, "0:01"), (0, "0:00"), (3_599_001, "60:00")]
)
def test_a_countdown_reaches_zero_only_when_nothing_is_left(left_ms: int, text: str) -> None:
    assert countdown(left_ms) == text
