"""One connection with its subscription: greeted, pinged, read, and judged by what comes."""

import threading
import time
from collections.abc import Callable
from typing import NamedTuple

from btcts.domain.codes import StreamCode
from btcts.domain.trades import Arrival, Frame, Renewal
from btcts.errors import ProviderError
from btcts.providers.streams.base import Subscription
from btcts.providers.streams.connection import Connection, ConnectionEnded

PINGED_AFTER_MS = 300
"""Time of the pings after each full 2 s: exchanges report the trades of a minute within 2 s after it, and the answer to
the next ping shows that all have come."""

MOST_UNREADABLE = 20
"""Messages in a row that cannot be read before the connection is given up."""

_MOST_ASKED = 20
"""Pings whose answers are waited for."""


class Pace(NamedTuple):
    """The times of a stream, in seconds.

    It pings each `ping_s`, gives a connection up that brings no message for `silent_s` or no subscription within
    `confirm_s`, and reads one that is replaced for `drain_s` more. After a refusal it waits for `refused_s`;
    `retry_s` is the unit of its other waits. What comes within `rest_s` after a message is read with the next ones, as
    waking up costs more than a message; prices are written once a second.
    """

    ping_s: float = 2.0
    silent_s: float = 10.0
    confirm_s: float = 10.0
    drain_s: float = 2.0
    refused_s: float = 300.0
    retry_s: float = 1.0
    rest_s: float = 0.2


USUAL = Pace()


class Session:
    """An open connection and its subscription, which is `confirmed` by the exchange; `end` tells why it has ended.

    `now_ms` is the clock that dates what arrives, `steady_s` the one that measures silence.
    """

    def __init__(
        self,
        connection: Connection,
        subscription: Subscription,
        now_ms: Callable[[], int],
        pace: Pace,
        steady_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self.begun_s = steady_s()
        self.confirmed = False
        self.end: ConnectionEnded | None = None
        self._connection = connection
        self._subscription = subscription
        self._now_ms = now_ms
        self._pace = pace
        self._steady_s = steady_s
        self._heard_s = self.begun_s
        self._pings_at_s = self.begun_s + self._find_ping_wait()
        self._asked_ms: dict[int, int] = {}
        self._pings = 0
        self._unreadable = 0
        self._send(*subscription.greet())

    def read(self, within_s: float) -> list[Arrival]:
        """Return what arrives until something does, or the time is up; nothing once the session has ended."""
        if self.end:
            return []
        self._ping()
        try:
            messages = self._connection.receive(max(0.0, min(within_s, self._pings_at_s - self._steady_s())))
        except ConnectionEnded as exc:
            self.end = exc
            return []
        arrivals = [self._interpret(message) for message in messages]
        self._judge(silent=not messages)
        return arrivals

    def rest(self, stop: threading.Event) -> None:
        """Let messages gather, unless more have come already."""
        if not (self.end or self._connection.has_more()):
            stop.wait(self._pace.rest_s)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _send(self, *messages: str) -> None:
        try:
            for message in messages:
                self._connection.send(message)
        except ConnectionEnded as exc:
            self.end = exc

    def _ping(self) -> None:
        if self._steady_s() < self._pings_at_s:
            return
        self._pings_at_s = self._steady_s() + self._find_ping_wait()
        self._pings += 1
        if message := self._subscription.ping(self._pings):
            self._asked_ms[self._pings] = self._now_ms()
            self._asked_ms.pop(self._pings - _MOST_ASKED, None)
            self._send(message)

    def _find_ping_wait(self) -> float:
        return find_ping_wait_ms(self._now_ms(), round(1000 * self._pace.ping_s)) / 1000

    def _interpret(self, message: str) -> Arrival:
        received_ms = self._now_ms()
        try:
            frame = self._subscription.read(message)
        except ProviderError as exc:
            self._unreadable += 1
            if self._unreadable >= MOST_UNREADABLE:
                why = f"{MOST_UNREADABLE} messages that cannot be read, the last one: {exc.problem}"
                self.end = ConnectionEnded(why, StreamCode.UNREADABLE)
            return Arrival(received_ms, Frame(lost=True))
        self._unreadable = 0
        self.confirmed = self.confirmed or frame.subscribed
        if frame.refused:
            why, wait_s = f"refused by the exchange ({frame.refused})", self._pace.refused_s
            self.end = ConnectionEnded(why, StreamCode.REJECTED, wait_s=wait_s)
        elif frame.renewal is Renewal.AT_ONCE:
            self.end = ConnectionEnded("the exchange wants a new connection", StreamCode.RENEWAL)
        asked_ms = None if frame.echo is None else self._asked_ms.pop(frame.echo, None)
        return Arrival(received_ms, frame, asked_ms)

    def _judge(self, *, silent: bool) -> None:
        now_s = self._steady_s()
        if not silent:
            self._heard_s = now_s
        if self.end:
            return
        if now_s - self._heard_s > self._pace.silent_s:
            self.end = ConnectionEnded(f"no message for {self._pace.silent_s:g} s", StreamCode.SILENT)
        elif not self.confirmed and now_s - self.begun_s > self._pace.confirm_s:
            self.end = ConnectionEnded(f"no subscription within {self._pace.confirm_s:g} s", StreamCode.SILENT)


def find_ping_wait_ms(now_ms: int, interval_ms: int) -> int:
    """Return the time to the next ping: those of a minute come at the same moments of each minute."""
    half_ms = interval_ms // 2  # a ping that was a little early is not repeated
    return interval_ms + half_ms - (now_ms - PINGED_AFTER_MS + half_ms) % interval_ms
