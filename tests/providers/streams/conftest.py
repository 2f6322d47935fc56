"""One stream in a thread of the test, connected to a local server, and the queue of its events."""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from functools import partial
from queue import Queue

import pytest

from btcts.domain.trades import Arrival, Closed, Frame, Opened, StreamEvent
from btcts.providers.connections import Connections
from btcts.providers.streams import SUBSCRIPTIONS
from btcts.providers.streams.connection import open_connection, parse_stream_url
from btcts.providers.streams.session import Pace
from btcts.providers.streams.stream import Stream
from btcts.system.sockets import Dialer
from support.exchanges.stream_server import StreamServer

WITHIN_S = 10.0
"""Longest wait for an event that must come."""

NOW_MS = 1_767_268_830_000

QUICK = Pace(ping_s=0.05, silent_s=5, confirm_s=5, drain_s=0.1, refused_s=0.01, retry_s=0.01, rest_s=0)


class Running:
    """A running stream; its events are taken one by one."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.stop = threading.Event()
        self.events: list[StreamEvent] = []
        self._queue: Queue[StreamEvent] = Queue()
        self._thread = threading.Thread(target=stream.run, args=(self._queue.put, self.stop), daemon=True)

    def __enter__(self) -> "Running":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        self._thread.join()

    def await_event(self, fits: Callable[[StreamEvent], object]) -> StreamEvent:
        """Take events until one fits, and return it."""
        while True:
            event = self._queue.get(timeout=WITHIN_S)
            self.events.append(event)
            if fits(event):
                return event

    def await_opened(self) -> Opened:
        """The next connection."""
        event = self.await_event(lambda event: isinstance(event, Opened))
        assert isinstance(event, Opened)
        return event

    def await_end(self) -> str:
        """The code of the next end, and its reason."""
        event = self.await_event(lambda event: isinstance(event, Closed))
        assert isinstance(event, Closed)
        return f"{event.code}: {event.reason}"

    def await_frame(self, fits: Callable[[Frame], object]) -> Arrival:
        """The next arrival whose frame fits."""
        event = self.await_event(lambda event: isinstance(event, Arrival) and fits(event.frame))
        assert isinstance(event, Arrival)
        return event

    def await_subscription(self) -> None:
        """The next confirmed subscription."""
        self.await_frame(lambda frame: frame.subscribed)


Follow = Callable[..., Running]


@pytest.fixture
def follow() -> Iterator[Follow]:
    """Follow the stream of a server, or of a URL; `dialer` knows its name."""
    with ExitStack() as stack:

        def start(
            provider: str,
            at: StreamServer | str,
            pace: Pace = QUICK,
            timeout_s: float = WITHIN_S,
            dialer: Dialer | None = None,
        ) -> Running:
            connections = stack.enter_context(closing(Connections(dialer or Dialer())))
            address = parse_stream_url(at if isinstance(at, str) else at.url)
            connect = partial(open_connection, connections, address, timeout_s=timeout_s, now_ms=lambda: NOW_MS)
            stream = Stream(SUBSCRIPTIONS[provider], connect, lambda: NOW_MS, pace=pace, draw=lambda: 0.0)
            return stack.enter_context(Running(stream))

        yield start
