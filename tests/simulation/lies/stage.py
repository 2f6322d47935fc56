"""The Redis on which scenarios are played one after the other, each from a state that honest providers have left."""

import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import redis

from btcts.config import BTC_USD
from btcts.render.sentences import describe_remarks
from btcts.services.collect.collector import Collector
from btcts.services.status import status
from btcts.store import Store
from simulation.lies.steps import SteppedPoller
from simulation.lies.venues import Teller, open_venue
from support.clocks import FakeClock
from support.series import DAY, HOUR, MIDNIGHT, MINUTE
from support.servers import Server, connect

BEGINNINGS = tuple(MIDNIGHT + 2 * DAY + 13 * HOUR + minutes * MINUTE + 7000 for minutes in (3, 34, 50))
"""When a scenario may begin: at three places of a quarter of an hour."""

CADENCE_S = 60.0


class World:
    """Providers, a collector of their prices, and the time they live in."""

    def __init__(self, client: redis.Redis, market: str, names: Sequence[str], now_ms: int) -> None:
        self.client = client
        self.clock = FakeClock(now_ms)
        self.store = Store(client, BTC_USD, clock=self.clock, where="the Redis of the lies")
        self.tellers = {name: Teller(open_venue(market, name), self.clock) for name in names}
        self.poller = SteppedPoller(list(self.tellers.values()), self.clock)
        self.collector = Collector(self.store, self.poller, cadence_s=CADENCE_S)

    def wait_until(self, time_ms: int) -> None:
        """Let time pass, and answers arrive."""
        self.clock.advance(time_ms - self.clock.now_ms())
        self.poller.replies.deliver()

    def findings(self) -> set[str]:
        """All that status says, numbers left out."""
        found = status(self.store)
        return {re.sub(r"[\d.,]+", "#", said) for said in describe_remarks((*found.reasons, *found.warnings))}


class Stage:
    """A Redis that goes back to states that it had, and what status said in them."""

    def __init__(self, server: Server, client: redis.Redis) -> None:
        self._dump = server.folder / "dump.rdb"
        self._client = client
        self._saved: dict[tuple[object, ...], tuple[bytes, frozenset[str]]] = {}

    def open_fresh(self, market: str, names: Sequence[str], now_ms: int) -> World:
        """A world with an empty store."""
        self._client.flushall()
        return World(self._client, market, names, now_ms)

    def open_filled(self, market: str, names: Sequence[str], now_ms: int) -> World:
        """A world whose store honest providers have filled a minute ago."""
        dump, _ = self._fill(market, names, now_ms)
        self._dump.write_bytes(dump)
        self._client.execute_command("DEBUG", "RELOAD", "NOSAVE")
        return World(self._client, market, names, now_ms)

    def usual(self, market: str, names: Sequence[str], now_ms: int) -> frozenset[str]:
        """The warnings of status while all are honest."""
        return self._fill(market, names, now_ms)[1]

    def _fill(self, market: str, names: Sequence[str], now_ms: int) -> tuple[bytes, frozenset[str]]:
        key = (market, *names, now_ms)
        if key not in self._saved:
            world = self.open_fresh(market, names, now_ms - 2 * MINUTE)
            for _ in range(2):
                world.collector.cycle()
                world.wait_until(world.clock.now_ms() + MINUTE)
            self._client.save()
            self._saved[key] = self._dump.read_bytes(), frozenset(world.findings())
        return self._saved[key]


@contextmanager
def open_stage() -> Iterator[Stage]:
    """Start its Redis, which ends with the block."""
    with tempfile.TemporaryDirectory(prefix="btcts-") as folder:
        server = Server(Path(folder), "--enable-debug-command", "yes").start()
        try:
            with connect(server.socket) as client:
                yield Stage(server, client)
        finally:
            server.kill()
