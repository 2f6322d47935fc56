"""The exchanges' side of their streams, one `Voice` per connection, in the documented shapes; without sockets.

A server sends what `greet` returns once the client is connected, what `answer` returns for each of its messages, and
what the `say_...` methods return whenever it likes. What is not sent is a loss that the client may notice.
"""

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from btcts.domain.trades import Quote, Trade

SECOND_NS = 1_000_000_000


class Voice(ABC):
    """One exchange on one connection.

    `history` is what was traded so far, oldest first, shared by all connections; the server adds to it what it has all
    voices say. `refuses` makes the exchange refuse the subscription to trades. Methods return the messages to send,
    none where the exchange has none of that kind, or was not asked for them.
    """

    name: str

    unit_ns = 1000
    """The unit in which the exchange tells the times of trades; finer parts are dropped."""

    def __init__(self, history: Sequence[Trade], now_ns: Callable[[], int], *, refuses: bool = False) -> None:
        self.history = history
        self.now_ns = now_ns
        self.refuses = refuses
        self.channels: list[str] = []
        """The channels that the client has subscribed to."""

    def greet(self) -> list[str]:
        """Return the messages that a new connection gets unasked."""
        return []

    @abstractmethod
    def answer(self, message: str) -> list[str]:
        """Return the answers to a message of the client: confirmations, trades from before, errors and pongs."""

    @abstractmethod
    def say_trades(self, trades: Sequence[Trade]) -> list[str]:
        """Return the messages about new trades."""

    def say_quote(self, quote: Quote) -> list[str]:
        """Return the messages about the best bid and ask."""
        return []

    def say_heartbeat(self) -> list[str]:
        """Return the signs of life that come unasked."""
        return []

    def say_maintenance(self, *, begins: bool) -> list[str]:
        """Return the announcement that maintenance begins, or has ended."""
        return []

    def ask_to_reconnect(self) -> list[str]:
        """Return the request for a new connection."""
        return []


