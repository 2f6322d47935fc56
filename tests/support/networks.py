"""Parts of a network, all on loopback: an address where connections hang, names, a TLS server and proxies."""

import base64
import select
import socket
import ssl
import struct
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import StreamRequestHandler, ThreadingTCPServer
from threading import Thread
from typing import Any

from btcts.system.sockets import Address, Dialer

Place = tuple[str, int]

AUTHORITY = Path(__file__).with_name("certificates") / "authority.pem"
CERTIFICATE = Path(__file__).with_name("certificates") / "test.pem"
"""A key and its certificate for localhost and the names of these tests, which signs itself and is valid until 2126."""


def dialer_of(names: Mapping[str, Sequence[Place]]) -> Dialer:
    """A dialer that knows these names and no others."""

    def look_up(name: str, port: int) -> list[Address]:
        if name not in names:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [(socket.AF_INET, place) for place in names[name]]

    return Dialer(look_up)


@contextmanager
def black_hole() -> Iterator[Place]:
    """An address that leaves attempts to connect without an answer, for the queue of its listener is full."""
    with ExitStack() as stack:
        listener = stack.enter_context(closing(socket.socket()))
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        while True:
            waiting = stack.enter_context(closing(socket.socket()))
            waiting.settimeout(0.05)
            try:
                waiting.connect(listener.getsockname())
            except TimeoutError:
                break
        yield listener.getsockname()


@contextmanager
def refusals(count: int) -> Iterator[list[Place]]:
    """As many addresses that refuse connections: nobody listens there, and nobody else can."""
    with ExitStack() as stack:
        taken = [stack.enter_context(closing(socket.socket())) for _ in range(count)]
        for nobody in taken:
            nobody.bind(("127.0.0.1", 0))
        yield [nobody.getsockname() for nobody in taken]


class Node(ThreadingTCPServer):
    """A server in threads of its own while its `with` block runs."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, handler: Any) -> None:
        super().__init__(("127.0.0.1", 0), handler)
        self.seen: list[Any] = []
        self._thread = Thread(target=self.serve_forever, args=(0.01,), daemon=True)

    @property
    def place(self) -> Place:
        """The address on which it listens."""
        host, port = self.server_address[:2]
        return str(host), int(port)

    def __enter__(self) -> Any:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()


class TlsServer(Node):
    """Speaks TLS, and passes what it reads on to `target`, or answers requests with an empty JSON object."""

    def __init__(self, target: Place | None = None) -> None:
        super().__init__(_Empty)
        self._target = target
        self._context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._context.load_cert_chain(CERTIFICATE)

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Speak TLS first; a client that does not trust us ends that."""
        try:
            with self._context.wrap_socket(request, server_side=True) as connection:
                if self._target:
                    pass_on(connection, self._target)
                else:
                    super().finish_request(connection, client_address)
        except OSError:
            pass


class _Empty(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.server.seen.append(self.headers["Host"])  # type: ignore[attr-defined]
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_: Any) -> None:
        pass


class Proxy(Node):
    """A proxy that makes every connection to `target` instead; `login` is what it wants to see, user:password.

    `seen` are the hosts and ports that it was asked for.
    """

    def __init__(self, kind: Any, target: Place, login: str | None = None) -> None:
        super().__init__(kind)
        self.target = target
        self.login = login


class HttpProxy(StreamRequestHandler):
    """HTTP: CONNECT and nothing else."""

    server: Proxy

    def handle(self) -> None:
        """Read the head of the request, then pass bytes on."""
        head = [line.strip() for line in iter(self.rfile.readline, b"\r\n") if line]
        if not head:
            return
        self.server.seen.append(head[0].split()[1].decode())
        login = base64.b64encode((self.server.login or "").encode())
        if self.server.login and b"proxy-authorization: basic " + login not in [_lower_name(line) for line in head]:
            self.wfile.write(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
            return
        self.wfile.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        pass_on(self.connection, self.server.target)


def _lower_name(line: bytes) -> bytes:
    name, colon, value = line.partition(b": ")
    return name.lower() + colon + value.replace(b"Basic", b"basic")


class SocksProxy(StreamRequestHandler):
    """SOCKS5 (RFC 1928, 1929): CONNECT by name or IPv4 address."""

    server: Proxy

    def handle(self) -> None:
        """Shake hands, then pass bytes on."""
        _, count = self.rfile.read(2)
        self.rfile.read(count)
        self.wfile.write(b"\x05\x02" if self.server.login else b"\x05\x00")
        if self.server.login:
            self.rfile.read(1)
            given = ":".join(self._text() for _ in range(2))
            self.wfile.write(b"\x01\x00" if given == self.server.login else b"\x01\x01")
            if given != self.server.login:
                return
        kind = self.rfile.read(4)[3]
        host = self._text() if kind == 3 else socket.inet_ntoa(self.rfile.read(4))
        (port,) = struct.unpack("!H", self.rfile.read(2))
        self.server.seen.append(f"{host}:{port}")
        self.wfile.write(b"\x05\x00\x00\x01\x7f\x00\x00\x01\x00\x50")
        pass_on(self.connection, self.server.target)

    def _text(self) -> str:
        return self.rfile.read(self.rfile.read(1)[0]).decode()


def pass_on(client: socket.socket, target: Place) -> None:
    """Pass bytes between the client and the target until one of them has no more."""
    with suppress(OSError), socket.create_connection(target) as server:
        ways = {client: server, server: client}
        while True:
            for source in select.select(list(ways), [], [])[0]:
                data = source.recv(65_536)
                while isinstance(source, ssl.SSLSocket) and source.pending():
                    data += source.recv(65_536)
                if not data:
                    return
                ways[source].sendall(data)
