"""Backups of the Redis of the tests: to fill it again would take twenty times as long as to restore one."""

import shutil
from collections.abc import Callable

import redis

from support.clocks import FakeClock
from support.servers import Server

FillOnce = Callable[[str, Callable[[], object]], None]
"""Fills the Redis of a test: a name for what it then holds, and what stores that in an empty Redis."""


class Backups:
    """Snapshots of a server that takes DEBUG, by name."""

    def __init__(self, server: Server) -> None:
        self._folder = server.folder
        self._filled_ms: dict[str, int] = {}

    def fill(self, client: redis.Redis, clock: FakeClock, name: str, fill: Callable[[], object]) -> None:
        """Let Redis hold what `fill` stores in an empty one, and the clock stand where `fill` leaves it."""
        loaded, saved = self._folder / "dump.rdb", self._folder / f"{name}.rdb"
        if name not in self._filled_ms:
            fill()
            client.save()
            loaded.rename(saved)
            self._filled_ms[name] = clock.now_ms()
        shutil.copyfile(saved, loaded)
        client.execute_command("DEBUG", "RELOAD", "NOSAVE")
        clock.advance(self._filled_ms[name] - clock.now_ms())