class CoinbaseVoice(Voice):
    """wss://ws-feed.exchange.coinbase.com."""

    name = "coinbase"

    def answer(self, message: str) -> list[str]:
        """Confirm all channels in one message; the last trade follows."""
        asked = json.loads(message)
        if asked.get("type") != "subscribe" or asked.get("product_ids") != ["BTC-USD"] or self.refuses:
            return [_json({"type": "error", "message": "Failed to subscribe", "reason": "BTC-USD is not a product"})]
        self.channels = asked["channels"]
        confirmed = [{"name": channel, "product_ids": ["BTC-USD"], "account_ids": None} for channel in self.channels]
        latest = self._say("last_match", self.history[-1:])
        return [_json({"type": "subscriptions", "channels": confirmed}), *latest]

    def say_trades(self, trades: Sequence[Trade]) -> list[str]:
        """One `match` for each."""
        return self._say("match", trades)

    def say_heartbeat(self) -> list[str]:
        """Say it each second."""
        if "heartbeat" not in self.channels:
            return []
        return [_json({"type": "heartbeat", "last_trade_id": 0, **self._date(self.now_ns())})]

    def _say(self, kind: str, trades: Sequence[Trade]) -> list[str]:
        order = {"maker_order_id": "2f0c4a6e-0000-4000-8000-000000000001", "side": "sell", "size": "0.00120000"}
        return [
            _json(
                {"type": kind, "trade_id": trade.number, "price": _text(trade.price), **order, **self._date(trade[0])}
            )
            for trade in trades
            if "matches" in self.channels
        ]

    def _date(self, time_ns: int) -> dict[str, Any]:
        return {"product_id": "BTC-USD", "sequence": 135_100_000_000 + time_ns // 10**6, "time": _utc(time_ns)}


class KrakenVoice(Voice):
    """wss://ws.kraken.com/v2."""

    name = "kraken"

    def greet(self) -> list[str]:
        """Say that it is online."""
        return self.say_maintenance(begins=False)

    def answer(self, message: str) -> list[str]:
        """Confirm each symbol; the last 50 trades follow, newest first."""
        asked = json.loads(message)
        reply = {"method": asked["method"], "req_id": asked["req_id"]}
        times = {"time_in": _utc(self.now_ns()), "time_out": _utc(self.now_ns())}
        if asked["method"] == "ping":
            return [_json({**reply, "method": "pong", **times})]
        (symbol,), channel = asked["params"]["symbol"], asked["params"]["channel"]
        if symbol != "BTC/USD" or (self.refuses and channel == "trade"):
            error = f"Currency pair not supported {symbol}"
            return [_json({**reply, "success": False, "error": error, "symbol": symbol, **times})]
        self.channels.append(channel)
        result = {"channel": channel, "snapshot": True, "symbol": symbol}
        latest = self._say("snapshot", self.history[-50:][::-1]) if channel == "trade" else []
        return [_json({**reply, "result": result, "success": True, **times}), *latest]

    def say_trades(self, trades: Sequence[Trade]) -> list[str]:
        """Say all of them in one message."""
        return self._say("update", trades) if trades else []

    def say_quote(self, quote: Quote) -> list[str]:
        """Say it in a ticker, whose last price is not that of a new trade."""
        if "ticker" not in self.channels:
            return []
        row = {
            "symbol": "BTC/USD",
            "bid": quote.bid,
            "bid_qty": 0.5,
            "ask": quote.ask,
            "ask_qty": 1.25,
            "last": 60000.1,
        }
        return [_json({"channel": "ticker", "type": "update", "data": [row]})]

    def say_heartbeat(self) -> list[str]:
        """Say it each second without other messages, once there is a subscription."""
        return [_json({"channel": "heartbeat"})] if self.channels else []

    def say_maintenance(self, *, begins: bool) -> list[str]:
        """Say the status of the system."""
        row = {"version": "2.0.10", "system": "maintenance" if begins else "online", "api_version": "v2"}
        return [_json({"channel": "status", "type": "update", "data": [row | {"connection_id": 6447481662169813000}]})]

    def _say(self, kind: str, trades: Sequence[Trade]) -> list[str]:
        if "trade" not in self.channels:
            return []
        rows = [
            {"symbol": "BTC/USD", "side": "buy", "price": _number(trade.price), "qty": 0.00027625, "ord_type": "limit"}
            | {"trade_id": trade.number, "timestamp": _utc(trade.time_ns)}
            for trade in trades
        ]
        return [_json({"channel": "trade", "type": kind, "data": rows})]


class BitstampVoice(Voice):
    """wss://ws.bitstamp.net."""

    name = "bitstamp"

    def answer(self, message: str) -> list[str]:
        """Confirm the channel; no trades from before follow."""
        asked = json.loads(message)
        if asked["event"] == "bts:heartbeat":
            return [_json({"event": "bts:heartbeat", "channel": "", "data": {"status": "success"}})]
        channel = asked["data"]["channel"]
        if channel != "live_trades_btcusd" or self.refuses:
            problem = {"code": None, "message": "Bad subscription string."}
            return [_json({"event": "bts:error", "channel": "", "data": problem})]
        self.channels.append(channel)
        return [_json({"event": "bts:subscription_succeeded", "channel": channel, "data": {}})]

    def say_trades(self, trades: Sequence[Trade]) -> list[str]:
        """One message for each."""
        return [
            _json({"event": "trade", "channel": channel, "data": self._describe(trade)})
            for channel in self.channels
            for trade in trades
        ]

    def ask_to_reconnect(self) -> list[str]:
        """Ask for a new connection before the old one is closed."""
        return [_json({"event": "bts:request_reconnect", "channel": "", "data": ""})]

    def _describe(self, trade: Trade) -> dict[str, Any]:
        times = {"timestamp": str(trade.time_ns // SECOND_NS), "microtimestamp": str(trade.time_ns // 1000)}
        price = {"price": _number(trade.price), "price_str": _text(trade.price)}
        amount = {"amount": 0.0028, "amount_str": "0.00280000", "type": 0}
        return {"id": trade.number, **times, **amount, **price, "buy_order_id": 1900000000000001}


class BitfinexVoice(Voice):
    """wss://api-pub.bitfinex.com/ws/2."""

    name = "bitfinex"
    unit_ns = 10**6

    def __init__(self, history: Sequence[Trade], now_ns: Callable[[], int], *, refuses: bool = False) -> None:
        super().__init__(history, now_ns, refuses=refuses)
        self.sequence: int | None = None
        """The number of the last array, once the client has asked for such numbers."""

    def greet(self) -> list[str]:
        """Say that the platform operates."""
        return [_json({"event": "info", "version": 2, "serverId": "e293377e-0000", "platform": {"status": 1}})]

    def answer(self, message: str) -> list[str]:
        """Give the channel a number, by which its data come; the trades from before follow, newest first."""
        asked = json.loads(message)
        match asked["event"]:
            case "ping":
                return [_json({"event": "pong", "ts": self.now_ns() // self.unit_ns, "cid": asked["cid"]})]
            case "conf":
                self.sequence = 0 if asked["flags"] & 65536 else None
                return [_json({"event": "conf", "status": "OK"})]
        channel, symbol = asked["channel"], asked["symbol"]
        if symbol != "tBTCUSD" or (self.refuses and channel == "trades"):
            error = {"event": "error", "msg": "symbol: invalid", "code": 10300, "channel": channel, "symbol": symbol}
            return [_json(error)]
        self.channels.append(channel)
        number = self._find_number(channel)
        confirmed = {"event": "subscribed", "channel": channel, "chanId": number, "symbol": symbol, "pair": "BTCUSD"}
        rows = [self._describe(trade) for trade in self.history[-30:][::-1]]
        return [_json(confirmed), *([self._count([number, rows])] if channel == "trades" else [])]

    def say_trades(self, trades: Sequence[Trade]) -> list[str]:
        """Say each as `te`, and a little later all again as `tu`."""
        if "trades" not in self.channels:
            return []
        number = self._find_number("trades")
        return [self._count([number, kind, self._describe(trade)]) for kind in ("te", "tu") for trade in trades]

    def say_quote(self, quote: Quote) -> list[str]:
        """Say it in a ticker, whose last price is not that of a new trade."""
        if "ticker" not in self.channels:
            return []
        row = [_number(quote.bid), 38.64, _number(quote.ask), 32.14, 126.6, 0.0175, 60000.1, 1982.88, 61000, 59000]
        return [self._count([self._find_number("ticker"), row])]

    def say_heartbeat(self) -> list[str]:
        """Say it for each channel."""
        return [self._count([self._find_number(channel), "hb"]) for channel in self.channels]

    def say_maintenance(self, *, begins: bool) -> list[str]:
        """Say that it begins, or that all channels must be subscribed to again."""
        code, words = (20060, "Entering in Maintenance mode.") if begins else (20061, "Maintenance ended.")
        return [_json({"event": "info", "code": code, "msg": words})]

    def ask_to_reconnect(self) -> list[str]:
        """Say that the server restarts."""
        return [_json({"event": "info", "code": 20051, "msg": "Stopping. Please try to reconnect"})]

    def _count(self, row: list[Any]) -> str:
        if self.sequence is None:
            return _json(row)
        self.sequence += 1
        return _json([*row, self.sequence])

    def _find_number(self, channel: str) -> int:
        return 19111 + self.channels.index(channel)

    def _describe(self, trade: Trade) -> list[Any]:
        return [trade.number, trade.time_ns // self.unit_ns, -0.00325131, _number(trade.price)]


class GeminiVoice(Voice):
    """wss://ws.gemini.com."""

    name = "gemini"
    unit_ns = 1

    def answer(self, message: str) -> list[str]:
        """Answer by the id of the request."""
        asked = json.loads(message)
        good = {"id": asked["id"], "status": 200}
        if asked["method"] == "ping":
            return [_json(good)]
        known = {"btcusd@trade", "btcusd@bookTicker"} - ({"btcusd@trade"} if self.refuses else set())
        if not known.issuperset(asked["params"]):
            return [_json(good | {"status": 400, "error": {"code": -1002, "msg": "Invalid symbol"}})]
        self.channels += asked["params"]
        return [_json(good)]

    def say_trades(self, trades: Sequence[Trade]) -> list[str]:
        """One message for each, without a name of its kind."""
        return [
            _json({"E": trade.time_ns, "s": "btcusd", "t": trade.number, "p": _text(trade.price), "q": "1", "m": True})
            for trade in trades
            if "btcusd@trade" in self.channels
        ]

    def say_quote(self, quote: Quote) -> list[str]:
        """Say it with the price of the last trade, which is not that of a new one."""
        if "btcusd@bookTicker" not in self.channels:
            return []
        prices = {"b": _text(quote.bid), "B": "0.5", "a": _text(quote.ask), "A": "0.25", "c": "60000.14", "C": "0.1"}
        return [_json({"u": 3650000000, "E": self.now_ns(), "s": "btcusd", **prices})]


VOICES: dict[str, type[Voice]] = {
    voice.name: voice for voice in (CoinbaseVoice, KrakenVoice, BitstampVoice, BitfinexVoice, GeminiVoice)
}


def _json(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))


def _text(price: float) -> str:
    """Return the price with all its digits, never with an exponent."""
    return f"{Decimal(repr(price)):f}"


def _number(price: float) -> float | int:
    """Return the price as JSON numbers are often written, whole ones without a point."""
    return int(price) if price.is_integer() else price


def _utc(time_ns: int) -> str:
    """Return the time with six decimals."""
    second = datetime.fromtimestamp(time_ns // SECOND_NS, UTC)
    return f"{second:%Y-%m-%dT%H:%M:%S}.{time_ns % SECOND_NS // 1000:06d}Z"
