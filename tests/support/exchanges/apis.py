"""The exchanges: what each answers to a path and its query, in the shapes and types of its documentation.

An answer is the HTTP status and the JSON value.
"""

from collections.abc import Mapping
from datetime import datetime
from itertools import islice
from typing import Any

from btcts.domain.model import MINUTE_MS
from support.exchanges.view import Minute, View, text, utc

Query = Mapping[str, str]
Answer = tuple[int, Any]


def coinbase(view: View, path: str, query: Query) -> Answer:
    """https://docs.cdp.coinbase.com/api-reference/exchange-api/rest-api/products/get-product-candles"""
    if path == "/products/BTC-USD/ticker":
        price, traded_ms = view.last()
        trade = {"trade_id": traded_ms // 1000, "price": text(price), "size": "0.00000225", "volume": "7878.23402368"}
        return 200, trade | {"bid": text(price), "ask": text(price), "time": f"{utc(traded_ms):%Y-%m-%dT%H:%M:%S.%fZ}"}
    if path != "/products/BTC-USD/candles":
        return 404, {"message": "NotFound"}
    if query.get("granularity") != "60":
        return 400, {"message": "Unsupported granularity"}
    first_ms, last_ms = view.running_ms - 299 * MINUTE_MS, view.running_ms
    if "start" in query and "end" in query:
        first_ms, last_ms = _iso_ms(query["start"]), _iso_ms(query["end"])
    if (last_ms - first_ms) // MINUTE_MS > 300:
        message = "granularity too small for the requested time range. Count of aggregations requested exceeds 300"
        return 400, {"message": message}
    # One row precedes the start, as the documentation says may happen.
    found = view.minutes(first_ms - MINUTE_MS, last_ms, flat=False)
    rows = [
        [minute.start_ms // 1000, minute.low, minute.high, minute.open, minute.close, minute.volume] for minute in found
    ]
    return 200, view.fault.rows(rows[::-1][:300])


def kraken(view: View, path: str, query: Query) -> Answer:
    """https://docs.kraken.com/api/docs/rest-api/get-ohlc-data"""
    if path == "/0/public/Time":
        return 200, {"error": [], "result": {"unixtime": view.now_ms // 1000, "rfc1123": f"{utc(view.now_ms):%c}"}}
    if query.get("pair") not in ("XBTUSD", "XXBTZUSD"):
        return 200, {"error": ["EQuery:Unknown asset pair"]}
    price, traded_ms = view.last()
    result: dict[str, Any]
    match path:
        case "/0/public/Ticker":
            result = {
                "a": [text(price), "1", "1.000"],
                "b": [text(price), "1", "1.000"],
                "c": [text(price), "0.00100000"],
            }
            return 200, {"error": [], "result": {"XXBTZUSD": result}}
        case "/0/public/Trades":
            trade = [text(price), "0.34507674", traded_ms / 1000, "b", "m", "", traded_ms // 1000]
            result = {"XXBTZUSD": [trade], "last": f"{traded_ms}000000"}
        case "/0/public/OHLC" if query.get("interval", "1") == "1":
            first_ms = max(view.running_ms - 720 * MINUTE_MS, (int(query.get("since", "0")) + 1) * 1000)
            found = list(view.minutes(min(first_ms, view.running_ms), view.running_ms, flat=True))
            rows = view.fault.rows([_kraken_row(minute) for minute in found])
            result = {"XXBTZUSD": rows, "last": view.running_ms // 1000 - 60}
        case _:
            return 200, {"error": ["EGeneral:Invalid arguments"]}
    return 200, {"error": [], "result": result}


def bitstamp(view: View, path: str, query: Query) -> Answer:
    """https://www.bitstamp.net/api/"""
    if path == "/api/v2/ticker/btcusd/":
        price, traded_ms = view.last()
        prices = dict.fromkeys(("open", "high", "low", "last", "vwap", "bid", "ask"), text(price))
        return 200, {"timestamp": str(traded_ms // 1000), **prices, "volume": "7913.73600771", "side": "0"}
    if path != "/api/v2/ohlc/btcusd/":
        return 404, {"status": "error", "reason": "Not found", "code": "API0404"}
    limit = int(query.get("limit", "1000"))
    if query.get("step") != "60" or not 1 <= limit <= 1000:
        return 400, {"code": "400.003", "status": "error", "reason": "Invalid parameter"}
    newest_ms = view.running_ms - (MINUTE_MS if query.get("exclude_current_candle") == "true" else 0)
    if "end" in query or "start" not in query:  # with an end, the start is ignored
        newest_ms = min(newest_ms, int(query.get("end", "9999999999")) * 1000 // MINUTE_MS * MINUTE_MS)
        first_ms = newest_ms - 2 * limit * MINUTE_MS
    else:
        first_ms = int(query["start"]) * 1000
    # Of the minutes without trades every other one has a flat row.
    found = [
        minute
        for minute in view.minutes(first_ms, newest_ms, flat=True)
        if minute.volume or minute.start_ms // MINUTE_MS % 2
    ]
    found = found[-limit:] if "end" in query or "start" not in query else found[:limit]
    return 200, {"data": {"pair": "BTC/USD", "ohlc": view.fault.rows([_bitstamp_row(minute) for minute in found])}}


def bitfinex(view: View, path: str, query: Query) -> Answer:
    """https://docs.bitfinex.com/reference/rest-public-candles"""
    limit = int(query.get("limit", "100"))
    price, traded_ms = view.last()
    if limit > 10_000:
        return 500, ["error", 10020, "limit: invalid"]
    if path == "/v2/ticker/tBTCUSD":
        return 200, [price, 38.64497907, price, 32.14590658, 126.6, 0.0175, price, 1982.88275223, price, price]
    if path == "/v2/trades/tBTCUSD/hist":
        return 200, [[traded_ms // 1000, traded_ms, -0.001, price]]
    if path != "/v2/candles/trade:1m:tBTCUSD/hist":
        return 500, ["error", 10020, "symbol: invalid"]
    last_ms = min(int(query.get("end", view.known_ms)), view.known_ms)
    first_ms = int(query.get("start", last_ms - 2 * limit * MINUTE_MS))
    rows = (
        [minute.start_ms, minute.open, minute.close, minute.high, minute.low, minute.volume]
        for minute in view.minutes(first_ms, last_ms, flat=False)
    )
    if query.get("sort") == "1":
        return 200, view.fault.rows(list(islice(rows, limit)))
    return 200, view.fault.rows(list(rows)[::-1][:limit])


def gemini(view: View, path: str, query: Query) -> Answer:
    """https://developer.gemini.com/trading/rest-api/market-data/list-candles"""
    price, traded_ms = view.last()
    match path:
        case "/v1/pubticker/btcusd":
            volume = {"BTC": "4835.1549187912", "USD": "21292243.803004461798", "timestamp": view.now_ms}
            return 200, {"bid": text(price), "ask": text(price), "volume": volume, "last": text(price)}
        case "/v1/trades/btcusd":
            trade = {"timestamp": traded_ms // 1000, "timestampms": traded_ms, "tid": traded_ms // 1000}
            return 200, [trade | {"price": text(price), "amount": "0.01909", "exchange": "gemini", "type": "buy"}]
        case "/v2/candles/btcusd/1m":
            found = view.minutes(view.running_ms - 1439 * MINUTE_MS, view.running_ms, flat=True)
            return 200, view.fault.rows([list(minute) for minute in found][::-1])
    return 404, {"result": "error", "reason": "EndpointNotFound", "message": "API entry point not found"}


EXCHANGES = {"coinbase": coinbase, "kraken": kraken, "bitstamp": bitstamp, "bitfinex": bitfinex, "gemini": gemini}


def error(provider: str, message: str) -> Any:
    """Return the answer by which a provider reports `message` as an error."""
    match provider:
        case "kraken":
            return {"error": [message]}
        case "bitfinex":
            return ["error", 10000, message]
        case "gemini":
            return {"result": "error", "reason": "System", "message": message}
        case "bitstamp":
            return {"error": message}
        case "coinmarketcap":
            status = {"timestamp": "2024-08-03T09:42:43.699Z", "error_code": "500", "error_message": message}
            return {"status": status | {"elapsed": "0", "credit_count": 0}}
    return {"message": message}


def _kraken_row(minute: Minute) -> list[Any]:
    prices = [text(price) for price in minute[1:5]]
    vwap = text(minute.close) if minute.volume else "0.0"
    return [minute.start_ms // 1000, *prices, vwap, f"{minute.volume:.8f}", 7 if minute.volume else 0]


def _bitstamp_row(minute: Minute) -> dict[str, Any]:
    prices = {name: text(getattr(minute, name)) for name in ("open", "high", "low", "close")}
    return {"timestamp": str(minute.start_ms // 1000), **prices, "volume": f"{minute.volume:.8f}"}


def _iso_ms(value: str) -> int:
    return int(datetime.fromisoformat(value).timestamp() * 1000)
