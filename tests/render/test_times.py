"""Instants as people read them."""

from collections.abc import Callable

import pytest

from btcts.domain.layout import FIVE_MINUTES, HOUR
from btcts.render.times import format_starts, iso, stamp

NOON_MS = 1_768_392_000_000
"""2026-01-14 12:00:00 UTC."""

AUTUMN_MS = 1_792_886_400_000
"""2026-10-25 00:00:00 UTC; clocks in Berlin go back at 01:00 UTC."""


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


@pytest.mark.parametrize("zone", ["UTC+24", "UTC-24", "XXX+24:59:59"])
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
