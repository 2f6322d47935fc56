"""The stream of Bitstamp."""

import json
from collections import deque
from typing import Any

from btcts.domain.trades import Frame, Renewal, Trade
from btcts.providers.base import expect_shape, parse_ns, parse_price, quoted
from btcts.providers.streams.base import build_trade_frame, parse_message, parse_number

CHANNEL = "live_trades_btcusd"

MOST_PINGS = 1_000
"""Pings without an answer, half an hour of them, after which no more are sent."""


class BitstampStream:
    """Bitstamp, keyless.

    https://www.bitstamp.net/websocket/v2/

    No trades from before the subscription, one message for each trade. Ids rise but are shared by all products, so that
    a missing trade cannot be seen. Heartbeats come only as answers, in the order of what they answer and without its
    number. A connection lives 90 days; the exchange asks for a new one before it closes an old one. There are no
    quotes: the only channel that has them sends a hundred rows of the order book at each change.
    """

    name = "bitstamp"
    contiguous = False

    def __init__(self) -> None:
        self._pings: deque[int] = deque()
        """Numbers of the pings without an answer yet, in the order in which they were made."""

    def greet(self) -> list[str]:
        """Return the subscription."""
        return [json.dumps({"event": "bts:subscribe", "data": {"channel": CHANNEL}})]

    def ping(self, number: int) -> str | None:
        """Return a request for a heartbeat; send it before asking for the next. None where nobody answers them."""
        if len(self._pings) >= MOST_PINGS:
            return None
        self._pings.append(number)
        return '{"event":"bts:heartbeat"}'

    def read(self, message: str) -> Frame:
        """Return what a message says."""
        with expect_shape(self.name, parse_message(self.name, message)) as answer:
            match answer["event"]:
                case "trade" if answer["channel"] == CHANNEL:
                    return build_trade_frame([self._read_trade(answer["data"])])
                case "bts:heartbeat":
                    return Frame(echo=self._pings.popleft() if self._pings else None)
                case "bts:subscription_succeeded":
                    return Frame(subscribed=answer["channel"] == CHANNEL)
                case "bts:request_reconnect":
                    return Frame(renewal=Renewal.OVERLAPPING)
                case "bts:error":
                    return Frame(refused=quoted(answer["data"]))
            return Frame()

    def _read_trade(self, row: Any) -> Trade:
        time_ns = parse_ns(self.name, row["microtimestamp"], unit_ns=1000)
        return Trade(time_ns, parse_number(self.name, row["id"]), parse_price(self.name, row["price"]))
