"""The server: a socket, uvicorn with limits on what a client may take, and a thread that looks at Redis."""

import asyncio
import ipaddress
import os
import re
import resource
import socket
from asyncio import TimerHandle, Transport
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import h11
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from btcts.domain.clock import Stop
from btcts.errors import ConfigError, StoreError
from btcts.services.show import View
from btcts.services.status import Status
from btcts.system.calls import start_thread
from btcts.system.causes import describe
from btcts.system.sockets import NO_DELAY
from btcts.system.supervisor import notify
from btcts.web.board import Board, Post

MOST_CONNECTIONS = 800
"""Connections that are answered at the same time; more get status 503, and beyond twice as many they are cut off."""

MOST_FILES = 4096
"""Files that may be open at the same time: those connections, and others that have just been accepted."""

MOST_WAITING = 2048
"""Connections that the system keeps until they are accepted."""

MOST_HEAD_BYTES = 16_384


def listen(address: str) -> socket.socket:
    """Return a socket that listens at `host:port`, an IPv6 address in brackets; port 0 takes a free one.

    Raises:
        ConfigError: the address is malformed, or nothing can listen there.
    """
    host, _, port = address.rpartition(":")
    if not (host and re.fullmatch(r"[0-9]{1,5}", port) and int(port) < 65_536):
        raise ConfigError(f"--listen {address} is not an address such as 127.0.0.1:8080 or [::1]:8080")
    try:
        family, *_, place = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM)[0]
        listener = socket.create_server(place, family=family)
    except (OSError, UnicodeError) as exc:
        number = (isinstance(exc, OSError) and exc.errno) or 0
        why = os.strerror(number).lower() if number > 0 else describe(exc)
        raise ConfigError(f"--listen {address}: nothing can listen there ({why}); name another one") from exc
    listener.setsockopt(*NO_DELAY)  # its connections inherit it; else a body waits 40 ms for the head to be confirmed
    return listener


def is_loopback(listener: socket.socket) -> bool:
    """Tell whether only this machine reaches the socket."""
    return ipaddress.ip_address(listener.getsockname()[0]).is_loopback


def format_address(listener: socket.socket) -> str:
    """Return the URL of the socket."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if listener.family == socket.AF_INET6 else f"http://{host}:{port}"


def serve(
    app: ASGIApp,
    board: Board,
    listener: socket.socket,
    *,
    keep_looking: Callable[[Post], None],
    stop: Stop,
    protocol: "type[TimelyProtocol] | None" = None,
) -> None:
    """Answer requests until SIGINT, SIGTERM or `stop`; `keep_looking` runs in a thread and posts to the board."""
    files = _raise_file_limit()
    config = uvicorn.Config(
        app,
        loop="asyncio",
        http=protocol or TimelyProtocol,
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="error",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        limit_concurrency=min(MOST_CONNECTIONS, files // 4),
        backlog=max(1, files // 16),  # so many are accepted before any of them can be cut off
        timeout_graceful_shutdown=1,
        h11_max_incomplete_event_size=MOST_HEAD_BYTES,
    )
    server = Server(config, board, keep_looking, stop)
    server.run(sockets=[listener])
    if server.failure:
        raise server.failure


def _raise_file_limit() -> int:
    """Raise the limit of open files to what may be needed; return what the system allows of it.

    Without files asyncio logs thousands of failures a second, and what is imported late cannot be.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_FILES if hard == resource.RLIM_INFINITY else min(MOST_FILES, hard)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return wanted
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        return wanted
    return soft


class Server(uvicorn.Server):
    """A server whose board is filled while it runs; streams of events end with it."""

    def __init__(self, config: uvicorn.Config, board: Board, keep_looking: Callable[[Post], None], stop: Stop) -> None:
        super().__init__(config)
        self.failure: Exception | None = None
        self._board = board
        self._keep_looking = keep_looking
        self._stop = stop

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept connections, and start to look at Redis."""
        await super().startup(sockets)
        for listener in sockets or ():
            listener.listen(MOST_WAITING)
        loop = asyncio.get_running_loop()
        start_thread(lambda: self._look(loop))
        notify(READY="1", STATUS=" ".join(map(format_address, sockets or ())))

    async def on_tick(self, counter: int) -> bool:
        """Tell whether to stop."""
        return await super().on_tick(counter) or self._stop.is_set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End the streams of events, then the connections."""
        notify(STOPPING="1")
        self._board.close()
        await super().shutdown(sockets)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        try:
            self._keep_looking(lambda found, status: loop.call_soon_threadsafe(self._take, found, status))
        except Exception as exc:  # noqa: BLE001 - a bug here would be answered as a silent Redis for ever
            if not self._board.closed:
                self.failure = exc
                self.should_exit = True

    def _take(self, found: View | StoreError, status: Status | None) -> None:
        """Post what a look has found, or that Redis failed; without looks the watchdog of systemd steps in."""
        self._board.post(found, status)
        notify(WATCHDOG="1")


class TimelyProtocol(H11Protocol):
    """Cuts off clients that take longer than `asking_s` to ask, or leave what they were sent unread for `stuck_s`."""

    asking_s = 10.0
    stuck_s = 30.0

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._asking: TimerHandle | None = None
        self._stuck: TimerHandle | None = None

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]  # as in the base class
        """Wait for a request, unless there are far too many connections."""
        super().connection_made(transport)
        if len(self.connections) > 2 * (self.limit_concurrency or MOST_CONNECTIONS):
            transport.abort()
        self._asking = self.loop.call_later(self.asking_s, transport.abort)

    def data_received(self, data: bytes) -> None:
        """Take a part of a request; the whole head ends the wait."""
        super().data_received(data)
        if self.cycle is not None and not self.cycle.response_complete:
            _cancel(self._asking)

    def on_response_complete(self) -> None:
        """Wait for the next request, unless it came with the last one."""
        super().on_response_complete()
        if self.cycle.response_complete:
            _cancel(self._asking)
            self._asking = self.loop.call_later(self.asking_s, self.transport.abort)

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no request; cut the client off where an answer to it has been prepared or begun."""
        if self.conn.our_state is h11.IDLE:
            super().send_400_response(msg)
            return
        self.cycle.disconnected = True
        self.transport.abort()

    def pause_writing(self) -> None:
        """Wait for a client that does not read."""
        super().pause_writing()
        self._stuck = self.loop.call_later(self.stuck_s, self.transport.abort)

    def resume_writing(self) -> None:
        """End the wait: the client reads again."""
        super().resume_writing()
        _cancel(self._stuck)

    def connection_lost(self, exc: Exception | None) -> None:
        """Cancel the waits."""
        _cancel(self._asking)
        _cancel(self._stuck)
        super().connection_lost(exc)


def _cancel(timer: TimerHandle | None) -> None:
    if timer is not None:
        timer.cancel()
