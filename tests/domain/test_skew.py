"""The judgement of our clock by those of the providers."""

import pytest

from btcts.domain.skew import find_skew, measure_skew

NOON = 1_700_000_000_000


@pytest.mark.parametrize("dates", [[], [NOON - 3_600_000]], ids=["none", "one"])
def test_fewer_than_two_providers_cannot_say_that_our_clock_is_wrong(dates: list[int]) -> None:
    assert find_skew(dates, NOON) is None


def test_providers_within_ten_seconds_agree_with_our_clock() -> None:
    assert find_skew([NOON - 10_000, NOON - 10_000], NOON) is None


def test_the_median_of_a_majority_says_how_far_our_clock_is_off() -> None:
    assert find_skew([NOON + 3_600_000, NOON + 3_600_400, NOON], NOON) == 3_600_200


@pytest.mark.parametrize("right", [1, 2, 3])
def test_an_even_split_says_nothing_about_our_clock(right: int) -> None:
    dates = [NOON] * right + [NOON + 60_000] * right

    assert find_skew(dates, NOON) is None
    assert measure_skew(dates, NOON) is None


def test_clocks_that_differ_from_each_other_say_nothing_about_ours() -> None:
    assert find_skew([NOON - 30_000, NOON - 90_000, NOON - 300_000, NOON, NOON], NOON) is None


def test_a_tick_from_the_future_needs_one_clock_alone() -> None:
    assert find_skew([NOON + 60_000], NOON, least=1) == 60_000


def test_one_provider_with_a_wrong_clock_is_outvoted() -> None:
    assert find_skew([NOON + 3_600_000, NOON, NOON + 500], NOON) is None
