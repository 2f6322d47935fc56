"""Readers of untrusted values, at the limits of the interpreter."""

import sys

import pytest

from btcts.domain.untrusted import Unreadable, parse_json, read_float, read_int, read_price

HUGE = 10**400  # no float is as large


def test_an_integer_too_large_for_a_float_is_refused() -> None:
    with pytest.raises(Unreadable):
        read_price(HUGE)
    with pytest.raises(Unreadable):
        read_float(HUGE, 0, 86_400)


def test_however_deeply_a_value_is_nested_it_is_refused() -> None:
    for depth in range(1, sys.getrecursionlimit() + 10):
        with pytest.raises(Unreadable):
            read_int(parse_json("[" * depth + "]" * depth))
