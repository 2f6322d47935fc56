"""Numbers and times as people read them."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from btcts.config import BTC_USD
from btcts.domain.layout import FIVE_MINUTES, HOUR
from btcts.render.figures import countdown, decimals, duration, format_starts, iso, percent, price, share, signed, stamp

NOON_MS = 1_768_392_000_000
"""2026-01-14 12:00:00 UTC."""

AUTUMN_MS = 1_792_886_400_000
"""2026-10-25 00:00:00 UTC; clocks in Berlin go back at 01:00 UTC."""


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


@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Asia/Kathmandu"])
def test_machines_are_told_utc_in_any_zone(zone: str, set_zone: Callable[[str], None]) -> None:
    set_zone(zone)

    assert iso(NOON_MS + 999) == "2026-01-14T12:00:00Z"


@pytest.mark.parametrize(
    ("zone", "text"),
    [
        ("UTC", "2026-01-14 12:00:00 UTC"),
        ("America/New_York", "2026-01-14 07:00:00 EST"),
        ("Asia/Kathmandu", "2026-01-14 17:45:00 +0545"),
    ],
)
def test_people_are_told_local_time_and_its_zone(zone: str, text: str, set_zone: Callable[[str], None]) -> None:
    set_zone(zone)

    assert stamp(NOON_MS, utc=False) == text


def test_a_time_whose_local_year_is_10_000_is_in_utc(set_zone: Callable[[str], None]) -> None:
    set_zone("Asia/Tokyo")

    assert stamp(253_402_300_799_000, utc=False) == "9999-12-31 23:59:59 UTC"


@pytest.mark.parametrize("zone", ["UTC+24", "UTC-24", "ABC+24:59:59"])
def test_people_are_told_utc_where_the_zone_is_a_day_off(zone: str, set_zone: Callable[[str], None]) -> None:
    set_zone(zone)

    assert stamp(NOON_MS, utc=False) == "2026-01-14 12:00:00 UTC"
    assert format_starts([NOON_MS], utc=False) == ("Start UTC", ["12:00"])


def test_people_are_told_utc_on_request(set_zone: Callable[[str], None]) -> None:
    set_zone("Asia/Kathmandu")

    assert stamp(NOON_MS, utc=True) == "2026-01-14 12:00:00 UTC"


def test_slots_of_one_day_are_told_by_the_time_of_day(set_zone: Callable[[str], None]) -> None:
    set_zone("Asia/Kathmandu")

    heading, starts = format_starts(FIVE_MINUTES.slots(NOON_MS), utc=False)

    assert (heading, starts[0], starts[-1]) == ("Start +0545", "16:45", "17:45")


def test_slots_of_two_days_are_told_by_the_weekday_too(set_zone: Callable[[str], None]) -> None:
    set_zone("America/New_York")

    heading, starts = format_starts(HOUR.slots(NOON_MS), utc=False)

    assert (heading, starts[0], starts[-1]) == ("Start EST", "Tue 07:00", "Wed 07:00")


def test_the_hour_that_comes_twice_in_autumn_is_told_apart_by_its_zone(set_zone: Callable[[str], None]) -> None:
    set_zone("Europe/Berlin")

    heading, starts = format_starts(HOUR.slots(AUTUMN_MS + 2 * HOUR.bucket_ms), utc=False)

    assert heading == "Start"
    assert starts[-3:] == ["Sun 02:00 CEST", "Sun 02:00 CET", "Sun 03:00 CET"]
    assert len(set(starts)) == len(starts)
