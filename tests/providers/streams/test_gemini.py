"""Peculiarities of Gemini's stream."""

import pytest

from btcts.domain.trades import Frame, Quote, Trade
from btcts.errors import ProviderError
from btcts.providers.streams.gemini import GeminiStream
from providers.streams.talks import Talk

TRADE = '{"E":1795867201221424123,"s":"btcusd","t":2840000000123456,"p":"61250.14","q":"0.00004473","m":true}'
TICKER = (
    '{"u":3650000000,"E":1795867201500000000,"s":"btcusd","b":"61250.10","B":"0.5","a":"61250.20","A":"0.25",'
    '"c":"61250.14","C":"0.00004473"}'
)


@pytest.mark.parametrize("product", ["btcusd", "BTCUSD"])
def test_a_trade_counts_nanoseconds_and_its_product_may_be_in_either_case(product: str) -> None:
    frame = GeminiStream().read(TRADE.replace("btcusd", product))

    trade = Trade(1_795_867_201_221_424_123, 2840000000123456, 61250.14)
    assert frame == Frame(stamp_ns=trade.time_ns, trades=(trade,))


def test_a_number_beyond_2_to_the_53_is_exact() -> None:
    frame = GeminiStream().read(TRADE.replace("2840000000123456", "9007199254740993"))

    assert [trade.number for trade in frame.trades] == [9007199254740993]


def test_the_last_trade_in_a_book_ticker_is_no_trade() -> None:
    stamp_ns = 1_795_867_201_500_000_000

    assert GeminiStream().read(TICKER) == Frame(stamp_ns=stamp_ns, quote=Quote(61250.1, 61250.2))


def test_an_empty_bid_is_no_quote_but_a_sign_of_life() -> None:
    assert GeminiStream().read(TICKER.replace("61250.10", "")) == Frame(stamp_ns=1_795_867_201_500_000_000)


def test_an_empty_price_of_a_trade_is_refused() -> None:
    with pytest.raises(ProviderError, match=r'^gemini: "" .* price$'):
        GeminiStream().read(TRADE.replace("61250.14", ""))


def test_refused_quotes_do_not_refuse_the_trades() -> None:
    talk = Talk("gemini")
    trades, quotes = talk.stream.greet()

    refused = talk.read(talk.voice.answer(quotes.replace("usd", "xyz")))

    assert refused == [Frame()]
    assert talk.read(talk.voice.answer(trades)) == [Frame(subscribed=True)]


def test_an_error_tells_why_trades_are_refused() -> None:
    error = '{"id":"trades","status":400,"error":{"code":-1002,"msg":"Invalid symbol"}}'

    assert "Invalid symbol" in GeminiStream().read(error).refused


@pytest.mark.parametrize("request_id", ["p", "px", "p-1", "p" + "9" * 5000])
def test_an_answer_to_a_ping_that_nobody_sent_is_refused(request_id: str) -> None:
    with pytest.raises(ProviderError):
        GeminiStream().read(f'{{"id":"{request_id}","status":200}}')
