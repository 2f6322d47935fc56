"""The streams of one collector, without sockets and threads: what `Streams` does, in the time of the floors."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from random import Random
from typing import cast

from btcts.domain.trades import Arrival, Closed, Frame, Opened, Renewal, StreamEvent
from btcts.providers.streams import SUBSCRIPTIONS
from btcts.providers.streams.connection import Connection, ConnectionEnded
from btcts.providers.streams.session import USUAL, Session
from btcts.providers.streams.stream import Attempts
from simulation.chaos.floor import Floor


class Feed:
    """The stream of one provider; `begun_s` are the times of its connections."""

    def __init__(self, floor: Floor, now_ms: Callable[[], int], chance: Random) -> None:
        self.begun_s: list[float] = []
        self.floor = floor
        self._subscribe = SUBSCRIPTIONS[floor.name]
        self.contiguous = self._subscribe().contiguous
        self._now_ms = now_ms
        self._chance = chance
        self._attempts = Attempts(USUAL.retry_s)
        self._session: Session | None = None
        self._successor: Session | None = None
        self._held: list[Arrival] = []
        self._old: Session | None = None
        self._drained_s = 0.0

    def go_on(self) -> Iterator[StreamEvent]:
        """Yield what happens at this moment."""
        session = self._session
        if session is None:
            if self._now_s() >= self._attempts.find_next():
                yield from self._begin()
            return
        if self._successor:
            yield from self._await(session, self._successor)
            return
        yield from self._drain()
        arrivals = session.read(0)
        yield from arrivals
        if any(arrival.frame.renewal is Renewal.OVERLAPPING for arrival in arrivals):
            self._begin_replacement()
        elif session.end:
            yield self._finish(session.end, self._now_s() - session.begun_s)

    def close(self) -> None:
        """End with the process."""
        for session in (self._session, self._successor, self._old):
            if session:
                session.close()

    def _begin(self) -> Iterator[StreamEvent]:
        try:
            self._session = self._open()
            yield Opened(self._now_ms())
        except ConnectionEnded as exc:
            yield self._finish(exc, 0.0)

    def _open(self) -> Session:
        self._attempts.begin(self._now_s())
        self.begun_s.append(self._now_s())
        line = cast("Connection", self.floor.connect())
        return Session(line, self._subscribe(), self._now_ms, USUAL, self._now_s)

    def _begin_replacement(self) -> None:
        if self._now_s() < self._attempts.find_next():
            return
        try:
            self._successor, self._held = self._open(), []
        except ConnectionEnded as exc:
            self._back_off(0.0, exc.wait_s)

    def _await(self, old: Session, new: Session) -> Iterator[StreamEvent]:
        yield from old.read(0)
        self._held += new.read(0)
        if not (new.confirmed or new.end or old.end):
            return
        self._successor = None
        if new.end:
            self._back_off(0.0, new.end.wait_s)
            new.close()
            return
        self._back_off(self._now_s() - old.begun_s, 0.0)
        if old.end:
            yield Closed(self._now_ms(), old.end.why, old.end.code)
        yield Opened(self._now_ms(), overlaps=old.end is None)
        yield from self._held
        self._session, self._old, self._drained_s = new, old, self._now_s() + USUAL.drain_s

    def _drain(self) -> Iterator[StreamEvent]:
        """Read the connection that was replaced for a moment more."""
        if self._old is None:
            return
        yield from self._old.read(0)
        if self._old.end:
            yield Arrival(self._now_ms(), Frame(lost=True))
        if self._old.end or self._now_s() >= self._drained_s:
            self._old.close()
            self._old = None

    def _finish(self, end: ConnectionEnded, worked_s: float) -> Closed:
        self._back_off(worked_s, end.wait_s)
        self.close()
        self._session = self._old = None
        return Closed(self._now_ms(), end.why, end.code)

    def _back_off(self, worked_s: float, least_wait_s: float) -> None:
        self._attempts.end(self._now_s(), worked_s=worked_s, chance=self._chance.random(), least_wait_s=least_wait_s)

    def _now_s(self) -> float:
        return self.floor.at_ms / 1000


class Feeds:
    """A source of events, as a collector has it; `note` is told of each event that the collector takes."""

    def __init__(
        self,
        floors: Sequence[Floor],
        now_ms: Callable[[], int],
        chance: Random,
        note: Callable[[str, StreamEvent], None],
    ) -> None:
        self.feeds = [Feed(floor, now_ms, chance) for floor in floors]
        self._note = note
        self._events: list[tuple[str, StreamEvent]] = []

    @property
    def contiguous(self) -> Mapping[str, bool]:
        """The providers, and whether the numbers of their trades count 1, 2, 3 ..."""
        return {feed.floor.name: feed.contiguous for feed in self.feeds}

    def go_on(self) -> None:
        """Let all that happens at this moment wait to be taken."""
        self._events += [(feed.floor.name, event) for feed in self.feeds for event in feed.go_on()]

    def take(self) -> Sequence[tuple[str, StreamEvent]]:
        """Return what has happened since the last call."""
        events, self._events = self._events, []
        for provider, event in events:
            self._note(provider, event)
        return events

    def wait(self, seconds: float) -> None:
        """Wait for nothing: time goes on elsewhere."""

    def close(self) -> None:
        """End all connections."""
        for feed in self.feeds:
            feed.close()
