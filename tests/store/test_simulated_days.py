"""Days of collecting with everything that goes wrong, compared with the oracle at many moments.

Two collectors with slightly different clocks poll, settle, merge and repair; prices come late, twice or not at all;
Redis is killed, loses keys and rules, and gets samples from the future. The tests run one world of `WORLDS`.
"""

import random
from dataclasses import dataclass, field

import pytest
import redis

from btcts.config import BTC_USD
from btcts.domain.model import Candle, Tick
from btcts.store import Store
from support.clocks import FakeClock
from support.oracle import KEPT, Observed, Oracle
from support.samples import take_run
from support.series import DAY, HOUR, MIDNIGHT, MINUTE, TICK, assert_right, put, samples
from support.servers import Server, StartServer, connect

WORLDS = range(4)

LENGTH = 30 * HOUR
CLOCKS_APART = (0, -2_500)


@dataclass
class World:
    """One seed: the true time, what was told to the oracle, and what is still under way."""

    seed: int
    server: Server
    now_ms: int = MIDNIGHT
    oracle: Oracle = field(default_factory=Oracle)
    delayed: list[tuple[int, Tick]] = field(default_factory=list)
    unsettled: list[int] = field(default_factory=list)
    dead_until: int = 0

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)
        self.clocks = [FakeClock(self.now_ms + apart) for apart in CLOCKS_APART]
        self.connect()

    def connect(self) -> None:
        """Give both collectors new connections."""
        self.clients = [connect(self.server.socket) for _ in self.clocks]
        self.stores = [
            Store(client, BTC_USD, clock=clock, where="test")
            for client, clock in zip(self.clients, self.clocks, strict=True)
        ]

    def close(self) -> None:
        for client in self.clients:
            client.close()

    @property
    def client(self) -> redis.Redis:
        return self.clients[0]

    def write(self, number: int, live: list[Tick], candles: list[Candle]) -> None:
        """Let a collector write, and tell the oracle."""
        now_ms = self.clocks[number].now_ms()
        self.stores[number].write(live, candles)
        for tick in live:
            self.oracle.tick(now_ms, *tick)
        for candle in candles:
            observed = Observed(candle.open, candle.high, candle.low, candle.close)
            self.oracle.candle(now_ms, candle.start_ms, observed)

    def advance(self) -> None:
        """Let time pass: mostly the length of a cycle, now and then an outage of everything."""
        step = self.chance.randrange(4_000, 70_000)
        if self.chance.random() < 0.002:
            step = self.chance.randrange(3 * MINUTE, 6 * HOUR)
        before, self.now_ms = self.now_ms, self.now_ms + step
        for clock in self.clocks:
            clock.advance(step)
        first = before - before % MINUTE
        self.unsettled += range(first, self.now_ms - self.now_ms % MINUTE, MINUTE)


def collect(world: World, number: int) -> None:
    """One cycle of one collector."""
    chance = world.chance
    now_ms = world.clocks[number].now_ms()
    live = [Tick(now_ms - chance.randrange(3_000), price(world))]
    if chance.random() < 0.05:
        live *= 2
    if chance.random() < 0.08:
        world.delayed.append((now_ms + lateness(chance), live.pop()))
    live += [tick for due, tick in world.delayed if due <= now_ms]
    world.delayed = [(due, tick) for due, tick in world.delayed if due > now_ms]
    world.write(number, live, settle(world, now_ms))


def price(world: World) -> float:
    """A price that wanders, with a liar now and then."""
    drift = 60_000 + (world.now_ms // MINUTE * 7_919) % 400
    return float(drift * (2 if world.chance.random() < 0.001 else 1)) + world.chance.randrange(1000) / 8


def lateness(chance: random.Random) -> int:
    """Mostly seconds, sometimes as long as the window and longer."""
    return chance.choice([chance.randrange(20_000), chance.randrange(20 * MINUTE), chance.randrange(27 * HOUR)])


def settle(world: World, now_ms: int) -> list[Candle]:
    """Candles of some of the closed minutes that have none: the newest ones mostly, after an outage many at once."""
    closed = [minute for minute in world.unsettled if minute + MINUTE <= now_ms]
    if not closed or world.chance.random() < 0.4:
        return []
    chosen = closed[-2:] if world.chance.random() < 0.97 else world.chance.sample(closed, len(closed) * 9 // 10)
    world.unsettled = [minute for minute in world.unsettled if minute not in set(chosen)]
    return [candle(world, minute) for minute in chosen]


def candle(world: World, minute_ms: int) -> Candle:
    low, first, second, high = sorted(price(world) for _ in range(4))
    return Candle(minute_ms, first, high, low, second)


def damage(world: World) -> None:
    """Damage Redis as happens now and then; the check of the next cycle puts it right."""
    chance, client = world.chance, world.client
    kind = chance.randrange(6)
    if kind == 0:
        for writer in world.clients:
            writer.waitaof(1, 0, 10_000)
        world.close()
        world.server.kill()
        world.server.start()
        world.connect()
    elif kind == 1:
        client.delete(chance.choice([item.key for item in world.stores[0].layout.compactions]))
    elif kind == 2:
        put(client, TICK, {world.now_ms + chance.choice([HOUR, DAY, 40 * DAY]): 1.0})
    elif kind == 3:
        client.execute_command("TS.ALTER", TICK, "RETENTION", 0)
    elif kind == 4:
        client.execute_command("TS.DELETERULE", TICK, "btc:price:hour:max")
    else:
        client.script_flush()
    store = world.stores[chance.randrange(2)]
    store.repair(store.inspect())


def assert_complete(world: World) -> None:
    """Check that compactions hold exactly the closed slots, no more and no less, where no slot lacks a tick."""
    newest = world.oracle.newest()
    for name, (length, _) in KEPT.items():
        closed = world.oracle.closed(name, world.now_ms)
        covered = set(closed) <= world.oracle.buckets(name).keys()
        if covered and newest and newest[0] // length == world.now_ms // length:
            assert list(samples(world.client, f"btc:price:{name}")) == closed


@pytest.mark.parametrize("seed", take_run(WORLDS, 1))
def test_every_closed_bucket_is_right_whatever_happened(start_server: StartServer, seed: int) -> None:
    server = start_server("--appendonly", "yes", "--auto-aof-rewrite-min-size", "2mb")
    world = World(seed, server)
    end_ms = world.now_ms + LENGTH

    while world.now_ms < end_ms:
        world.advance()
        collect(world, world.chance.randrange(2))
        if world.chance.random() < 0.01:
            damage(world)
        if world.chance.random() < 0.02:
            assert_right(world.client, world.oracle, world.now_ms)
            assert_complete(world)

    assert_right(world.client, world.oracle, world.now_ms)
    first = world.stores[0].rebuild().now_ms // HOUR * HOUR - 24 * HOUR
    kept = {stamp: value for stamp, value in world.oracle.ticks() if stamp >= first}
    assert {stamp: value for stamp, value in samples(world.client, TICK).items() if stamp >= first} == kept
    assert world.stores[0].inspect().faults == ()
    world.close()
