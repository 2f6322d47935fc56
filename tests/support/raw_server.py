"""A server on loopback that answers with the bytes it is given, well-formed or not."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from socketserver import StreamRequestHandler, ThreadingTCPServer
from types import TracebackType
from typing import Any, Self, cast

DRIP_S = 0.01
"""Between two drips."""


@dataclass(frozen=True)
class Raw:
    """The bytes of an answer; then `drip` again and again until the client goes, or the end of the connection.

    Where `kept` is set, the connection is kept for further requests instead.
    """

    answer: bytes
    drip: bytes = b""
    kept: bool = False


@dataclass
class RawServer:
    """Answers each request by what `answer` makes of its head; `gone` is set once a client has gone."""

    answer: Callable[[bytes], Raw]
    requests: list[bytes] = field(default_factory=list)
    gone: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Self:
        self._server = _Server(("127.0.0.1", 0), _Connection)
        self._server.raw = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.ending.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        """The URL at which it is."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"


class _Server(ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64
    raw: RawServer

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.ending = threading.Event()


class _Connection(StreamRequestHandler):
    disable_nagle_algorithm = True

    def handle(self) -> None:
        server = cast("_Server", self.server)
        try:
            while head := self._head():
                server.raw.requests.append(head)
                raw = server.raw.answer(head)
                self.connection.sendall(raw.answer)
                while raw.drip and not server.ending.wait(DRIP_S):
                    self.connection.sendall(raw.drip)
                if not raw.kept:
                    break
        except OSError:
            pass
        server.raw.gone.set()

    def _head(self) -> bytes:
        """The head of a request, whose body is read too; empty when the client has gone."""
        head, length = b"", 0
        while (line := self.rfile.readline()) not in (b"", b"\r\n"):
            head += line
            if line.lower().startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        self.rfile.read(length)
        return head
