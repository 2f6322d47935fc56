"""Peculiarities of Bitfinex."""

from typing import Any

import pytest

from btcts.domain.model import Candle, Candles, Span
from btcts.errors import ProviderError, ProviderLimited
from btcts.providers.bitfinex import Bitfinex
from providers.opening import NOW_MS, Answers, reply

TRADES = "/v2/trades/tBTCUSD/hist"
CANDLES = "/v2/candles/trade:1m:tBTCUSD/hist"
NOON_MS = 1_767_268_800_000


def test_the_price_is_that_of_the_last_trade() -> None:
    answers = Answers({TRADES: [[1_234_567, NOON_MS + 33_815, -0.0021, 60738]]})

    reading = Bitfinex(answers.api("bitfinex")).latest()

    assert (reading.price, reading.traded_ms, reading.observed_ms) == (60738.0, NOON_MS + 33_815, NOW_MS)
    assert answers.query == {"limit": "1", "sort": "-1"}


def test_the_close_comes_before_the_high() -> None:
    answers = Answers({CANDLES: [[NOON_MS - 60_000, 60000.5, 60010, 60020.25, 59990, 1.5]]})
    span = Span(NOON_MS - 60_000, NOON_MS)

    candles = Bitfinex(answers.api("bitfinex")).candles(span)

    candle = Candle(NOON_MS - 60_000, open=60000.5, close=60010.0, high=60020.25, low=59990.0)
    assert candles == Candles("bitfinex", span, (candle,))


def test_an_empty_list_says_that_there_were_no_trades() -> None:
    answers = Answers({CANDLES: []})
    span = Span(NOON_MS - 60_000, NOON_MS)

    assert Bitfinex(answers.api("bitfinex")).candles(span) == Candles("bitfinex", span, ())


def test_the_rows_of_the_page_are_asked_for_in_ascending_order() -> None:
    answers = Answers({CANDLES: []})

    Bitfinex(answers.api("bitfinex")).candles(Span(NOON_MS - 120_000, NOON_MS))

    assert answers.query == {"start": str(NOON_MS - 120_000), "end": str(NOON_MS - 1), "limit": "2", "sort": "1"}


@pytest.mark.parametrize("status", [200, 500])
@pytest.mark.parametrize(
    "body",
    [["error", 10020, "symbol: invalid"], {"code": 503, "error": "temporarily_unavailable"}],
    ids=["list", "object"],
)
def test_an_error_in_each_of_its_shapes_is_told(status: int, body: Any) -> None:
    answers = Answers({TRADES: reply(status, body)})

    with pytest.raises(ProviderError, match=r"symbol: invalid|temporarily_unavailable"):
        Bitfinex(answers.api("bitfinex")).latest()


def test_too_many_requests_are_a_limit() -> None:
    answers = Answers({TRADES: reply(429, ["error", 11010, "ratelimit: error"])})

    with pytest.raises(ProviderLimited, match="ratelimit") as raised:
        Bitfinex(answers.api("bitfinex")).latest()

    assert raised.value.until_ms == NOW_MS + 60_000
