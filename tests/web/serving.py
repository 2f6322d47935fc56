"""A server on loopback whose looks at Redis a test lets happen one by one."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx

from btcts.config import BTC_USD
from btcts.domain.clock import Stop
from btcts.errors import StoreError
from btcts.services.show import View, show_overview
from btcts.services.status import Status, status
from btcts.store import Store
from btcts.web.app import make_router
from btcts.web.board import Board, Post, keep_looking
from btcts.web.gate import Gate
from btcts.web.server import TimelyProtocol, format_address, listen, serve
from support.clocks import FakeClock

PATIENCE_S = 30.0


class BeatClock(FakeClock):
    """A clock whose sleepers wait until the test lets them wake up."""

    def __init__(self, now_ms: int) -> None:
        super().__init__(now_ms)
        self._beats = threading.Semaphore(0)
        self._over = False

    def sleep(self, seconds: float) -> None:
        """Wait for the test, then move on by so much."""
        self._beats.acquire()
        if self._over:
            raise SystemExit
        super().sleep(seconds)

    def let_go_on(self) -> None:
        """Let the sleeper wake up."""
        self._beats.release()

    def end(self) -> None:
        """Let the thread of the sleeper end."""
        self._over = True
        self.let_go_on()


@dataclass(frozen=True)
class Site:
    """What is served at `url`; it has looked at Redis `beat` times, and once at the start."""

    url: str
    client: httpx.Client
    clock: BeatClock
    posted: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))

    def get(self, path: str, **headers: str) -> httpx.Response:
        """Ask for a path."""
        return self.client.get(path, headers=headers)

    def beat(self, count: int = 1) -> None:
        """Let it look again, so many times, a second after the last one each."""
        for _ in range(count):
            self.clock.let_go_on()
            self.await_look()

    def await_look(self) -> None:
        """Wait until a look is posted."""
        assert self.posted.acquire(timeout=PATIENCE_S)


@contextmanager
def serving(
    store: Store,
    clock: BeatClock,
    *,
    max_age_s: float | None = None,
    protocol: type[TimelyProtocol] = TimelyProtocol,
    **rights: Any,
) -> Iterator[Site]:
    """Serve a store until the block ends, with these rights of the gate; the first look is over when it begins."""
    board, stop, listener = Board(clock), Stop(), listen("127.0.0.1:0")
    gate = Gate(make_router(board, BTC_USD), **rights)
    url = format_address(listener)
    failures: list[Exception] = []

    def look(post: Post) -> None:
        def tell(found: View | StoreError, known: Status | None) -> None:
            post(found, known)
            site.posted.release()

        keep_looking(
            store,
            lambda: show_overview(store, max_age_s=max_age_s),
            lambda: status(store, max_age_s=max_age_s, spooled=3),
            tell,
        )

    def run() -> None:
        try:
            serve(gate, board, listener, keep_looking=look, stop=stop, protocol=protocol)
        except Exception as exc:  # noqa: BLE001 -- raised in the thread of the test
            failures.append(exc)

    thread = threading.Thread(target=run)
    with httpx.Client(base_url=url, timeout=PATIENCE_S) as client:
        site = Site(url, client, clock)
        thread.start()
        try:
            site.await_look()
            yield site
        finally:
            stop.set()
            thread.join(PATIENCE_S)
            clock.end()
    assert not thread.is_alive()
    assert failures == []
