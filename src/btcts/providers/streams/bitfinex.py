"""The stream of Bitfinex."""

import json
from typing import Any

from btcts.domain.trades import NS_PER_MS, Frame, Renewal, Trade
from btcts.providers.base import expect_shape, parse_ns, parse_price, quoted
from btcts.providers.streams.base import build_trade_frame, parse_message, parse_number, read_quote

PRODUCT = "tBTCUSD"
COUNTED = 65536
"""The flag that makes every array end with a number, which counts those of the connection."""

_NOTICES = {
    20051: Frame(renewal=Renewal.AT_ONCE),
    20060: Frame(serving=False),
    20061: Frame(serving=True, renewal=Renewal.AT_ONCE),
}
"""The meaning of the codes of notices: a restart, maintenance, and its end, when all must be subscribed to again."""


class BitfinexStream:
    """Bitfinex, keyless.

    https://docs.bitfinex.com/reference/ws-public-trades
    https://docs.bitfinex.com/docs/ws-general

    Events are objects; data are arrays with the number that the confirmation gave their channel. First come trades from
    before, [id, ms, amount, price], newest first; then each new one as `te` and a little later as `tu`, or as `tu`
    alone, so both are read. Ids rise but have gaps; lost messages show in the number at the end of arrays (other flags
    would move it). The ticker is one short row without the order book, so quotes are cheap; when it is refused, trades
    go on. Arrays may grow at their end.
    """

    name = "bitfinex"
    contiguous = False

    def __init__(self) -> None:
        self._channels: dict[int, object] = {}
        self._last: int | None = None
        """The number of the last array."""

    def greet(self) -> list[str]:
        """Return the request for numbers, which has to come first, and the subscriptions."""
        asked = [{"event": "subscribe", "channel": channel, "symbol": PRODUCT} for channel in ("trades", "ticker")]
        return [json.dumps(request) for request in ({"event": "conf", "flags": COUNTED}, *asked)]

    def ping(self, number: int) -> str | None:
        """Return a ping, whose pong tells the number and the time."""
        return json.dumps({"event": "ping", "cid": number})

    def read(self, message: str) -> Frame:
        """Return what a message says."""
        with expect_shape(self.name, parse_message(self.name, message)) as answer:
            if isinstance(answer, dict):
                return self._read_event(answer)
            lost = self._miss(answer[-1])
            frame = self._read_row(self._channels.get(parse_number(self.name, answer[0])), answer)
            return frame._replace(lost=True, renewal=Renewal.AT_ONCE) if lost else frame

    def _read_event(self, event: dict[str, Any]) -> Frame:
        match event:
            case {"event": "subscribed", "symbol": "tBTCUSD"}:
                self._channels[parse_number(self.name, event["chanId"])] = event["channel"]
                return Frame(subscribed=event["channel"] == "trades")
            case {"event": "pong"}:
                stamp_ns = parse_ns(self.name, event["ts"], unit_ns=NS_PER_MS)
                return Frame(stamp_ns=stamp_ns, echo=parse_number(self.name, event["cid"]))
            case {"event": "info", "code": code}:
                return _NOTICES.get(code, Frame())
            case {"event": "info", "platform": {"status": status}}:
                return Frame(serving=status == 1)
            case {"event": "error"} if event.get("channel") != "ticker":
                return Frame(refused=quoted(event.get("msg")))
        return Frame()

    def _miss(self, number: object) -> bool:
        """Tell whether arrays are missing before the one that ends with this number."""
        if type(number) is not int:
            return False
        last, self._last = self._last, number
        return last is not None and number != last + 1

    def _read_row(self, channel: object, row: list[Any]) -> Frame:
        match channel, row[1]:
            case "trades", "te" | "tu":
                return build_trade_frame([self._read_trade(row[2])])
            case "trades", list(rows):
                return build_trade_frame((self._read_trade(trade) for trade in rows), catch_up=True)
            case "ticker", [bid, _, ask, *_]:
                return Frame(quote=read_quote(self.name, bid, ask))
        return Frame()

    def _read_trade(self, row: Any) -> Trade:
        time_ns = parse_ns(self.name, row[1], unit_ns=NS_PER_MS)
        return Trade(time_ns, parse_number(self.name, row[0]), parse_price(self.name, row[3]))
