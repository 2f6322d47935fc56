"""One schedule's world: its Redis, the wire to it, its providers, its time, and what its collectors have said."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from random import Random
from typing import NamedTuple

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from btcts.config import BTC_USD
from btcts.domain.layout import RESOLUTIONS
from btcts.domain.model import Tick
from btcts.errors import ForeignKey, StoreError
from btcts.providers.poller import Poller
from btcts.services.collect.collector import Collector
from btcts.services.collect.cycle import Cycle
from btcts.services.collect.loop import once
from btcts.services.collect.memory import Memory
from btcts.services.collect.spool import Spool
from btcts.store import Store
from simulation.chaos.feeds import Feeds
from simulation.chaos.floor import Floor
from simulation.chaos.proxy import Proxy
from simulation.chaos.said import Account, Said
from simulation.chaos.stage import COLLECTORS, PATIENCE_S, Stage, Venue
from simulation.chaos.witness import Claims, Witness, find_wrong, view
from simulation.place import Place, open_redis
from support.series import COMPACTIONS, HOUR, TICK, samples

SPOOLS = ("spool-0", "spool-1")
"""Where prices wait; each collector is on a machine of its own."""

ANSWER_S = 10.0
"""How long the product waits for an answer of Redis."""

DOUBT_MS = 10_000
"""While the clock is further from the providers' than this, nothing is written."""

NOTICED_MS = 3_000
"""By then a stamp of each exchange has shown that the clock was set."""

SLICE_MS = 200
"""Steps in which exchanges and connections go on."""

OLDEST_MS = 20_000
"""Longest time from a trade to a price that is made of it, unless the market is quiet."""


class Setting(NamedTuple):
    """The setting of a world: with a `durable` disk Redis loses nothing when it is killed.

    The collectors `streaming` have streams, whose delays and the like are those of the seed. Where exchanges are
    `truthful`, late by 2 s at most, no minute is ever settled with another candle than that of its trades.
    """

    market: str
    names: Sequence[str]
    begin_ms: int
    durable: bool
    streaming: Sequence[int] = ()
    seed: int = 0
    truthful: bool = False


class Seen(NamedTuple):
    """A cycle: when it began and ended by its clock, and the lowest and the highest price in that time."""

    first_ms: int
    last_ms: int
    low: float
    high: float


