"""Peculiarities of Kraken."""

from typing import Any

import pytest

from btcts.domain.model import MINUTE_MS, Candle, Candles, Span
from btcts.errors import ProviderError, ProviderLimited
from btcts.providers.kraken import Kraken
from providers.opening import NOW_MS, Answers

TRADES = "/0/public/Trades"
OHLC = "/0/public/OHLC"
NOON = 1_767_268_800


def answer(rows: list[Any], product: str = "XXBTZUSD", last: Any = NOON - 60) -> dict[str, Any]:
    """A good answer."""
    return {"error": [], "result": {product: rows, "last": last}}


@pytest.mark.parametrize("product", ["XXBTZUSD", "BTC/USD", "XBTUSD"])
def test_the_price_is_that_of_the_last_trade_whatever_the_product_is_called(product: str) -> None:
    rows = '[["60200.1","1",1767268832.1,"b","l","",1],["60243.30000","0.01",1767268833.8277369,"s","m","",2]]'
    answers = Answers({TRADES: f'{{"error":[],"result":{{"{product}":{rows},"last":"1767268833827736901"}}}}'})

    reading = Kraken(answers.api("kraken")).latest()

    assert (reading.price, reading.traded_ms, reading.observed_ms) == (60243.3, NOON * 1000 + 33_827, NOW_MS)
    assert answers.query == {"pair": "XBTUSD", "count": "1"}


def test_rows_have_texts_and_a_row_without_trades_says_that_there_were_none() -> None:
    rows = [
        [NOON - 180, "60306.1", "60306.2", "60305.7", "60305.8", "60306.1", "3.39243896", 23],
        [NOON - 120, "60305.8", "60305.8", "60305.8", "60305.8", "0.0", "0.00000000", 0],
        [NOON - 60, "60300.3", "60300.4", "60291.4", "60291.5", "60294.7", "2.13024789", 25],
        [NOON, "60291.5", "60999.0", "60291.5", "60999.0", "60294.7", "2.13024789", 25],
    ]
    answers = Answers({OHLC: answer(rows)})
    span = Span((NOON - 180) * 1000, NOON * 1000)

    candles = Kraken(answers.api("kraken")).candles(span)

    first = Candle((NOON - 180) * 1000, open=60306.1, high=60306.2, low=60305.7, close=60305.8)
    last = Candle((NOON - 60) * 1000, open=60300.3, high=60300.4, low=60291.4, close=60291.5)
    assert candles == Candles("kraken", span, (first, last))


def test_since_excludes_its_own_minute_and_so_names_the_one_before() -> None:
    answers = Answers({OHLC: answer([[NOON - 60, "1.5", "1.5", "1.5", "1.5", "0.0", "0", 0]])})

    Kraken(answers.api("kraken")).candles(Span((NOON - 60) * 1000, NOON * 1000))

    assert answers.query == {"pair": "XBTUSD", "interval": "1", "since": str(NOON - 120)}


def test_a_day_is_clipped_to_the_rows_that_kraken_keeps() -> None:
    flat = [[NOON - 60 * each, "1.5", "1.5", "1.5", "1.5", "0.0", "0", 0] for each in range(719, -1, -1)]
    answers = Answers({OHLC: answer(flat)})

    candles = Kraken(answers.api("kraken")).candles(Span((NOON - 86_400) * 1000, NOON * 1000))

    assert candles.covered == Span(NOON * 1000 - 718 * MINUTE_MS, NOON * 1000)


@pytest.mark.parametrize(
    ("error", "wait_s"),
    [("EAPI:Rate limit exceeded", 60), ("EGeneral:Too many requests", 60), ("EGeneral:Temporary lockout", 900)],
)
def test_a_limit_in_a_good_status_says_until_when_to_wait(error: str, wait_s: int) -> None:
    answers = Answers({TRADES: {"error": [error]}})

    with pytest.raises(ProviderLimited, match=error) as raised:
        Kraken(answers.api("kraken")).latest()

    assert raised.value.until_ms == NOW_MS + wait_s * 1000


@pytest.mark.parametrize("error", ["EQuery:Unknown asset pair", "EService:Unavailable", "EService:Busy"])
def test_any_other_error_in_a_good_status_is_told(error: str) -> None:
    answers = Answers({TRADES: {"error": [error], "result": {}}})

    with pytest.raises(ProviderError) as raised:
        Kraken(answers.api("kraken")).latest()

    assert str(raised.value) == f'kraken: refused: "{error}"'


def test_a_warning_is_no_error() -> None:
    trade = ["60243.3", "0.01", NOON + 33, "s", "m", "", 2]
    answers = Answers({TRADES: answer([trade]) | {"error": ["WGeneral:Deprecated"]}})

    assert Kraken(answers.api("kraken")).latest().price == 60243.3


def test_two_products_in_one_answer_are_an_error() -> None:
    answers = Answers({TRADES: {"error": [], "result": {"XXBTZUSD": [], "XBTUSDC": [], "last": "0"}}})

    with pytest.raises(ProviderError, match="unexpected shape"):
        Kraken(answers.api("kraken")).latest()
