"""The stream of Coinbase Exchange."""

from typing import Any

from btcts.domain.trades import Frame, Renewal, Trade
from btcts.providers.base import expect_shape, parse_iso_ns, parse_price, quoted
from btcts.providers.streams.base import build_trade_frame, parse_message, parse_number

PRODUCT = "BTC-USD"

_GREETING = '{"type":"subscribe","product_ids":["BTC-USD"],"channels":["matches","heartbeat"]}'
"""Due within 5 s."""


class CoinbaseStream:
    """Coinbase Exchange, keyless.

    https://docs.cdp.coinbase.com/exchange/websocket-feed/channels

    After the confirmation comes the last trade from before, as `last_match`. `trade_id` counts the trades of the
    product; `sequence` counts orders too. The heartbeat of each second has a time; its `last_trade_id` was 0 for months
    (preichenberger/go-coinbasepro#89) and is left alone. There are no quotes: that of a ticker comes with a trade and
    is as old. An error before the confirmation is about the subscription; later ones (a client that reads too
    slowly or sends too much) come before a disconnect.
    """

    name = "coinbase"
    contiguous = True

    def __init__(self) -> None:
        self._subscribed = False

    def greet(self) -> list[str]:
        """Return the subscription."""
        return [_GREETING]

    def ping(self, number: int) -> str | None:
        """Return None: heartbeats come each second."""
        return None

    def read(self, message: str) -> Frame:
        """Return what a message says."""
        with expect_shape(self.name, parse_message(self.name, message)) as answer:
            match answer["type"]:
                case "subscriptions":
                    return self._confirm(answer["channels"])
                case "error" if self._subscribed:
                    return Frame(renewal=Renewal.AT_ONCE)
                case "error":
                    return Frame(refused=quoted(answer.get("reason", answer.get("message"))))
                case "match" | "last_match" | "heartbeat" as kind if answer["product_id"] == PRODUCT:
                    return self._read_product(kind, answer)
            return Frame()

    def _confirm(self, channels: Any) -> Frame:
        self._subscribed = any(
            channel["name"] == "matches" and PRODUCT in channel["product_ids"] for channel in channels
        )
        return Frame(subscribed=self._subscribed)

    def _read_product(self, kind: str, answer: Any) -> Frame:
        time_ns = parse_iso_ns(self.name, answer["time"])
        if kind == "heartbeat":
            return Frame(stamp_ns=time_ns)
        number = parse_number(self.name, answer["trade_id"])
        trade = Trade(time_ns, number, parse_price(self.name, answer["price"]))
        return build_trade_frame([trade], catch_up=kind == "last_match")
