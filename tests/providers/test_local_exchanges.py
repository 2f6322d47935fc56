"""The local exchanges themselves: the quirks that the providers are tested against, and recordings."""

import re
import signal
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest

from btcts.domain.model import MINUTE_MS
from providers.opening import CLOSED_MS, NOW_MS, ON_HTTP
from support.exchanges import BarsMarket, Exchanges, SimulatedMarket, Traded


def get(exchanges: Exchanges, provider: str, path: str) -> Any:
    """The JSON of an answer."""
    return httpx.get(exchanges.url(provider) + path, trust_env=False).json()


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    """Five bars in three minutes, the second minute quiet."""
    path = tmp_path / "bars.csv"
    path.write_text(
        "timestamp,open,high,low,close,volume\n"
        "1475798404,611.78,611.87,611.7,611.87,0.5\n"
        "1475798430,611.9,611.91,611.89,611.9,0.25\n"
        "1475798459,611.9,612,611.9,611.95,0.25\n"
        "1475798520,611.5,611.6,611.4,611.45,1\n"
        "1475798579,611.5,611.9,611.5,611.6,1\n"
    )
    return path


def test_coinbase_refuses_more_than_300_rows(exchanges: Exchanges) -> None:
    url = exchanges.url("coinbase") + "/products/BTC-USD/candles?granularity=60"

    reply = httpx.get(f"{url}&start=2026-01-01T06:00:00Z&end=2026-01-01T11:01:00Z", trust_env=False)

    assert reply.status_code == 400
    assert "exceeds 300" in reply.json()["message"]


def test_coinbase_ignores_a_start_without_an_end(exchanges: Exchanges) -> None:
    path = "/products/BTC-USD/candles?granularity=60"

    assert get(exchanges, "coinbase", f"{path}&start=2025-01-01T00:00:00Z") == get(exchanges, "coinbase", path)


def test_kraken_ignores_an_old_since_and_ends_with_the_running_minute(exchanges: Exchanges) -> None:
    result = get(exchanges, "kraken", "/0/public/OHLC?pair=XBTUSD&interval=1&since=1475798404")["result"]

    assert len(result["XXBTZUSD"]) == 721
    assert result["XXBTZUSD"][-1][0] * 1000 == CLOSED_MS
    assert result["last"] * 1000 == CLOSED_MS - MINUTE_MS


def test_the_running_minute_is_not_yet_what_it_will_be(exchanges: Exchanges) -> None:
    market = exchanges.market

    rows = get(exchanges, "gemini", "/v2/candles/btcusd/1m")

    assert rows[0][0] == CLOSED_MS
    assert rows[0][1:5] == list(market.candle(CLOSED_MS, NOW_MS)[:4])
    assert rows[0][1:5] != list(market.candle(CLOSED_MS)[:4])


def test_bitstamp_spells_a_quiet_minute_both_ways(exchanges: Exchanges) -> None:
    rows = get(exchanges, "bitstamp", "/api/v2/ohlc/btcusd/?step=60&limit=1000")["data"]["ohlc"]

    stamps = [int(each["timestamp"]) for each in rows]
    assert any(each["volume"] == "0.00000000" for each in rows)
    assert any(after - before > 60 for before, after in pairwise(stamps))


def test_bitfinex_answers_newest_first_unless_told_otherwise(exchanges: Exchanges) -> None:
    path = "/v2/candles/trade:1m:tBTCUSD/hist?limit=5"

    newest = [row[0] for row in get(exchanges, "bitfinex", path)]

    assert newest == sorted(newest, reverse=True)
    assert newest[0] == CLOSED_MS


def test_a_recording_plays_at_another_time(recording: Path) -> None:
    market = BarsMarket(recording, shift_ms=86_400_000)
    minute_ms = 1_475_798_400_000 + 86_400_000

    assert market.price(minute_ms) is None
    assert market.price(minute_ms + 29_999) == 611.87
    assert market.traded_ms(minute_ms + 119_999) == minute_ms + 59_000


def test_a_candle_of_a_recording_is_the_aggregation_of_its_bars(recording: Path) -> None:
    market = BarsMarket(recording)
    minute_ms = 1_475_798_400_000

    assert market.candle(minute_ms) == Traded(611.78, 612.0, 611.7, 611.95, 1.0)
    assert market.candle(minute_ms, minute_ms + 30_000) == Traded(611.78, 611.91, 611.7, 611.9, 0.75)
    assert market.candle(minute_ms + MINUTE_MS) is None
    assert market.candle(minute_ms + 2 * MINUTE_MS) == Traded(611.5, 611.9, 611.4, 611.6, 2.0)


def test_every_request_is_remembered(exchanges: Exchanges) -> None:
    get(exchanges, "gemini", "/v1/trades/btcusd?limit_trades=1")

    (request,) = exchanges.requests
    assert (request.provider, request.path, request.query) == ("gemini", "/v1/trades/btcusd", {"limit_trades": "1"})


def test_closing_ends_connections_that_wait() -> None:
    client = httpx.Client(trust_env=False)
    with Exchanges(SimulatedMarket(), now_ms=lambda: NOW_MS) as exchanges, client:
        url = exchanges.url("kraken") + "/0/public/Time"
        client.get(url)

    with httpx.Client(trust_env=False) as again, pytest.raises(httpx.ConnectError):
        again.get(url)


def test_they_serve_by_hand_until_interrupted(recording: Path) -> None:
    program = Path(__file__).parents[1] / "support/exchanges"
    command = [sys.executable, program, "--port", "0", "--csv", recording, "--factor", "kraken=3"]

    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        lines = [process.stdout.readline() for _ in range(len(ON_HTTP) + 1)]
        urls = {name: line.strip().partition("=")[2] for name, line in zip(ON_HTTP, lines, strict=False)}
        (trade,) = httpx.get(f"{urls['kraken']}/0/public/Trades?pair=XBTUSD", trust_env=False).json()["result"][
            "XXBTZUSD"
        ]
        ticker = httpx.get(f"{urls['coinbase']}/products/BTC-USD/ticker", trust_env=False).json()
        process.send_signal(signal.SIGINT)

    assert lines.pop() == f"export BTCTS_COLLECT_PROVIDERS={','.join(ON_HTTP)}\n"
    pattern = r"export BTCTS_PROVIDERS_[A-Z]+_URL=http://127\.0\.0\.1:\d+/[a-z]+\n"
    assert all(re.fullmatch(pattern, line) for line in lines)
    assert float(trade[0]) / float(ticker["price"]) == pytest.approx(3, rel=0.5)
    assert process.returncode == 0
