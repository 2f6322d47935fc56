"""The stream of one exchange on loopback: a WebSocket server that speaks with the exchange's voice, and has faults."""

import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from enum import Enum
from socket import SHUT_RDWR
from typing import Self

from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.sync.server import ServerConnection, serve

from btcts.domain.trades import Trade
from support.exchanges.faults import HTML
from support.exchanges.voices import VOICES, Voice


class StreamFault(Enum):
    """What the server does wrong with new connections."""

    MUTE = "never answers the request to upgrade"
    FORBIDDEN = "HTTP 403 with a page"
    LIMITED = "HTTP 429 with a Retry-After of 7 s"
    UNAVAILABLE = "HTTP 503"
    PAGE = "HTTP 200 with a page"
    DEAF = "upgrades and answers no message"
    REFUSING = "refuses the subscription to trades"


_ANSWERS = {
    StreamFault.FORBIDDEN: Response(403, "Forbidden", Headers({"Content-Length": str(len(HTML))}), HTML),
    StreamFault.LIMITED: Response(
        429, "Too Many Requests", Headers({"Retry-After": "7", "Content-Length": "8"}), b"too many"
    ),
    StreamFault.UNAVAILABLE: Response(503, "Service Unavailable", Headers({"Content-Length": "4"}), b"busy"),
    StreamFault.PAGE: Response(200, "OK", Headers({"Content-Length": str(len(HTML))}), HTML),
}


class StreamServer:
    """The stream of one provider; a context manager.

    `fault` may be changed at any time. `attempts` are the times of all requests to upgrade, by the monotonic clock.
    Without `packs`, messages are not compressed. With `late_s`, answers come so much later.
    """

    def __init__(self, provider: str, *, packs: bool = True) -> None:
        self.fault: StreamFault | None = None
        self.late_s = 0.0
        self.attempts: list[float] = []
        self.requests: list[Request] = []
        self._provider = provider
        self._history: list[Trade] = []
        self._voices: dict[ServerConnection, Voice] = {}
        self._ends = 0
        self._sending = threading.RLock()
        self._changed = threading.Condition()
        self._ending = threading.Event()
        self._server = serve(
            self._serve,
            "127.0.0.1",
            0,
            process_request=self._judge,
            compression="deflate" if packs else None,
            ping_interval=None,
            close_timeout=1,
        )
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self.drop()
        self._server.shutdown()
        self._thread.join()

    @property
    def place(self) -> tuple[str, int]:
        """The address on which it listens."""
        host, port = self._server.socket.getsockname()
        return host, port

    @property
    def url(self) -> str:
        """The URL of the stream."""
        return "ws://{}:{}/ws".format(*self.place)

    def say(self, trades: Sequence[Trade]) -> None:
        """Add new trades to the history, and tell all subscribers."""
        self._history += trades
        self.repeat(trades)

    def repeat(self, trades: Sequence[Trade]) -> None:
        """Tell all subscribers about trades, whether they are new or not."""
        for connection, voice in self._list_voices():
            self.send(*voice.say_trades(trades), to=connection)

    def beat(self) -> None:
        """Send the sign of life that comes unasked."""
        for connection, voice in self._list_voices():
            self.send(*voice.say_heartbeat(), to=connection)

    def begin_maintenance(self) -> None:
        """Announce that maintenance begins."""
        for connection, voice in self._list_voices():
            self.send(*voice.say_maintenance(begins=True), to=connection)

    def ask_to_reconnect(self) -> None:
        """Ask for new connections."""
        for connection, voice in self._list_voices():
            self.send(*voice.ask_to_reconnect(), to=connection)

    def send(self, *messages: str | bytes, to: ServerConnection | None = None) -> None:
        """Send these messages as text, whatever they are."""
        for connection in [to] if to else [connection for connection, _ in self._list_voices()]:
            with suppress(ConnectionClosed), self._sending:
                for message in messages:
                    connection.send(message, text=True)

    def send_parts(self, *parts: str) -> None:
        """Send one message in parts."""
        for connection, _ in self._list_voices():
            with self._sending:
                connection.send(iter(parts))

    def send_bytes(self, octets: bytes) -> None:
        """Send bytes that need not be a frame."""
        for connection, _ in self._list_voices():
            connection.socket.sendall(octets)

    def close(self, code: int, reason: str = "") -> None:
        """Close all connections with a code."""
        for connection, _ in self._list_voices():
            connection.close(code, reason)

    def drop(self) -> None:
        """End all connections without a word."""
        for connection, _ in self._list_voices():
            with suppress(OSError):
                connection.socket.shutdown(SHUT_RDWR)

    def drop_oldest(self) -> None:
        """End the oldest connection without a word."""
        self._list_voices()[0][0].socket.shutdown(SHUT_RDWR)

    def await_subscribers(self, count: int = 1, within_s: float = 10.0) -> None:
        """Wait until so many connections are subscribed to trades."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self._list_subscribers()) == count, within_s)

    def await_ends(self, count: int, within_s: float = 10.0) -> None:
        """Wait until so many connections have ended."""
        with self._changed:
            assert self._changed.wait_for(lambda: self._ends >= count, within_s)

    def await_attempts(self, count: int, within_s: float = 10.0) -> None:
        """Wait until so many attempts to connect were made."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.attempts) >= count, within_s)

    def _list_voices(self) -> list[tuple[ServerConnection, Voice]]:
        with self._changed:
            return list(self._voices.items())

    def _list_subscribers(self) -> list[Voice]:
        return [voice for voice in self._voices.values() if voice.channels]

    def _judge(self, connection: ServerConnection, request: Request) -> Response | None:
        with self._changed:
            self.attempts.append(time.monotonic())
            self.requests.append(request)
            self._changed.notify_all()
        if self.fault is StreamFault.MUTE:
            self._ending.wait()
        return _ANSWERS.get(self.fault) if self.fault else None

    def _serve(self, connection: ServerConnection) -> None:
        refuses = self.fault is StreamFault.REFUSING
        voice = VOICES[self._provider](self._history, time.time_ns, refuses=refuses)
        with self._changed:
            self._voices[connection] = voice
        try:
            self.send(*voice.greet(), to=connection)
            for message in connection:
                self._answer(connection, voice, str(message))
        except ConnectionClosed:
            pass
        finally:
            with self._changed:
                del self._voices[connection]
                self._ends += 1
                self._changed.notify_all()

    def _answer(self, connection: ServerConnection, voice: Voice, message: str) -> None:
        if self.fault is StreamFault.DEAF:
            return
        self._ending.wait(self.late_s)
        with self._changed:
            answers = voice.answer(message)
        self.send(*answers, to=connection)
        with self._changed:
            self._changed.notify_all()
