"""The judgement of our clock by those of the providers."""

import pytest

from btcts.agreement import skew_ms

NOON = 1_700_000_000_000


@pytest.mark.parametrize("dates", [[], [NOON - 3_600_000]], ids=["none", "one"])
def test_fewer_than_two_providers_cannot_say_that_our_clock_is_wrong(dates: list[int]) -> None:
    assert skew_ms(dates, NOON) is None


def test_providers_within_ten_seconds_agree_with_our_clock() -> None:
    assert skew_ms([NOON - 10_000, NOON - 10_000], NOON) is None


def test_the_median_of_the_providers_says_how_far_our_clock_is_off() -> None:
    assert skew_ms([NOON + 3_600_000, NOON + 3_600_400, NOON], NOON) == 3_600_000


def test_one_provider_with_a_wrong_clock_is_outvoted() -> None:
    assert skew_ms([NOON + 3_600_000, NOON, NOON + 500], NOON) is None
