"""Peculiarities of Coinbase Exchange."""

import pytest

from btcts.domain.model import Candle, Span
from btcts.errors import ProviderError
from btcts.providers.coinbase import Coinbase
from providers.opening import NOW_MS, Answers, reply

TICKER = "/products/BTC-USD/ticker"
CANDLES = "/products/BTC-USD/candles"
NOON = 1_767_268_800


def test_the_ticker_has_the_price_as_text_and_the_time_of_the_trade() -> None:
    ticker = {"trade_id": 88, "price": "60417.01000000", "size": "0.00000225", "bid": "60417", "ask": "60417.01"}
    answers = Answers(
        {TICKER: ticker | {"volume": "7878.23", "time": "2026-01-01T12:00:33.887001Z", "rfq_volume": "7"}}
    )

    reading = Coinbase(answers.api("coinbase")).latest()

    assert (reading.price, reading.traded_ms, reading.observed_ms) == (60417.01, NOON * 1000 + 33_887, NOW_MS)


def test_rows_are_newest_first_with_low_and_high_before_open_and_close() -> None:
    rows = [[NOON - 60, 60106, 60120.21, 60106.01, 60120.2, 2.85107455], [NOON - 120, 60101, 60130, 60129, 60106, 4.7]]
    answers = Answers({CANDLES: rows})

    candles = Coinbase(answers.api("coinbase")).candles(Span((NOON - 120) * 1000, NOON * 1000)).candles

    assert candles == (
        Candle((NOON - 120) * 1000, open=60129.0, high=60130.0, low=60101.0, close=60106.0),
        Candle((NOON - 60) * 1000, open=60106.01, high=60120.21, low=60106.0, close=60120.2),
    )


def test_start_and_end_are_both_given_and_one_row_more_is_asked_for() -> None:
    answers = Answers({CANDLES: []})

    Coinbase(answers.api("coinbase")).candles(Span((NOON - 120) * 1000, NOON * 1000))

    assert answers.query == {"granularity": "60", "start": "2026-01-01T11:58:00Z", "end": "2026-01-01T12:00:00Z"}


def test_no_page_asks_for_more_than_300_rows_and_pages_share_a_minute() -> None:
    answers = Answers({CANDLES: []})

    Coinbase(answers.api("coinbase")).candles(Span((NOON - 1500 * 60) * 1000, NOON * 1000))

    spans = [(each.query["start"], each.query["end"]) for each in answers.requests]
    assert spans[0] == ("2025-12-31T11:00:00Z", "2025-12-31T15:59:00Z")
    assert spans[1] == ("2025-12-31T15:58:00Z", "2025-12-31T20:57:00Z")
    assert spans[-1][1] == "2026-01-01T12:00:00Z"
    assert len(spans) == 6


def test_rows_before_the_start_are_left_alone() -> None:
    row = [NOON - 60, 60106, 60120.21, 60106.01, 60120.2, 2.8]
    answers = Answers({CANDLES: [row, [NOON - 120, 1, 2, 9, 9, 1]]})

    candles = Coinbase(answers.api("coinbase")).candles(Span((NOON - 60) * 1000, NOON * 1000)).candles

    assert [each.start_ms for each in candles] == [(NOON - 60) * 1000]


def test_an_error_is_told_in_its_own_words() -> None:
    answers = Answers({CANDLES: reply(400, {"message": "End is too old"})})

    with pytest.raises(ProviderError) as raised:
        Coinbase(answers.api("coinbase")).candles(Span((NOON - 60) * 1000, NOON * 1000))

    said = 'HTTP 400 from https://coinbase.test/products/BTC-USD/candles ({"message":"End is too old"})'
    assert str(raised.value) == f"coinbase: {said}"
