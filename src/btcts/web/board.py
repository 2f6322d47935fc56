"""The findings of the last look at Redis: one look a second serves all readers, who never reach Redis themselves."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from btcts.domain.clock import Clock
from btcts.errors import StoreError
from btcts.services.show import Overview, View, follow
from btcts.services.status import Status
from btcts.store import Store

SILENT_MS = 5_000
"""The age beyond which a view counts for nothing: Redis has stopped answering."""

STATUS_BEATS = 5
"""Looks from one reading of the status to the next, since that takes five round trips."""

BEAT_S = 1.0

Post = Callable[[View | StoreError, Status | None], object]
"""Takes what a look found; the status is None where it is not known."""


def keep_looking(store: Store, look: Callable[[], Overview], look_at_status: Callable[[], Status], post: Post) -> None:
    """Look at the store each second, forever, and post what is found."""
    status: Status | None = None
    for beat, found in enumerate(follow(store, look, interval_s=BEAT_S)):
        try:
            if isinstance(found, StoreError):
                raise found
            if status is None or beat % STATUS_BEATS == 0:
                status = look_at_status()
        except StoreError as exc:
            found, status = exc, None
        post(found, status)


class Board:
    """The last view and status, for the readers in the thread of the event loop."""

    def __init__(self, clock: Clock) -> None:
        self.closed = False
        self._clock = clock
        self._begun_ms = clock.now_ms()
        self._view: Overview | None = None
        self._status: Status | None = None
        self._problem = "Redis has not been looked at yet"
        self._beat = asyncio.Event()
        self._texts: dict[str, tuple[object, str]] = {}

    def post(self, found: View | StoreError, status: Status | None) -> None:
        """Take what a look has found, and wake those who wait for it."""
        if isinstance(found, Overview):
            self._view, self._status, self._problem = found, status, "Redis takes too long to answer"
        else:
            self._problem = str(found)
        self._wake()

    def close(self) -> None:
        """End what readers wait for."""
        self.closed = True
        self._wake()

    def _wake(self) -> None:
        self._beat.set()
        self._beat = asyncio.Event()

    async def wait(self) -> None:
        """Wait for the next look, a second at most."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._beat.wait(), BEAT_S)

    @property
    def now_ms(self) -> int:
        """The present by the clock of Redis."""
        return self._clock.now_ms()

    @property
    def since_ms(self) -> int:
        """The time of the last look that found something."""
        return self._begun_ms if self._view is None else self._view.now_ms

    @property
    def problem(self) -> str:
        """The reason why the present is not known; empty when it is."""
        recent = self._view is not None and abs(self.now_ms - self._view.now_ms) <= SILENT_MS
        return "" if recent and self._status is not None else self._problem

    @property
    def last_view(self) -> Overview:
        """The last view, as of its own time."""
        assert self._view is not None, "there is a problem"
        return self._view

    @property
    def view(self) -> Overview:
        """The last view, its price as of now."""
        return replace(self.last_view, now_ms=max(self.last_view.now_ms, self.now_ms))

    @property
    def status(self) -> Status:
        """The last status, its price as of now."""
        assert self._status is not None, "there is a problem"
        view = self.view
        return replace(self._status, now_ms=view.now_ms, newest=view.newest, refused=view.refused)

    def render(self, name: str, key: object, make: Callable[[], str]) -> str:
        """Return the text of that name, made anew only when its key has changed."""
        known = self._texts.get(name)
        if known is None or known[0] != key:
            self._texts[name] = known = (key, make())
        return known[1]