@dataclass
class World(Place):
    """The world that a schedule happens to; `open_world` makes one.

    While `strange` a key of ours is somebody else's, while `spoolless` no spool can be used; `damaged` keys wait for
    the next cycle, which repairs them. So many providers are `inexact`: their prices are up to a hundredth away from
    the market's. `answer_s` is how long collectors wait for an answer of Redis. Streams come from `floors`; The clock
    was last right at `right_ms`; `stamps` are those of the ticks before, `lies` are claims of collectors with streams
    that were false.
    """

    venue: Venue
    proxy: Proxy
    stack: ExitStack
    setting: Setting
    strange: bool = False
    spoolless: bool = False
    damaged: bool = False
    inexact: int = 0
    answer_s: float = ANSWER_S
    right_ms: int = 0
    stamps: set[int] = field(default_factory=set)
    lies: list[str] = field(default_factory=list)
    said: Said = field(default_factory=Said)
    cycles: list[Account] = field(default_factory=list)
    seen: list[Seen] = field(default_factory=list)
    clients: list[redis.Redis] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.stack.enter_context(self.admin)
        self.reader = Store(self.admin, BTC_USD, clock=self.clock, where="test")
        self.folder = self.server.folder
        market, self.streaming = self.venue.market, self.setting.streaming
        self.chance = Random(self.setting.seed)
        self.floors = {name: Floor(name, market, self.chance) for name in self.names} if self.streaming else {}
        self.feeds: dict[int, Feeds] = {}
        self.witnesses: dict[int, Witness] = {}
        self.claims = Claims(market, min(3, len(self.names)))
        for floor in self.floors.values():
            floor.jump(self.true.now_ms())
        self.spools = [Spool(self.folder / name) for name in SPOOLS]
        self.collectors = [self._collector(number) for number in range(COLLECTORS)]

    # Collectors

    def renew(self, number: int) -> None:
        """Let a new process take the place of a collector."""
        self.collectors[number] = self._collector(number)

    def run(self, *numbers: int, patient: bool = False) -> list[Account]:
        """Let these collectors do a cycle at the same time, and take note of what they say."""
        self.said.begin()
        damaged, self.damaged = self.damaged, False
        with ThreadPoolExecutor(len(numbers) or 1) as pool:
            accounts = list(pool.map(lambda number: self._cycle(number, patient=patient), numbers))
        self.damaged |= damaged and not any(isinstance(each, Cycle) and not each.problem for each in accounts)
        self.cycles += accounts
        self.said.note(accounts, None if self.spoolless else self.waiting())
        return accounts

    def waiting(self, *numbers: int) -> list[Tick]:
        """The prices that wait on the disk of these collectors, or of all."""
        spools = [self.spools[number] for number in numbers or range(COLLECTORS)]
        return [tick for spool in spools for tick in spool.read(self.clock.now_ms()).ticks]

    # Streams

    def live_to(self, moment_ms: int) -> None:
        """Let time pass until then; collectors with streams write the price of each second or so."""
        while (left_ms := moment_ms - self.true.now_ms()) > 0:
            self.true.advance(min(left_ms, self.chance.choice((1_000, 1_000, 1_000, 1_100, 1_300, 250))))
            self._pass_floors()
            for number in self.streaming:
                self.collectors[number].pass_time(0)
            self.look()

    def jump_to(self, moment_ms: int) -> None:
        """Let time pass in which no collector runs."""
        self.go_to(moment_ms)
        for floor in self.floors.values():
            floor.jump(self.true.now_ms())

    def look(self) -> None:
        """Look at what is claimed now."""
        now_ms = self.clock.now_ms()
        self.seen.append(self._see(now_ms, self.true.now_ms()))
        self.claims.note(now_ms, [*self.witnesses.values()])
        with suppress(redis.RedisError, StoreError):
            snapshot = self.reader.snapshot(self.chance.choice([*RESOLUTIONS]))
            first_ms = snapshot.now_ms // HOUR * HOUR
            ticks = dict(self.admin.execute_command("TS.RANGE", TICK, first_ms, "+"))
            seen = view(snapshot, first_ms, ticks)
            claims = [] if self.damaged else self.claims.judge(seen)
            self.lies += [f"exact, {claim}" for claim in claims]
            if self.setting.truthful:
                self.lies += find_wrong(seen, self.venue.candle)
            fresh, self.stamps = now_ms in ticks.keys() - self.stamps, set(ticks)
            if abs(self.clock.wrong_ms) <= DOUBT_MS:
                self.right_ms = self.true.now_ms()
            if fresh and self.true.now_ms() - self.right_ms > NOTICED_MS:
                self.lies.append(f"a tick was written under a clock that is {self.clock.wrong_ms} ms wrong")
            if fresh and not self.seen[-1].low <= ticks[now_ms] <= self.seen[-1].high:
                self.lies.append(f"{ticks[now_ms]} at {now_ms} is not a price of {self.seen[-1]}")

    def _pass_floors(self) -> None:
        """Let the exchanges and the connections go on until now."""
        last_ms, now_ms = min((floor.at_ms for floor in self.floors.values()), default=0), self.true.now_ms()
        for at_ms in [*range(last_ms + SLICE_MS, now_ms, SLICE_MS), now_ms]:
            for floor in self.floors.values():
                floor.go_on(at_ms)
            for feeds in self.feeds.values():
                feeds.go_on()

    def _open_feeds(self, number: int) -> Feeds | None:
        """Open the streams of a new process."""
        if number not in self.streaming:
            return None
        if number in self.feeds:
            self.feeds[number].close()
        self.witnesses[number] = witness = Witness(self.floors)
        floors = [*self.floors.values()]
        self.feeds[number] = Feeds(floors, self.clock.now_ms, self.chance, witness.note)
        return self.feeds[number]

    def _see(self, began_ms: int, true_ms: int) -> Seen:
        """Return the prices that may be seen from a moment to now."""
        seconds = range((true_ms - (OLDEST_MS if self.streaming else 0)) // 1000, self.true.now_ms() // 1000 + 1)
        prices = [self.venue.market.price(1000 * second) or 0.0 for second in seconds]
        inexact = self.inexact or any(floor.at_ms - floor.inexact_ms <= OLDEST_MS for floor in self.floors.values())
        off = 0.01 if inexact else 0.0  # two prices are believed, and their mean is between them
        return Seen(began_ms, self.clock.now_ms(), (1 - off) * min(prices), (1 + off) * max(prices))

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
        self.seen.append(self._see(began_ms, true_ms))
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
        if not self.setting.durable:
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
            cadence_s=10.0,
            salt=number,
            spool=self.spools[number],
            memory=Memory(self.folder / f"providers-{number}.json"),
            streams=self._open_feeds(number),
        )


@contextmanager
def open_world(stage: Stage, setting: Setting) -> Iterator[World]:
    """A Redis of its own, and collectors that ask these providers."""
    stage.true.step(setting.begin_ms - stage.true.now_ms())
    stage.clock.wrong_ms = 0
    venue = stage.venues[setting.market]
    venue.exchanges.reset()
    for each in venue.endpoints.values():
        each.timeout_s = PATIENCE_S
    with open_redis("always" if setting.durable else "everysec") as server, ExitStack() as stack:
        proxy = stack.enter_context(Proxy(server.socket))
        place = (server, venue.exchanges, stage.clock, setting.names)
        yield World(*place, venue, proxy, stack, setting)


def raw_ticks(client: redis.Redis) -> dict[int, float]:
    """All ticks as a reader without btcts sees them; none where there is no series."""
    return samples(client, TICK) if client.exists(TICK) else {}
