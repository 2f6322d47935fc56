"""The stream of Kraken."""

import json
from typing import Any

from btcts.domain.trades import Frame, Trade
from btcts.providers.base import expect_shape, parse_iso_ns, parse_price, quoted
from btcts.providers.streams.base import build_trade_frame, parse_message, parse_number, read_quote

PRODUCT = "BTC/USD"

_TRADES, _QUOTES = 1, 2
"""The `req_id` of the subscriptions; the pongs of pings are told by their method."""

_SERVING = {"online": True, "maintenance": False, "cancel_only": False, "post_only": False}
"""The states of the system in which there can be trades, or not; others (`limit_only`) say nothing about it."""


class KrakenStream:
    """Kraken, version 2 of its protocol, keyless.

    https://docs.kraken.com/exchange/api-reference/spot-websocket-v2/trade

    Each connection begins with the status of the system. After the confirmation come the last 50 trades, in no promised
    order; `trade_id` counts the trades of the product. Quotes are asked for at each change of the best bid and ask
    (`bbo`): those sent with trades would be as old as the last trade whenever they are needed. Heartbeats have no time,
    but pongs do. A refused subscription to quotes does no harm.
    """

    name = "kraken"
    contiguous = True

    def greet(self) -> list[str]:
        """Return the subscriptions to trades and quotes."""
        trades = {"channel": "trade", "symbol": [PRODUCT], "snapshot": True}
        quotes = {"channel": "ticker", "symbol": [PRODUCT], "event_trigger": "bbo"}
        asked = ((_TRADES, trades), (_QUOTES, quotes))
        return [json.dumps({"method": "subscribe", "params": params, "req_id": number}) for number, params in asked]

    def ping(self, number: int) -> str | None:
        """Return a ping, whose pong tells the number and the time."""
        return json.dumps({"method": "ping", "req_id": number})

    def read(self, message: str) -> Frame:
        """Return what a message says."""
        with expect_shape(self.name, parse_message(self.name, message)) as answer:
            match answer.get("channel", answer.get("method")):
                case "trade":
                    trades = [self._read_trade(row) for row in answer["data"] if row["symbol"] == PRODUCT]
                    return build_trade_frame(trades, catch_up=answer["type"] == "snapshot")
                case "ticker":
                    row = answer["data"][0]
                    if row["symbol"] == PRODUCT:
                        return Frame(quote=read_quote(self.name, row.get("bid"), row.get("ask")))
                case "status":
                    return Frame(serving=_SERVING.get(answer["data"][0]["system"]))
                case "pong":
                    stamp_ns = parse_iso_ns(self.name, answer["time_out"])
                    return Frame(stamp_ns=stamp_ns, echo=parse_number(self.name, answer["req_id"]))
                case "subscribe" if answer.get("req_id") == _QUOTES:
                    pass
                case "subscribe" if answer["success"] is True:
                    return Frame(subscribed=True)
                case "subscribe":
                    return Frame(refused=quoted(answer.get("error")))
            return Frame()

    def _read_trade(self, row: Any) -> Trade:
        time_ns = parse_iso_ns(self.name, row["timestamp"])
        return Trade(time_ns, parse_number(self.name, row["trade_id"]), parse_price(self.name, row["price"]))
