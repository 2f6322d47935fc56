"""Talks between a subscription and the exchange's side of it, message by message."""

from collections.abc import Iterable, Sequence

from btcts.domain.trades import Frame, Trade
from btcts.providers.streams import SUBSCRIPTIONS
from support.exchanges.voices import VOICES

NOW_NS = 1_795_867_202_000_000_000
"""2026-11-28T12:00:02Z"""


class Talk:
    """A subscription and the exchange's side of it; `history` was traded before."""

    def __init__(self, name: str, history: Sequence[Trade] = (), *, refuses: bool = False) -> None:
        self.stream = SUBSCRIPTIONS[name]()
        self.voice = VOICES[name](history, lambda: NOW_NS, refuses=refuses)

    def begin(self) -> list[Frame]:
        """Connect and subscribe; return the frames of all that the exchange says to it."""
        answers = [answer for message in self.stream.greet() for answer in self.voice.answer(message)]
        return self.read([*self.voice.greet(), *answers])

    def read(self, messages: Iterable[str]) -> list[Frame]:
        """Return the frames of messages."""
        return [self.stream.read(message) for message in messages]


def subscribed(name: str, history: Sequence[Trade] = ()) -> Talk:
    """Return a talk after the subscription."""
    talk = Talk(name, history)
    talk.begin()
    return talk
