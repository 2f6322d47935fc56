"""The stream of Gemini."""

import json
from typing import Any

from btcts.domain.trades import Frame, Trade
from btcts.providers.base import expect_shape, parse_ns, parse_price, quoted
from btcts.providers.streams.base import build_trade_frame, parse_message, parse_number, read_quote

PRODUCT = "btcusd"


class GeminiStream:
    """Gemini, keyless, on its new server (those of version 1 and 2 are archived).

    https://developer.gemini.com/websocket/streams
    https://github.com/gemini/developer-platform/blob/main/specs/asyncapi/websocket.yaml

    Messages have no kind: an `id` is that of the request which they answer, `t` is the number of a trade, `B` the
    amount at the best bid. `E` counts ns, beyond 2**53. No trades from before the subscription, nothing unasked on a
    quiet market, and nothing is known about the gaps between numbers, so a missing trade cannot be seen. Prices of
    quotes may be empty texts. Requests that differ are made apart, so that refused quotes do not end the trades.
    """

    name = "gemini"
    contiguous = False

    def greet(self) -> list[str]:
        """Return the subscriptions to trades and quotes."""
        asked = (("trades", f"{PRODUCT}@trade"), ("quotes", f"{PRODUCT}@bookTicker"))
        return [json.dumps({"id": id_, "method": "subscribe", "params": [stream]}) for id_, stream in asked]

    def ping(self, number: int) -> str | None:
        """Return a ping, whose answer has no time but its number."""
        return json.dumps({"id": f"p{number}", "method": "ping"})

    def read(self, message: str) -> Frame:
        """Return what a message says."""
        with expect_shape(self.name, parse_message(self.name, message)) as answer:
            if "id" in answer:
                return self._read_reply(answer["id"], answer)
            if answer.get("s", "").lower() != PRODUCT:
                return Frame()
            if "t" in answer:
                return build_trade_frame([self._read_trade(answer)])
            if "B" in answer:
                quote = read_quote(self.name, answer.get("b"), answer.get("a"))
                return Frame(stamp_ns=parse_ns(self.name, answer["E"]), quote=quote)
            return Frame()

    def _read_reply(self, request: object, answer: Any) -> Frame:
        if request == "trades":
            return Frame(subscribed=True) if answer["status"] == 200 else Frame(refused=quoted(answer.get("error")))
        if isinstance(request, str) and request.startswith("p"):
            return Frame(echo=parse_number(self.name, int(request[1:])))
        return Frame()

    def _read_trade(self, row: Any) -> Trade:
        time_ns = parse_ns(self.name, row["E"])
        return Trade(time_ns, parse_number(self.name, row["t"]), parse_price(self.name, row["p"]))
