"""A TCP proxy in front of a unix socket: on demand it cuts, truncates, resets, delays, swallows and refuses.

One thread does everything, what callers want between two parcels; so nothing needs a lock.
"""

import selectors
import socket
import struct
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue
from types import TracebackType
from typing import Any, Self

REQUESTS, REPLIES = "requests", "replies"
STUCK_S = 10.0


@dataclass(eq=False)
class Connection:
    """A client and the server's socket for it."""

    client: socket.socket
    server: socket.socket
    ended: bool = False


@dataclass
class Trap:
    """Springs after so many bytes in one direction, and again after as many more, so many times."""

    direction: str
    after: int
    spring: Callable[[Connection], object]
    times: int
    left: int = field(init=False)

    def __post_init__(self) -> None:
        self.left = self.after


class Proxy:
    """Passes everything on between `port` of loopback and the socket, until it is told otherwise."""

    def __init__(self, upstream: Path) -> None:
        self._upstream = upstream
        self._reserved = _bound(0)
        self.port: int = self._reserved.getsockname()[1]
        self._selector = selectors.DefaultSelector()
        self._orders: SimpleQueue[tuple[Callable[[], object], Future[None]]] = SimpleQueue()
        self._bell, self._ear = socket.socketpair()
        self._listener: socket.socket | None = None
        self._connections: set[Connection] = set()
        self._trap: Trap | None = None
        self._delay_s = 0.0
        self._swallows = False
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="proxy", daemon=True)

    def __enter__(self) -> Self:
        self._selector.register(self._ear, selectors.EVENT_READ)
        self._listen()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ending.set()
        self._bell.send(b"!")
        self._thread.join()
        self._refuse()
        for each in (self._reserved, self._bell, self._ear, self._selector):
            each.close()

    def cut(self, direction: str, after: int, *, reset: bool, times: int) -> None:
        """Pass on `after` more bytes, then end that connection; so many times. With `reset` it is not closed gently."""
        self._do(lambda: self._set(Trap(direction, after, lambda each: self._end(each, reset=reset), times)))

    def ambush(self, after: int, act: Callable[[], object]) -> None:
        """Do something when the clients have sent `after` more bytes, before the next one passes."""
        self._do(lambda: self._set(Trap(REQUESTS, after, lambda each: act(), 1)))

    def delay(self, seconds: float) -> None:
        """Hold each parcel that long."""
        self._delay_s = seconds

    def swallow(self) -> None:
        """Pass nothing on, and leave the connections open."""
        self._swallows = True

    def refuse(self) -> None:
        """End all connections and take no more."""
        self._do(self._refuse)

    def heal(self) -> None:
        """Pass everything on again; connections of which something was swallowed end."""
        self._do(self._heal)

    def _do(self, work: Callable[[], object]) -> None:
        """Let the proxy's own thread do it."""
        if threading.current_thread() is self._thread:
            work()
            return
        done: Future[None] = Future()
        self._orders.put((work, done))
        self._bell.send(b"!")
        done.result(STUCK_S)

    def _set(self, trap: Trap | None) -> None:
        self._trap = trap

    def _heal(self) -> None:
        self._trap, self._delay_s = None, 0.0
        if self._swallows:
            self._swallows = False
            self._end_all()
        if self._listener is None:
            self._listen()

    def _refuse(self) -> None:
        if self._listener is not None:
            self._selector.unregister(self._listener)
            self._listener.close()
            self._listener = None
        self._end_all()

    def _end_all(self) -> None:
        for each in tuple(self._connections):
            self._end(each, reset=False)

    def _listen(self) -> None:
        self._listener = _bound(self.port)
        self._listener.listen(64)
        self._selector.register(self._listener, selectors.EVENT_READ)

    def _serve(self) -> None:
        while not self._ending.is_set():
            for key, _ in self._selector.select():
                if key.fileobj is self._ear:
                    self._ear.recv(1)
                    self._obey()
                elif key.fileobj is self._listener:
                    self._accept()
                elif key.data is not None and not key.data[0].ended:
                    self._carry(*key.data)

    def _obey(self) -> None:
        while not self._orders.empty():
            work, done = self._orders.get()
            try:
                work()
                done.set_result(None)
            except OSError as exc:
                done.set_exception(exc)

    def _accept(self) -> None:
        assert self._listener
        client, _ = self._listener.accept()
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        server = socket.socket(socket.AF_UNIX)
        each = Connection(client, server)
        self._connections.add(each)
        for end, direction in ((client, REQUESTS), (server, REPLIES)):
            end.settimeout(STUCK_S)
            self._selector.register(end, selectors.EVENT_READ, (each, direction))
        try:
            server.connect(str(self._upstream))
        except OSError:
            self._end(each, reset=True)

    def _carry(self, each: Connection, direction: str) -> None:
        """Pass on what has come in from one side."""
        source, target = (each.client, each.server) if direction == REQUESTS else (each.server, each.client)
        try:
            data = source.recv(1 << 16)
            if self._swallows and data:
                return
            if self._delay_s:
                self._ending.wait(self._delay_s)
            rest = self._past_traps(each, direction, target, data)
            if not each.ended:
                target.sendall(rest)
        except OSError:
            data = b""
        if not data and not each.ended:
            self._end(each, reset=False)

    def _past_traps(self, each: Connection, direction: str, target: Any, data: bytes) -> bytes:
        """Spring the trap as often as the data reach it; what is still to be passed on."""
        while (trap := self._trap) and trap.direction == direction and len(data) >= trap.left and not each.ended:
            target.sendall(data[: trap.left])
            data = data[trap.left :]
            trap.left, trap.times = trap.after, trap.times - 1
            if not trap.times:
                self._trap = None
            trap.spring(each)
        if trap and trap.direction == direction:
            trap.left -= len(data)
        return data

    def _end(self, each: Connection, *, reset: bool) -> None:
        each.ended = True
        self._connections.discard(each)
        if reset:
            # With a linger time of zero, closing sends a reset.
            each.client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        for end in (each.client, each.server):
            with suppress(KeyError, ValueError):
                self._selector.unregister(end)
            end.close()


def _bound(port: int) -> socket.socket:
    """A socket on the port, which stays ours as long as one of them is open, whether it listens or not."""
    bound = socket.socket()
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    bound.bind(("127.0.0.1", port))
    return bound
