"""The protocol that each exchange's stream implements; independent of sockets."""

from typing import Protocol

from btcts.domain.trades import Frame


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
