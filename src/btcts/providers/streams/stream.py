"""Streams in threads of their own: connected, followed, connected again, and read into one queue."""

import random
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Self

from btcts.domain.codes import StreamCode
from btcts.domain.trades import Arrival, Closed, Frame, Opened, Renewal, StreamEvent
from btcts.errors import describe_unforeseen
from btcts.providers.streams.base import Subscription
from btcts.providers.streams.connection import Connection, ConnectionEnded
from btcts.providers.streams.session import USUAL, Pace, Session
from btcts.system.calls import start_thread

MOST_WAITING = 100_000
"""Most trades and other messages that wait to be taken: half an hour in a storm, and about 50 MB."""

END_WITHIN_S = 0.5

_SLICE_S = 0.4
"""Longest time without a look at the clock and at whether to stop."""

_TURN_S = 0.02
"""The same while two connections take turns."""

MOST_ATTEMPTS = 20
"""Most connections within `WITHIN_S`: Kraken bans for more than 150 in 10 minutes, and others may be stricter."""

WITHIN_S = 600.0

LONGEST_WAIT_S = 60.0

STEADY_S = 60.0
"""A connection that worked this long clears the failures before it."""


class Attempts:
    """The attempts of one stream, which back off: the first wait is up to `unit_s`, later ones double up to a minute.

    Times are seconds of one monotonic clock.
    """

    def __init__(self, unit_s: float = 1.0) -> None:
        self._unit_s = unit_s
        self._begun: deque[float] = deque(maxlen=MOST_ATTEMPTS)
        self._failures = 0
        self._ready_s = 0.0

    def begin(self, now_s: float) -> None:
        """Count an attempt."""
        self._begun.append(now_s)

    def end(self, now_s: float, *, worked_s: float, chance: float, least_wait_s: float = 0.0) -> None:
        """Note the end of a connection, or of an attempt, after it worked for `worked_s`.

        `chance`, from 0 to 1, spreads streams and users that lost their connections together; the next attempt comes
        after `least_wait_s` at the earliest.
        """
        if worked_s >= STEADY_S:
            self._failures = 0
        wait_s = self._unit_s * chance
        if self._failures:
            wait_s = self._unit_s * min(2.0 ** (self._failures - 1), LONGEST_WAIT_S) * (1 + chance) / 2
        self._failures = min(self._failures + 1, 10)
        self._ready_s = max(self._ready_s, now_s + max(wait_s, least_wait_s))

    def find_next(self) -> float:
        """Return the time from which on the next attempt is allowed."""
        full = len(self._begun) == MOST_ATTEMPTS
        return max(self._ready_s, self._begun[0] + WITHIN_S) if full else self._ready_s


