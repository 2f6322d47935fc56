"""The HTTP server of the local exchanges: keep-alive, one thread a connection, closed quietly."""

import json
import os
import socket
import struct
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from email.utils import formatdate
from http import HTTPStatus
from socketserver import StreamRequestHandler, ThreadingTCPServer
from types import TracebackType
from typing import Any, Self, cast
from urllib.parse import parse_qsl, unquote, urlsplit

from btcts.providers import Endpoint
from support.exchanges import apis, coinmarketcap
from support.exchanges.faults import Fault
from support.exchanges.market import Market
from support.exchanges.view import Minute, View

GOOD = Fault()
PROVIDERS = ("coinmarketcap", *apis.EXCHANGES)


@dataclass(frozen=True, slots=True)
class Request:
    """A request that arrived; header names are lower case, `connection` tells connections apart."""

    provider: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    connection: int


@dataclass(frozen=True, slots=True)
class Reply:
    """The bytes of an answer, and how to send them."""

    head: bytes
    body: bytes
    fault: Fault


class Exchanges:
    """The price APIs, which trade one market, each under a path of its own; a context manager.

    `now_ms` is their clock, a fake one or the real one. `requests` are the newest ten thousand requests, `plan` is
    the plan of CoinMarketCap's keys. `host` is the address they listen on.
    """

    def __init__(self, market: Market, *, now_ms: Callable[[], int], port: int = 0, host: str = "127.0.0.1") -> None:
        self.market = market
        self.now_ms = now_ms
        self.plan = coinmarketcap.Plan()
        self.requests: deque[Request] = deque(maxlen=10_000)
        self._faults: dict[str, Fault] = {}
        self._closed: dict[int, Minute | None] = {}
        self._server = _Server((host, port), self)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.end()
        self._thread.join()

    def url(self, provider: str) -> str:
        """The base URL of a provider."""
        host, port = self._server.server_address[:2]
        return f"http://{host}:{port}/{provider}"

    def endpoints(self, timeout_s: float = 5.0) -> dict[str, Endpoint]:
        """The endpoints of all providers, as `open_providers` takes them."""
        return {name: Endpoint(self.url(name), timeout_s) for name in PROVIDERS}

    def fault(self, provider: str, fault: Fault | None) -> None:
        """From now on a provider does this wrong; None heals it."""
        self._faults[provider] = fault or GOOD

    def reset(self) -> None:
        """Heal all providers, forget the requests and renew the plan."""
        self._faults.clear()
        self.requests.clear()
        self.plan = coinmarketcap.Plan()

    def reply(self, request: Request) -> Reply:
        """Return the reply to a request."""
        now_ms = self.now_ms()
        fault = self._faults.get(request.provider, GOOD)
        if fault.path not in request.path:
            fault = GOOD
        status, payload = self._answer(request, View(self.market, now_ms, fault, self._closed))
        body = json.dumps(payload, separators=(",", ":")).encode() if fault.body is None else fault.body
        if fault.cut:
            body = body[: len(body) // 2]
        return Reply(_head(fault.status if status == 200 else status, body, fault, now_ms), body, fault)

    def _answer(self, request: Request, view: View) -> tuple[int, Any]:
        if view.fault.error is not None:
            return 200, apis.error(request.provider, view.fault.error)
        if request.provider == "coinmarketcap":
            return coinmarketcap.answer(view, request.path, request.headers, self.plan)
        if request.provider not in apis.EXCHANGES:
            return 404, {"message": f"the local exchanges are {', '.join(PROVIDERS)}"}
        return apis.EXCHANGES[request.provider](view, request.path, request.query)


class _Server(ThreadingTCPServer):
    allow_reuse_address = True
    request_queue_size = 64

    def __init__(self, address: tuple[str, int], exchanges: Exchanges) -> None:
        super().__init__(address, _Connection)
        self.exchanges = exchanges
        self.ending = threading.Event()
        self.open: set[socket.socket] = set()

    def end(self) -> None:
        """Stop accepting, end the open connections and wait for their threads."""
        self.ending.set()
        self.shutdown()
        for connection in tuple(self.open):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self.server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no error."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


class _Connection(StreamRequestHandler):
    disable_nagle_algorithm = True

    def handle(self) -> None:
        server = cast("_Server", self.server)
        server.open.add(self.connection)
        try:
            while not server.ending.is_set() and (request := self._request()):
                server.exchanges.requests.append(request)
                if not self._send(server.exchanges.reply(request), server.ending):
                    return
        finally:
            server.open.discard(self.connection)

    def _request(self) -> Request | None:
        line = self.rfile.readline(65_536).decode("latin-1").split()
        if len(line) != 3:
            return None
        headers = {}
        while (field := self.rfile.readline(65_536).decode("latin-1").strip()) != "":
            name, _, value = field.partition(":")
            headers[name.lower()] = value.strip()
        target = urlsplit(line[1])
        provider, _, path = target.path.lstrip("/").partition("/")
        query = dict(parse_qsl(target.query, keep_blank_values=True))
        return Request(provider, f"/{unquote(path)}", query, headers, self.client_address[1])

    def _send(self, reply: Reply, ending: threading.Event) -> bool:
        """Send it, as its fault wants; False when the connection is at its end."""
        fault = reply.fault
        if fault.delay_s and ending.wait(fault.delay_s):
            return False
        if fault.reset:
            # With a linger time of zero, closing sends a reset.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            os.close(self.connection.detach())
            return False
        if not fault.trickle_s:
            self.connection.sendall(reply.head + reply.body)
            return True
        for byte in reply.head + reply.body:
            if ending.wait(fault.trickle_s):
                return False
            self.connection.sendall(bytes((byte,)))
        return True


def _head(status: int, body: bytes, fault: Fault, now_ms: int) -> bytes:
    kind = "text/html" if body.startswith(b"<") else "application/json"
    headers = {
        "Date": formatdate((now_ms + fault.skew_ms) // 1000, usegmt=True),
        "Content-Type": f"{kind}; charset=utf-8",
        "Content-Length": str(len(body)),
        **fault.headers,
    }
    lines = (f"{name}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n{''.join(lines)}\r\n".encode("latin-1")
