"""Peculiarities of Kraken's stream."""

import json

import pytest

from btcts.domain.trades import Frame, Quote, Trade
from btcts.errors import ProviderError
from btcts.providers.streams.kraken import KrakenStream
from providers.streams.talks import Talk

TRADES = (
    '{"channel":"trade","type":"update","data":[{"symbol":"BTC/USD","side":"buy","price":61250.5,"qty":0.00027625,'
    '"ord_type":"limit","trade_id":90218208,"timestamp":"2026-11-28T12:00:01.440295Z"},{"symbol":"BTC/USD",'
    '"side":"sell","price":61250.4,"qty":0.0001246,"ord_type":"market","trade_id":90218209,'
    '"timestamp":"2026-11-28T12:00:01.623456789Z"}]}'
)
FIRST = Trade(1_795_867_201_440_295_000, 90218208, 61250.5)
SECOND = Trade(1_795_867_201_623_456_789, 90218209, 61250.4)


def status(system: str) -> str:
    """Return the message that every connection begins with."""
    row = {"version": "2.0.10", "system": system, "api_version": "v2", "connection_id": 6447481662169813000}
    return json.dumps({"channel": "status", "type": "update", "data": [row]})


def test_all_trades_of_a_message_are_read_with_nine_decimals_of_their_times() -> None:
    assert KrakenStream().read(TRADES) == Frame(stamp_ns=SECOND.time_ns, trades=(FIRST, SECOND))


def test_a_snapshot_is_put_in_order() -> None:
    message = json.loads(TRADES)
    snapshot = json.dumps({**message, "type": "snapshot", "data": message["data"][::-1]})

    assert KrakenStream().read(snapshot) == Frame(trades=(FIRST, SECOND), catch_up=True)


def test_trades_of_other_products_in_the_same_message_are_left_out() -> None:
    mixed = TRADES.replace('"symbol":"BTC/USD"', '"symbol":"ETH/USD"', 1)

    assert KrakenStream().read(mixed).trades == (SECOND,)


def test_one_bad_trade_refuses_the_message() -> None:
    with pytest.raises(ProviderError, match=r"^kraken: -1 .* price$"):
        KrakenStream().read(TRADES.replace("61250.4", "-1"))


@pytest.mark.parametrize("field", ["data", "type"])
def test_trades_of_another_shape_are_refused_and_not_ignored(field: str) -> None:
    message = {name: value for name, value in json.loads(TRADES).items() if name != field}

    with pytest.raises(ProviderError, match="unexpected shape"):
        KrakenStream().read(json.dumps(message))


def test_quotes_are_asked_for_when_they_change_not_when_there_is_a_trade() -> None:
    trades, quotes = (json.loads(message) for message in KrakenStream().greet())

    assert trades["params"] == {"channel": "trade", "symbol": ["BTC/USD"], "snapshot": True}
    assert quotes["params"] == {"channel": "ticker", "symbol": ["BTC/USD"], "event_trigger": "bbo"}


def test_a_ticker_is_a_quote() -> None:
    row = '{"symbol":"BTC/USD","bid":61250.4,"bid_qty":0.5,"ask":61250.5,"ask_qty":1,"last":61249.1,"volume":1.5}'

    frame = KrakenStream().read(f'{{"channel":"ticker","type":"snapshot","data":[{row}]}}')

    assert frame == Frame(quote=Quote(61250.4, 61250.5))


@pytest.mark.parametrize(
    ("system", "serving"),
    [("online", True), ("maintenance", False), ("cancel_only", False), ("post_only", False), ("limit_only", None)],
)
def test_without_matching_it_does_not_serve_and_unknown_states_tell_nothing(system: str, serving: bool | None) -> None:
    assert KrakenStream().read(status(system)) == Frame(serving=serving)


def test_refused_quotes_do_not_refuse_the_trades() -> None:
    talk = Talk("kraken")
    trades, quotes = talk.stream.greet()

    refused = talk.read(talk.voice.answer(quotes.replace("BTC/USD", "BTC/XYZ")))

    assert refused == [Frame()]
    assert talk.read(talk.voice.answer(trades))[0] == Frame(subscribed=True)


def test_the_answer_to_a_ping_has_the_time_at_which_it_was_sent() -> None:
    pong = '{"method":"pong","req_id":1,"time_in":"2026-11-28T12:00:00Z","time_out":"2026-11-28T12:00:00.742648Z"}'

    assert KrakenStream().read(pong) == Frame(stamp_ns=1_795_867_200_742_648_000, echo=1)
