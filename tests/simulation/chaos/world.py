"""One schedule's world: its Redis, the wire to it, its providers, its time, and what its collectors have said."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from typing import NamedTuple

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from btcts.config import BTC_USD
from btcts.domain.model import Tick
from btcts.errors import ForeignKey, StoreError
from btcts.providers.poller import Poller
from btcts.services.collect.collector import Collector
from btcts.services.collect.loop import once
from btcts.services.collect.memory import Memory
from btcts.services.collect.spool import Spool
from btcts.store import Store
from simulation.chaos.proxy import Proxy
from simulation.chaos.said import Account, Said
from simulation.chaos.stage import COLLECTORS, PATIENCE_S, Stage, Venue
from simulation.place import Place, open_redis
from support.series import COMPACTIONS, TICK, samples

SPOOLS = ("spool-0", "spool-1")
"""Where prices wait; each collector is on a machine of its own."""

ANSWER_S = 10.0
"""How long the product waits for an answer of Redis."""


class Seen(NamedTuple):
    """A cycle: when it began and ended by its clock, and the lowest and the highest price in that time."""

    first_ms: int
    last_ms: int
    low: float
    high: float


@dataclass
class World(Place):
    """The world that a schedule happens to; `open_world` makes one.

    With a `durable` disk Redis loses nothing when it is killed. While `strange` a key of ours is somebody else's, while
    `spoolless` no spool can be used. So many providers are `inexact`: their prices are up to a hundredth away from
    the market's. `answer_s` is how long collectors wait for an answer of Redis.
    """

    venue: Venue
    proxy: Proxy
    stack: ExitStack
    durable: bool
    strange: bool = False
    spoolless: bool = False
    inexact: int = 0
    answer_s: float = ANSWER_S
    said: Said = field(default_factory=Said)
    cycles: list[Account] = field(default_factory=list)
    seen: list[Seen] = field(default_factory=list)
    clients: list[redis.Redis] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.stack.enter_context(self.admin)
        self.folder = self.server.folder
        self.spools = [Spool(self.folder / name) for name in SPOOLS]
        self.collectors = [self._collector(number) for number in range(COLLECTORS)]

    # Collectors

    def renew(self, number: int) -> None:
        """Let a new process take the place of a collector."""
        self.collectors[number] = self._collector(number)

    def run(self, *numbers: int, patient: bool = False) -> list[Account]:
        """Let these collectors do a cycle at the same time, and take note of what they say."""
        self.said.begin()
        with ThreadPoolExecutor(len(numbers) or 1) as pool:
            accounts = list(pool.map(lambda number: self._cycle(number, patient=patient), numbers))
        self.cycles += accounts
        self.said.note(accounts, None if self.spoolless else self.waiting())
        return accounts

    def waiting(self, *numbers: int) -> list[Tick]:
        """The prices that wait on the disk of these collectors, or of all."""
        spools = [self.spools[number] for number in numbers or range(COLLECTORS)]
        return [tick for spool in spools for tick in spool.read(self.clock.now_ms()).ticks]

    def _cycle(self, number: int, *, patient: bool) -> Account:
        collector = self.collectors[number]
        began_ms, true_ms = self.clock.now_ms(), self.true.now_ms()
        account: Account
        try:
            account = once(collector) if patient else collector.cycle()
        except StoreError as exc:
            if isinstance(exc, ForeignKey) and not self.strange:
                raise
            account = exc
        seconds = range(true_ms // 1000, self.true.now_ms() // 1000 + 1)
        prices = [self.venue.market.price(1000 * second) or 0.0 for second in seconds]
        off = 0.01 if self.inexact else 0.0
        self.seen.append(Seen(began_ms, self.clock.now_ms(), (1 - off) * min(prices), (1 + off) * max(prices)))
        return account

    # Redis

    def lose(self) -> None:
        """From now on nothing has to be there that was there before; buckets may outlast their ticks."""
        buckets = {}
        for key in COMPACTIONS:
            with suppress(redis.RedisError):
                buckets[key] = samples(self.admin, key)
        self.said.lose(buckets)

    def be_patient(self, answer_s: float = ANSWER_S) -> None:
        """Let the collectors wait so long for an answer of Redis."""
        self.answer_s = answer_s
        for each in self.clients:
            each.connection_pool.disconnect()
            each.connection_pool.reset()
            each.connection_pool.connection_kwargs["socket_timeout"] = answer_s

    def kill(self) -> None:
        """End Redis as a power cut would; what is not on the disk yet may be lost."""
        if not self.durable:
            self.lose()
        super().kill()

    def _collector(self, number: int) -> Collector:
        client = self.stack.enter_context(
            redis.Redis(
                host="127.0.0.1",
                port=self.proxy.port,
                protocol=3,
                decode_responses=True,
                socket_connect_timeout=3.0,
                socket_timeout=self.answer_s,
                retry=Retry(NoBackoff(), 1, supported_errors=(redis.ConnectionError,)),
            )
        )
        self.clients.append(client)
        providers = [self.venue.providers[number][name] for name in self.names]
        poller = self.stack.enter_context(Poller(providers))
        store = Store(client, BTC_USD, clock=self.clock, where="test")
        return Collector(
            store,
            poller,
            self.clock,
            cadence_s=10.0,
            salt=number,
            spool=self.spools[number],
            memory=Memory(self.folder / f"providers-{number}.json"),
        )


@contextmanager
def open_world(stage: Stage, market: str, names: Sequence[str], *, begin_ms: int, durable: bool) -> Iterator[World]:
    """A Redis of its own, whose disk is `durable`, and collectors that ask these providers."""
    stage.true.step(begin_ms - stage.true.now_ms())
    stage.clock.wrong_ms = 0
    venue = stage.venues[market]
    venue.exchanges.reset()
    for each in venue.endpoints.values():
        each.timeout_s = PATIENCE_S
    with open_redis("always" if durable else "everysec") as server, ExitStack() as stack:
        proxy = stack.enter_context(Proxy(server.socket))
        yield World(server, venue.exchanges, stage.clock, names, venue, proxy, stack, durable)


def raw_ticks(client: redis.Redis) -> dict[int, float]:
    """All ticks as a reader without btcts sees them; none where there is no series."""
    return samples(client, TICK) if client.exists(TICK) else {}
