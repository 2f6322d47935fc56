"""Prices, amounts and times as they are read from answers."""

import sys
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from btcts.domain.model import DAY_MS, PRICE_CEILING
from btcts.domain.untrusted import END_MS, GENESIS_MS
from btcts.errors import ProviderError, ProviderLimited
from btcts.providers.base import (
    NS_PER_MS,
    iso,
    parse_amount,
    parse_iso_ms,
    parse_iso_ns,
    parse_ms,
    parse_ns,
    parse_price,
    quoted,
)
from btcts.providers.kraken import Kraken
from providers.opening import NOW_MS, Answers, reply
from support.wording import Wording

wording = Wording(__file__)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.decimals(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@given(st.floats(min_value=1e-9, max_value=PRICE_CEILING))
def test_a_price_is_the_same_as_text_decimal_and_number(price: float) -> None:
    assert parse_price("kraken", price) == price
    assert parse_price("kraken", repr(price)) == price
    assert parse_price("kraken", Decimal(repr(price))) == price


@pytest.mark.parametrize(
    "value",
    [
        *[None, True, False, 0, -1, 100_000_001, float("nan"), float("inf"), Decimal("NaN"), Decimal("1e400"), 10**400],
        *["", "0", "-5", "NaN", "nan", "inf", "Infinity", "1e9", "1e999", "60,000.5", "<b>", [], {}, [60000]],
    ],
    ids=quoted,
)
def test_what_is_no_price_is_refused_with_its_value(value: Any) -> None:
    with pytest.raises(ProviderError) as raised:
        parse_price("kraken", value)

    wording.check("no price", str(raised.value), value=quoted(value))


def in_bounds(low: float, read: Callable[..., float], value: Any, high: float) -> bool:
    """Tell whether reading ends with a value in bounds or with an error of one line."""
    try:
        return low <= read("kraken", value) <= high
    except ProviderError as exc:
        return str(exc).isprintable()


@given(JSON)
def test_whatever_is_read_ends_within_bounds_or_as_an_error_of_one_line(value: Any) -> None:
    assert in_bounds(1e-300, parse_price, value, PRICE_CEILING)
    assert in_bounds(0, parse_amount, value, sys.float_info.max)
    assert in_bounds(GENESIS_MS, parse_ms, value, END_MS)
    assert in_bounds(GENESIS_MS, parse_iso_ms, value, END_MS)
    assert in_bounds(GENESIS_MS * NS_PER_MS, parse_ns, value, END_MS * NS_PER_MS)
    assert in_bounds(GENESIS_MS * NS_PER_MS, parse_iso_ns, value, END_MS * NS_PER_MS)


@pytest.mark.parametrize("value", [0, "0.00000000", Decimal("0.0"), 1.5, "4.727521520000001", 7])
def test_an_amount_may_be_nothing(value: Any) -> None:
    assert parse_amount("kraken", value) == float(value)


@pytest.mark.parametrize("value", [None, "", -1, "-0.1", "NaN", True, [], float("inf")])
def test_an_amount_is_a_number_of_at_least_0(value: Any) -> None:
    with pytest.raises(ProviderError, match="amount"):
        parse_amount("kraken", value)


@pytest.mark.parametrize(
    ("value", "unit_ms", "time_ms"),
    [
        (1688669597, 1000, 1688669597000),
        ("1688669597", 1000, 1688669597000),
        (Decimal("1688669597.8277369"), 1000, 1688669597827),
        (1507050166815, 1, 1507050166815),
    ],
)
def test_a_time_counts_from_the_epoch_in_its_unit(value: Any, unit_ms: int, time_ms: int) -> None:
    assert parse_ms("kraken", value, unit_ms=unit_ms) == time_ms


@pytest.mark.parametrize(
    ("text", "time_ms"),
    [
        ("2017-10-03T04:00:31.887000Z", 1507003231887),
        ("2024-03-13T11:10:41.270099Z", 1710328241270),
        ("2026-09-30T11:55:00.000Z", 1790769300000),
        ("2026-09-30T11:55:00Z", 1790769300000),
        ("2026-09-30T04:55:00-07:00", 1790769300000),
    ],
)
def test_a_written_time_is_read_with_its_offset(text: str, time_ms: int) -> None:
    assert parse_iso_ms("coinbase", text) == time_ms


@pytest.mark.parametrize("value", ["2026-09-30T11:55:00", "2026-09-30", "11:55", "", None, 7, "1970-01-01T00:00:00Z"])
def test_a_written_time_without_offset_or_sense_is_refused(value: Any) -> None:
    with pytest.raises(ProviderError, match=r" time$"):
        parse_iso_ms("coinbase", value)


@given(st.integers(GENESIS_MS * NS_PER_MS, END_MS * NS_PER_MS - 1))
def test_nanoseconds_are_exact_as_a_number_a_text_and_a_written_time(time_ns: int) -> None:
    written = iso(time_ns // NS_PER_MS).replace("Z", f".{time_ns % 10**9:09}Z")

    assert parse_ns("gemini", time_ns) == time_ns
    assert parse_ns("gemini", str(time_ns)) == time_ns
    assert parse_iso_ns("kraken", written) == time_ns


@pytest.mark.parametrize(
    ("text", "time_ns"),
    [
        ("2026-11-28T12:00:01.5Z", 1_795_867_201_500_000_000),
        ("2026-11-28T12:00:01Z", 1_795_867_201_000_000_000),
        ("2026-11-28T05:00:01.000000001-07:00", 1_795_867_201_000_000_001),
    ],
)
def test_a_written_time_may_have_up_to_nine_decimals(text: str, time_ns: int) -> None:
    assert parse_iso_ns("kraken", text) == time_ns


@pytest.mark.parametrize(
    "value",
    [
        *["2026-11-28T12:00:01.0000000001Z", "2026-11-28T12:00:01.Z", "2026-11-28T12:00:01", "2026-11-28 12:00:01Z"],
        *["2026-13-28T12:00:01Z", "2026-11-28T25:00:01Z", "2026-11-28T12:00:01.5+99:00", "", None, 1_795_867_201],
        *["0000-01-01T00:00:00Z", "9999-12-31T23:59:59-23:59", "٢٠٢٦-11-28T12:00:01Z"],
    ],
)
def test_a_written_time_of_another_form_is_refused(value: Any) -> None:
    with pytest.raises(ProviderError, match=r" time$"):
        parse_iso_ns("kraken", value)


@given(st.integers(GENESIS_MS // 1000, END_MS // 1000 - 1))
def test_a_time_is_written_as_it_is_read(time_s: int) -> None:
    assert parse_iso_ms("coinbase", iso(time_s * 1000)) == time_s * 1000


@given(JSON)
def test_a_quoted_value_is_one_short_line(value: Any) -> None:
    line = quoted(value)

    assert line.isascii()
    assert line.isprintable()
    assert len(line) <= 63


@pytest.mark.parametrize("depth", range(700, 1000, 20))
def test_an_answer_of_any_depth_is_an_error_of_one_line(depth: int) -> None:
    with pytest.raises(ProviderError) as raised:
        Kraken(Answers({"/0/public/Trades": "[" * depth + "]" * depth}).api("kraken")).latest()

    assert str(raised.value).isprintable()


@given(st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f")), st.booleans())
def test_whatever_a_retry_after_says_the_wait_is_at_least_a_second_and_at_most_a_day(text: str, reset: bool) -> None:
    name = "x-ratelimit-reset" if reset else "Retry-After"
    response = reply(429, headers={name: text, "Date": text})

    with pytest.raises(ProviderLimited) as raised:
        Answers({"/x": response}).api("kraken").fetch_json("/x")

    assert 1000 <= raised.value.until_ms - NOW_MS <= DAY_MS


@pytest.mark.parametrize("date", ["Mon, 01 Jan 99999999999999999999 00:00:00 GMT", "Mon, 99 Zzz 2026 25:61:61 GMT", ""])
def test_a_date_that_is_none_is_as_good_as_no_date(date: str) -> None:
    response = reply(200, {}, {"Date": date})

    assert Answers({"/x": response}).api("kraken").fetch_json("/x").date_ms is None
