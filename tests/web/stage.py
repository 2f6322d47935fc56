"""A server of the page that says what a test tells it to say, with the headers of the real one."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from typing import Any, ClassVar

from render.views import NOW_MS

FILES = files("btcts") / "web"

TYPES = {"html": "text/html; charset=utf-8", "css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


class Stage:
    """What is said to all pages that are open: events in their order, and the answer to `/api/status`."""

    def __init__(self) -> None:
        self.status: dict[str, Any] | None = None
        self.asked: list[str] = []
        self.answering = True
        self.url = ""
        self._changed = threading.Condition()
        self._events: list[bytes] = []
        self._calls = 0

    def tell(self, overview: str) -> None:
        """Send an overview document, the first also to who connects later."""
        self._send(f"data: {overview}\n\n")

    def beat(self, *, now_ms: int = NOW_MS, away: dict[str, Any] | None = None) -> None:
        """Send a heartbeat with the time of Redis; `away` describes why it does not answer."""
        self._send(f"event: beat\ndata: {json.dumps({'now_ms': now_ms, 'away': away})}\n\n")

    def hang_up(self) -> None:
        """End all streams of events, and answer no call until `answering` is set again."""
        with self._changed:
            self.answering = False
            self._calls += 1
            self._changed.notify_all()

    def follow(self) -> Iterator[bytes]:
        """Yield what has been said and what will be, until the server hangs up."""
        calls, sent = self._calls, 0
        while (news := self._await_news(sent, calls)) is not None:
            yield b"".join(news)
            sent += len(news)

    def _await_news(self, sent: int, calls: int) -> list[bytes] | None:
        with self._changed:
            self._changed.wait_for(lambda: len(self._events) > sent or self._calls > calls)
            return self._events[sent:] if self._calls == calls else None

    def _send(self, event: str) -> None:
        with self._changed:
            self._events.append(event.encode())
            self._changed.notify_all()


class Handler(BaseHTTPRequestHandler):
    """Answers with the files of the page, the events and the status of a stage."""

    stage: ClassVar[Stage]

    def do_GET(self) -> None:
        self.stage.asked.append(self.path)
        if not self.stage.answering:
            self.close_connection = True
        elif self.path == "/events":
            self._stream()
        elif self.path == "/api/status" and self.stage.status is not None:
            self._answer(json.dumps(self.stage.status).encode(), "application/json")
        elif (file := FILES / (self.path.strip("/") or "page.html")).is_file():
            self._answer(file.read_bytes(), TYPES[file.name.rpartition(".")[2]])
        else:
            self.send_error(404)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def _stream(self) -> None:
        self._begin("text/event-stream")
        self.wfile.write(b"retry: 100\n\n")
        for events in self.stage.follow():
            try:
                self.wfile.write(events)
            except OSError:
                return

    def _answer(self, body: bytes, kind: str) -> None:
        self._begin(kind)
        self.wfile.write(body)

    def _begin(self, kind: str) -> None:
        self.send_response(200)
        for name, value in (("Content-Type", kind), ("Content-Security-Policy", POLICY), ("Cache-Control", "no-store")):
            self.send_header(name, value)
        self.end_headers()


@contextmanager
def open_stage() -> Iterator[Stage]:
    """Serve a stage on a port of its own."""
    stage = Stage()
    handler = type("StageHandler", (Handler,), {"stage": stage})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        stage.url = f"http://127.0.0.1:{server.server_port}/"
        thread = threading.Thread(target=server.serve_forever, daemon=True, kwargs={"poll_interval": 0.05})
        thread.start()
        yield stage
        stage.hang_up()
        server.shutdown()
        thread.join()
