"""Several streams as the collector has them: one queue, taken whole, that neither blocks nor grows without end."""

import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, closing

import pytest

from btcts.domain.trades import Arrival, Closed, Frame, Opened, StreamEvent, Trade
from btcts.errors import ConfigError
from btcts.providers import Endpoint
from btcts.providers.streams import run_streams
from btcts.providers.streams.connection import Connection
from btcts.providers.streams.kraken import KrakenStream
from btcts.providers.streams.stream import MOST_WAITING, Stream, Streams
from providers.streams.conftest import NOW_MS
from support.exchanges.stream_server import StreamFault, StreamServer
from support.networks import black_hole

TRADE = Arrival(NOW_MS, Frame(trades=(Trade(NOW_MS * 10**6, 1, 60_000.0),)))
BEAT = Arrival(NOW_MS, Frame(stamp_ns=1))
LOST = Arrival(NOW_MS, Frame(lost=True))

NAMES = ("coinbase", "kraken", "bitstamp", "bitfinex", "gemini")


def fail() -> Connection:
    """Never connect."""
    raise AssertionError("it connects to nobody")


class Scripted(Stream):
    """A stream that brings these events at once."""

    def __init__(self, *events: StreamEvent) -> None:
        super().__init__(KrakenStream, fail, lambda: NOW_MS)
        self._script = events

    def run(self, put: Callable[[StreamEvent], None], stop: threading.Event) -> None:
        for event in self._script:
            put(event)
        self.ended.set()


def take_all(*streams: Stream) -> list[StreamEvent]:
    """What the streams have brought by their end."""
    with Streams(streams, lambda: NOW_MS) as running:
        for stream in streams:
            assert stream.ended.wait(10)
        return [event for _, event in running.take()]


def test_events_are_taken_once_and_in_order() -> None:
    stream = Scripted(Opened(1), BEAT, TRADE, Closed(2, "why"))

    with Streams([stream], lambda: NOW_MS) as running:
        assert stream.ended.wait(10)
        taken = [running.take(), running.take()]

    assert taken == [[("kraken", event) for event in (Opened(1), BEAT, TRADE, Closed(2, "why"))], []]


def test_a_full_queue_drops_arrivals_and_tells_of_it_once() -> None:
    events = take_all(Scripted(*[BEAT] * (MOST_WAITING + 3), Closed(1, "why"), BEAT))

    assert events[MOST_WAITING:] == [LOST, Closed(1, "why")]


def test_a_message_counts_as_many_times_as_it_has_trades() -> None:
    many = Arrival(NOW_MS, Frame(trades=TRADE.frame.trades * 1000))

    assert len(take_all(Scripted(*[many] * 200))) == MOST_WAITING / 1000 + 1


def test_a_trade_ends_the_wait() -> None:
    with Streams([Scripted(TRADE)], lambda: NOW_MS) as running:
        began = time.monotonic()

        running.wait(60)

    assert time.monotonic() - began < 30


def test_a_trade_that_was_taken_ends_no_wait() -> None:
    stream = Scripted(TRADE)

    with Streams([stream], lambda: NOW_MS) as running:
        assert stream.ended.wait(10)
        running.take()
        began = time.monotonic()
        running.wait(0.05)

    assert time.monotonic() - began >= 0.05


def test_a_fault_of_our_own_is_told_and_ends_no_thread() -> None:
    with Streams([stream := Stream(KrakenStream, fail, lambda: NOW_MS)], lambda: NOW_MS) as running:
        while not (events := running.take()):
            running.wait(0.01)
        ended = stream.ended.is_set()

    [(_, closed)] = events
    assert isinstance(closed, Closed)
    assert re.search(r" providers/streams/stream\.py:\d+; ", closed.reason)
    assert not ended


@pytest.mark.parametrize("fault", [None, StreamFault.MUTE, StreamFault.DEAF, StreamFault.FORBIDDEN])
def test_streams_end_at_once_in_any_state(fault: StreamFault | None) -> None:
    with StreamServer("kraken") as server:
        server.fault = fault
        with run_streams({"kraken": Endpoint("", 30.0, server.url)}, now_ms=lambda: NOW_MS):
            server.await_attempts(1)
            began = time.monotonic()

    assert time.monotonic() - began < 5


def test_streams_end_at_once_while_they_dial() -> None:
    with black_hole() as (host, port), ExitStack() as stack:
        stack.enter_context(run_streams({"kraken": Endpoint("", 1.0, f"ws://{host}:{port}")}, now_ms=lambda: NOW_MS))
        began = time.monotonic()

        stack.close()

        assert time.monotonic() - began < 0.9


def test_all_exchanges_are_followed_in_one_queue() -> None:
    with ExitStack() as stack:
        servers = {name: stack.enter_context(StreamServer(name)) for name in NAMES}
        endpoints = {name: Endpoint("", 5.0, server.url) for name, server in servers.items()}
        running = stack.enter_context(run_streams(endpoints, now_ms=lambda: NOW_MS))
        for server in servers.values():
            server.await_subscribers()
            server.say([Trade(NOW_MS * 10**6, 7, 60_000.0)])

        traded: set[str] = set()
        while traded != set(NAMES):
            running.wait(10)
            events = running.take()
            traded |= {name for name, event in events if isinstance(event, Arrival) and event.frame.trades}

    assert running.names == NAMES
    assert {name for name in NAMES if running.contiguous[name]} == {"coinbase", "kraken"}


def test_a_proxy_that_cannot_be_used_is_told_before_anything_is_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "foo://TOKEN:hunter2@proxy.test")

    with (
        pytest.raises(ConfigError, match=r"^HTTPS_PROXY is not http://"),
        run_streams({"kraken": Endpoint("", 5.0, "wss://exchange.test/ws")}, now_ms=lambda: NOW_MS),
    ):
        pass


HANGING = """
import sys
from btcts.providers import Endpoint
from btcts.providers.streams import run_streams

with run_streams({"kraken": Endpoint("", 60.0, sys.argv[1])}, now_ms=lambda: 0):
    print("running", flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize("scheme", ["ws", "wss"])
def test_a_process_ends_at_once_while_a_connection_hangs(scheme: str) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        url = "{}://{}:{}/ws".format(scheme, *listener.getsockname())
        command = [sys.executable, "-c", HANGING, url]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout
            assert process.stdout.readline() == "running\n"
            listener.accept()[0].detach()
            process.communicate("", timeout=10)

    assert process.returncode == 0
