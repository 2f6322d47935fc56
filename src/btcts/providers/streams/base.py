"""The protocol that each exchange's stream implements, and parsers for what messages say; independent of sockets."""

from collections.abc import Iterable
from typing import Any, Protocol

from btcts.domain.trades import Frame, Quote, Trade
from btcts.errors import ProviderError
from btcts.providers.base import decode_json, parse_price, quoted

NUMBERS_END = 1 << 63
"""Numbers of trades and pings are smaller."""


class Subscription(Protocol):
    """One subscription to the trades of BTC-USD, on one connection: what to send, and what the answers say."""

    name: str
    """The provider's name."""

    contiguous: bool
    """True when the numbers of trades count 1, 2, 3 ..., so that a missing one can be seen."""

    def greet(self) -> list[str]:
        """Return the messages to send once connected."""
        ...

    def ping(self, number: int) -> str | None:
        """Return the message that the exchange answers with this number; None where heartbeats come unasked."""
        ...

    def read(self, message: str) -> Frame:
        """Return what a message says; an empty frame for one of unknown kind.

        Raises:
            ProviderError: it is none of the documented messages, or a trade in it has no valid price, time or number.
        """
        ...


def parse_message(provider: str, message: str) -> Any:
    """Return the JSON value of a message, by `decode_json`.

    Raises:
        ProviderError: it is not JSON.
    """
    try:
        return decode_json(message)
    except ValueError as exc:
        raise ProviderError(provider, f"sent no JSON ({quoted(message)})") from exc


def parse_number(provider: str, value: object) -> int:
    """Return `value` as the number of a trade or a ping.

    Raises:
        ProviderError: it is not a whole number from 0 to `NUMBERS_END`.
    """
    if type(value) is int and 0 <= value < NUMBERS_END:
        return value
    raise ProviderError(provider, f"{quoted(value)} is not a number of a trade or a ping")


def read_quote(provider: str, bid: object, ask: object) -> Quote | None:
    """Return the quote; None when one of both is not a price, as in an empty book."""
    try:
        return Quote(parse_price(provider, bid), parse_price(provider, ask))
    except ProviderError:
        return None


def build_trade_frame(trades: Iterable[Trade], *, catch_up: bool = False) -> Frame:
    """Return the frame of a message about trades; new ones were sent no earlier than the last of them was made."""
    ordered = tuple(sorted(trades))
    stamp_ns = None if catch_up or not ordered else ordered[-1].time_ns
    return Frame(stamp_ns=stamp_ns, trades=ordered, catch_up=catch_up)