class Stream:
    """The stream of one provider: `subscribe` makes a subscription for each connection that `connect` opens."""

    def __init__(
        self,
        subscribe: Callable[[], Subscription],
        connect: Callable[[], Connection],
        now_ms: Callable[[], int],
        *,
        pace: Pace = USUAL,
        draw: Callable[[], float] = random.random,
    ) -> None:
        subscription = subscribe()
        self.name = subscription.name
        self.contiguous = subscription.contiguous
        self.ended = threading.Event()
        self._subscribe = subscribe
        self._connect = connect
        self._now_ms = now_ms
        self._pace = pace
        self._draw = draw
        self._attempts = Attempts(pace.retry_s)
        self._sessions: list[Session] = []

    def run(self, put: Callable[[StreamEvent], None], stop: threading.Event) -> None:
        """Connect and put all events until stopped, whatever happens."""
        while not stop.wait(max(0.0, self.find_next_attempt() - time.monotonic())):
            worked_s, end = 0.0, ConnectionEnded("stopped", StreamCode.CLOSED)
            try:
                worked_s, end = self._follow(put, stop)
            except ConnectionEnded as exc:
                end = exc
            except Exception as exc:  # noqa: BLE001 - the next connection may do better, and the reason is told
                end = ConnectionEnded(describe_unforeseen(exc), StreamCode.FAILED, wait_s=self._pace.refused_s)
            self._back_off(worked_s, end.wait_s)
            with suppress(MemoryError):
                self._close_all()
                put(Closed(self._now_ms(), end.why, end.code))
        self.ended.set()

    def find_next_attempt(self) -> float:
        """Return the time of the monotonic clock from which on the next connection may be opened."""
        return self._attempts.find_next()

    def _back_off(self, worked_s: float, least_wait_s: float) -> None:
        self._attempts.end(time.monotonic(), worked_s=worked_s, chance=self._draw(), least_wait_s=least_wait_s)

    def _follow(self, put: Callable[[StreamEvent], None], stop: threading.Event) -> tuple[float, ConnectionEnded]:
        """Follow a new connection, and those that replace it, to the end; return how long the last one worked.

        Raises:
            ConnectionEnded: none could be opened.
        """
        session = self._open()
        put(Opened(self._now_ms()))
        while session.end is None and not stop.is_set():
            arrivals = session.read(_SLICE_S)
            _put_all(put, arrivals)
            if any(arrival.frame.renewal is Renewal.OVERLAPPING for arrival in arrivals):
                session = self._replace(session, put, stop)
            elif arrivals:
                session.rest(stop)
        return time.monotonic() - session.begun_s, session.end or ConnectionEnded("stopped", StreamCode.CLOSED)

    def _open(self) -> Session:
        self._attempts.begin(time.monotonic())
        session = Session(self._connect(), self._subscribe(), self._now_ms, self._pace)
        self._sessions.append(session)
        return session

    def _replace(self, old: Session, put: Callable[[StreamEvent], None], stop: threading.Event) -> Session:
        """Return the session that takes over from `old` once it is confirmed; `old` if there is none."""
        if time.monotonic() < self.find_next_attempt():
            return old
        try:
            new = self._open()
        except ConnectionEnded as exc:
            self._back_off(0.0, exc.wait_s)
            return old
        held: list[Arrival] = []
        while not (new.confirmed or new.end or old.end or stop.is_set()):
            _put_all(put, old.read(_TURN_S))
            held += new.read(_TURN_S)
        if new.end:
            self._back_off(0.0, new.end.wait_s)
            self._drop(new)
            return old
        self._back_off(time.monotonic() - old.begun_s, 0.0)  # the exchange may ask for one after the other
        if old.end:
            put(Closed(self._now_ms(), old.end.why, old.end.code))
        put(Opened(self._now_ms(), overlaps=old.end is None))
        _put_all(put, held)
        until_s = time.monotonic() + self._pace.drain_s
        while time.monotonic() < until_s and not (new.end or old.end or stop.is_set()):
            _put_all(put, old.read(_TURN_S))
            _put_all(put, new.read(_TURN_S))
        if old.end:  # messages that it had not sent yet are lost
            put(Arrival(self._now_ms(), Frame(lost=True)))
        self._drop(old)
        return new

    def _drop(self, session: Session) -> None:
        self._sessions.remove(session)
        session.close()

    def _close_all(self) -> None:
        while self._sessions:
            self._sessions.pop().close()


def _put_all(put: Callable[[StreamEvent], None], events: Iterable[StreamEvent]) -> None:
    for event in events:
        put(event)


class Streams:
    """Several streams, which run within the `with` block, and the queue of what they bring."""

    def __init__(self, streams: Sequence[Stream], now_ms: Callable[[], int]) -> None:
        self.names = tuple(stream.name for stream in streams)
        self.contiguous: Mapping[str, bool] = {stream.name: stream.contiguous for stream in streams}
        self._streams = streams
        self._now_ms = now_ms
        self._events: list[tuple[str, StreamEvent]] = []
        self._waiting = 0
        self._full: set[str] = set()
        self._lock = threading.Lock()
        self._traded = threading.Event()
        self._stop = threading.Event()

    def __enter__(self) -> Self:
        for stream in self._streams:
            put = partial(self._put, stream.name)
            try:
                start_thread(partial(stream.run, put, self._stop))
            except (RuntimeError, MemoryError) as exc:
                stream.ended.set()
                put(Closed(self._now_ms(), f"no thread can be started ({describe_unforeseen(exc)})"))
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        until_s = time.monotonic() + END_WITHIN_S
        for stream in self._streams:
            stream.ended.wait(max(0.0, until_s - time.monotonic()))

    def take(self) -> list[tuple[str, StreamEvent]]:
        """Return what the streams brought since the last call, with the names of the providers, in order."""
        with self._lock:
            events, self._events = self._events, []
            self._waiting = 0
            self._full.clear()
            self._traded.clear()
        return events

    def wait(self, seconds: float) -> None:
        """Wait until a trade waits to be taken, or the time is up."""
        self._traded.wait(seconds)

    def _put(self, name: str, event: StreamEvent) -> None:
        """Add an event; arrivals that find the queue full are dropped, and one that tells so stands in their place."""
        with self._lock:
            if isinstance(event, Arrival) and self._waiting >= MOST_WAITING:
                if name in self._full:
                    return
                self._full.add(name)
                event = Arrival(event.received_ms, Frame(lost=True))
            self._events.append((name, event))
            trades = event.frame.trades if isinstance(event, Arrival) else ()
            self._waiting += max(1, len(trades))
            if trades:
                self._traded.set()
