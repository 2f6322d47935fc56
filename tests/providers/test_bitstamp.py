"""Peculiarities of Bitstamp."""

from typing import Any

import pytest

from btcts.domain.model import Candle, Candles, Span
from btcts.errors import ProviderError
from btcts.providers.bitstamp import Bitstamp
from providers.opening import NOW_MS, Answers, reply

TICKER = "/api/v2/ticker/btcusd/"
OHLC = "/api/v2/ohlc/btcusd/"
NOON = 1_767_268_800


def row(start_s: int, open_: str, high: str, low: str, close: str, volume: str) -> dict[str, str]:
    """A candle as Bitstamp spells it."""
    return {"timestamp": str(start_s), "open": open_, "high": high, "low": low, "close": close, "volume": volume}


def answer(*rows: dict[str, str]) -> dict[str, Any]:
    """A good answer."""
    return {"data": {"pair": "BTC/USD", "ohlc": list(rows)}}


def test_the_ticker_has_texts_only() -> None:
    ticker = {
        "high": "60453.00",
        "last": "60402.16",
        "timestamp": str(NOON + 26),
        "bid": "60401.37",
        "open": "60391.41",
    }
    answers = Answers({TICKER: ticker})

    reading = Bitstamp(answers.api("bitstamp")).latest()

    assert (reading.price, reading.traded_ms, reading.observed_ms) == (60402.16, (NOON + 26) * 1000, NOW_MS)


def test_a_minute_without_trades_is_a_flat_row_or_none() -> None:
    traded = row(NOON - 60, "73241", "73293", "73240", "73285", "0.01076655")
    flat = row(NOON - 180, "73241", "73241", "73241", "73241", "0.00000000")
    answers = Answers({OHLC: answer(flat, traded)})
    span = Span((NOON - 180) * 1000, NOON * 1000)

    candles = Bitstamp(answers.api("bitstamp")).candles(span)

    candle = Candle((NOON - 60) * 1000, open=73241.0, high=73293.0, low=73240.0, close=73285.0)
    assert candles == Candles("bitstamp", span, (candle,))


def test_the_end_decides_and_one_row_more_is_asked_for() -> None:
    answers = Answers({OHLC: answer()})

    Bitstamp(answers.api("bitstamp")).candles(Span((NOON - 120) * 1000, NOON * 1000))

    assert answers.query == {
        "step": "60",
        "limit": "3",
        "start": str(NOON - 120),
        "end": str(NOON),
        "exclude_current_candle": "true",
    }


def test_no_page_asks_for_more_than_1000_rows() -> None:
    answers = Answers({OHLC: answer()})

    Bitstamp(answers.api("bitstamp")).candles(Span((NOON - 1500 * 60) * 1000, NOON * 1000))

    assert [each.query["limit"] for each in answers.requests] == ["1000", "503"]


@pytest.mark.parametrize("status", [200, 404, 503])
@pytest.mark.parametrize(
    "body",
    [
        {"error": "Bitstamp.net is under scheduled maintenance. We'll be back soon."},
        {"error": {"__all__": ["Minimum order size is $1"]}},
        {"status": "error", "reason": "Invalid nonce", "code": "API0004"},
    ],
    ids=["text", "object", "reason"],
)
def test_an_error_in_each_of_its_shapes_is_told(status: int, body: dict[str, Any]) -> None:
    answers = Answers({TICKER: reply(status, body)})

    with pytest.raises(ProviderError, match=r"maintenance|Minimum order|Invalid nonce"):
        Bitstamp(answers.api("bitstamp")).latest()
