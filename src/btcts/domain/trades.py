"""Trades as exchanges stream them, and what the messages of a stream say (pure)."""

from enum import Enum
from typing import NamedTuple

from btcts.domain.codes import StreamCode

NS_PER_MS = 1_000_000


class Trade(NamedTuple):
    """One trade, by the exchange's time; trades of one time are in the order of their numbers."""

    time_ns: int
    number: int
    price: float


class Quote(NamedTuple):
    """The best bid and the best ask at one moment."""

    bid: float
    ask: float


class Renewal(Enum):
    """The way in which an exchange wants its connection replaced."""

    AT_ONCE = "at once"
    OVERLAPPING = "overlapping"
    """The new connection is opened first, so that no trade is missed."""


class Frame(NamedTuple):
    """The contents of one message.

    `stamp_ns` is the time at which the exchange sent it, if it says so. Trades of a `catch_up` are those from before
    the subscription, without a gap among them. `echo` is the number of the ping that it answers; `lost` tells that
    messages before it, or trades in it, are missing. `serving` is False when maintenance begins, True when the
    exchange says that it works. `refused` tells why the exchange does not accept the subscription.
    """

    stamp_ns: int | None = None
    trades: tuple[Trade, ...] = ()
    catch_up: bool = False
    quote: Quote | None = None
    subscribed: bool = False
    echo: int | None = None
    lost: bool = False
    serving: bool | None = None
    renewal: Renewal | None = None
    refused: str = ""


class Arrival(NamedTuple):
    """A frame that arrived at `received_ms` by our clock; the ping that it answers was sent at `asked_ms`."""

    received_ms: int
    frame: Frame
    asked_ms: int | None = None


class Opened(NamedTuple):
    """A connection was opened; nothing was missed before it when it `overlaps` the one that it replaces."""

    at_ms: int
    overlaps: bool = False


class Closed(NamedTuple):
    """A connection ended, or could not be opened; `code` is a `StreamCode`."""

    at_ms: int
    reason: str
    code: str = StreamCode.FAILED


StreamEvent = Arrival | Opened | Closed
