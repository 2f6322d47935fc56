"""Peculiarities of Coinbase's stream."""

import json

import pytest

from btcts.domain.trades import Frame, Renewal, Trade
from btcts.errors import ProviderError
from btcts.providers.streams.coinbase import CoinbaseStream
from providers.streams.talks import Talk, subscribed

LAST_MATCH = (
    '{"type":"last_match","trade_id":1090000041,"maker_order_id":"2f0c4a6e-0000-4000-8000-000000000001","side":"sell","size":"0.00120000","price":"61250.12",'
    '"product_id":"BTC-USD","sequence":135100000017,"time":"2026-11-28T12:00:01.198335Z"}'
)
TICKER = (
    '{"type":"ticker","sequence":135100000150,"product_id":"BTC-USD","price":"61250.55","open_24h":"61000","side":"buy",'
    '"volume_24h":"1","best_bid":"61250.54","best_bid_size":"0.10","best_ask":"61250.55","best_ask_size":"0.03",'
    '"time":"2026-11-28T12:00:01.402117Z","trade_id":1090000042,"last_size":"0.05"}'
)
TOO_SLOW = '{"type":"error","message":"ErrSlowConsume","reason":"the client reads too slowly"}'


def test_the_subscription_names_the_product_and_two_channels() -> None:
    (message,) = CoinbaseStream().greet()

    channels = ["matches", "heartbeat"]
    assert json.loads(message) == {"type": "subscribe", "product_ids": ["BTC-USD"], "channels": channels}


def test_the_last_match_is_the_trade_before_the_subscription() -> None:
    frame = CoinbaseStream().read(LAST_MATCH)

    assert frame == Frame(trades=(Trade(1_795_867_201_198_335_000, 1090000041, 61250.12),), catch_up=True)


def test_a_heartbeat_has_a_time_and_its_trade_id_of_0_means_nothing() -> None:
    heartbeat = '{"type":"heartbeat","last_trade_id":0,"product_id":"BTC-USD","time":"2026-11-28T12:00:02.000001Z"}'

    assert CoinbaseStream().read(heartbeat) == Frame(stamp_ns=1_795_867_202_000_001_000)


def test_a_heartbeat_without_a_time_is_refused() -> None:
    with pytest.raises(ProviderError, match="unexpected shape"):
        CoinbaseStream().read('{"type":"heartbeat","sequence":9,"last_trade_id":0,"product_id":"BTC-USD"}')


def test_a_ticker_is_ignored_for_its_price_merges_trades() -> None:
    assert CoinbaseStream().read(TICKER) == Frame()


@pytest.mark.parametrize(
    "channels",
    ['[{"name":"heartbeat","product_ids":["BTC-USD"]}]', '[{"name":"matches","product_ids":["ETH-USD"]}]', "[]"],
)
def test_a_confirmation_without_our_trades_is_none(channels: str) -> None:
    assert CoinbaseStream().read(f'{{"type":"subscriptions","channels":{channels}}}') == Frame()


def test_an_error_before_the_confirmation_refuses_the_subscription() -> None:
    reason = "level2, level3, and full channels now require authentication"
    error = {"type": "error", "message": "Failed to subscribe", "reason": reason}

    assert CoinbaseStream().read(json.dumps(error)).refused == f'"{reason[:60]}"'[:60] + "..."
    assert CoinbaseStream().read('{"type":"error","message":"no"}').refused == '"no"'


def test_an_error_after_the_confirmation_comes_before_a_disconnect() -> None:
    assert subscribed("coinbase").stream.read(TOO_SLOW) == Frame(renewal=Renewal.AT_ONCE)
    assert Talk("coinbase").stream.read(TOO_SLOW).renewal is None
