"""Peculiarities of Gemini."""

import pytest

from btcts.domain.model import MINUTE_MS, Candle, Candles, Span
from btcts.errors import ProviderError
from btcts.providers.gemini import Gemini
from providers.opening import NOW_MS, Answers, reply

TRADES = "/v1/trades/btcusd"
CANDLES = "/v2/candles/btcusd/1m"
NOON_MS = 1_767_268_800_000


def test_the_price_is_that_of_the_last_trade() -> None:
    trade = {"timestamp": NOON_MS // 1000 + 26, "timestampms": NOON_MS + 26_815, "tid": 1863690584, "type": "buy"}
    answers = Answers({TRADES: [trade | {"price": "60280.01", "amount": "0.01909", "exchange": "gemini"}]})

    reading = Gemini(answers.api("gemini")).latest()

    assert (reading.price, reading.traded_ms, reading.observed_ms) == (60280.01, NOON_MS + 26_815, NOW_MS)
    assert answers.query == {"limit_trades": "1"}


def test_the_window_begins_with_its_oldest_row() -> None:
    rows = [
        [NOON_MS, 60268.24, 70000, 60268.24, 70000, 0.05445598],
        [NOON_MS - 60_000, 60402.61, 60402.65, 60268.24, 60268.25, 0.05445598],
        [NOON_MS - 120_000, 60402.61, 60402.61, 60402.61, 60402.61, 0],
    ]
    answers = Answers({CANDLES: rows})

    candles = Gemini(answers.api("gemini")).candles(Span(NOON_MS - 60 * MINUTE_MS, NOON_MS))

    candle = Candle(NOON_MS - 60_000, open=60402.61, high=60402.65, low=60268.24, close=60268.25)
    assert candles == Candles("gemini", Span(NOON_MS - 120_000, NOON_MS), (candle,))


def test_a_window_that_begins_after_the_span_covers_nothing() -> None:
    answers = Answers({CANDLES: [[NOON_MS - 60_000, 60402.61, 60402.65, 60268.24, 60268.25, 0.05]]})

    candles = Gemini(answers.api("gemini")).candles(Span(NOON_MS - 600_000, NOON_MS - 300_000))

    assert candles == Candles("gemini", None, ())


def test_a_missing_minute_is_an_error() -> None:
    flat = [[NOON_MS - each * MINUTE_MS, 60402, 60402, 60402, 60402, 0] for each in (0, 1, 3)]
    answers = Answers({CANDLES: flat})

    with pytest.raises(ProviderError, match=r" 1 of 3 .* 2026-01-01T11:58:00Z "):
        Gemini(answers.api("gemini")).candles(Span(NOON_MS - 60 * MINUTE_MS, NOON_MS))


@pytest.mark.parametrize("status", [200, 404, 503])
def test_an_error_is_told(status: int) -> None:
    body = {
        "result": "error",
        "reason": "Maintenance",
        "message": "The Gemini Exchange is currently undergoing maintenance",
    }
    answers = Answers({TRADES: reply(status, body)})

    with pytest.raises(ProviderError, match="Maintenance"):
        Gemini(answers.api("gemini")).latest()
