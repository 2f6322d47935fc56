"""A single run on a slow Redis: it ends in time, and its price is stored or waits in the spool.

The time limit is a tenth of that of a real run, and so is the slowness.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import redis

from btcts.config import BTC_USD, load
from btcts.connect import connect
from btcts.providers import default_endpoints, open_providers
from btcts.providers.poller import Poller
from btcts.services.collect.collector import Collector
from btcts.services.collect.loop import once
from btcts.services.collect.memory import Memory
from btcts.services.collect.spool import Spool
from btcts.store import Store
from btcts.system.sockets import Deadline
from simulation.chaos.proxy import Proxy
from support.clocks import FakeClock
from support.exchanges import Exchanges
from support.series import TICK, samples
from support.servers import Server

LIMIT_S = 5.0
THREE = ("coinbase", "kraken", "bitstamp")

MakeRun = Callable[..., Collector]


class Meanwhile(Poller):
    """Something happens between what Redis is asked and what it is given."""

    happening: Callable[[], object]

    def ask_prices(self, *arguments: Any, **options: Any) -> Any:
        """The prices, and behind them what happens."""
        found = super().ask_prices(*arguments, **options)
        self.happening()
        return found


class HungWhenTold(Memory):
    """Something happens before Redis is told."""

    happening: Callable[[], object]

    def tell(self, store: Store) -> None:
        """Let it happen, then tell."""
        self.happening()
        super().tell(store)


@pytest.fixture
def proxy(server: Server, client: redis.Redis) -> Iterator[Proxy]:
    """The way to the Redis of the test."""
    with Proxy(server.socket) as running:
        yield running


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    """The spool in which prices wait."""
    return Spool(tmp_path / "spool")


@pytest.fixture
def memory_file(tmp_path: Path) -> Path:
    """The file in which a run leaves what Redis could not be told."""
    return tmp_path / "providers.json"


@pytest.fixture
def make_run(
    proxy: Proxy, clock: FakeClock, exchanges: Exchanges, spool: Spool, memory_file: Path
) -> Iterator[MakeRun]:
    """Make the collector of one run, as the command does, with its own connection to Redis."""
    with ExitStack() as stack:

        def make(happening: Callable[[], object] = lambda: None) -> Collector:
            settings = load({"redis.url": f"redis://127.0.0.1:{proxy.port}"}, endpoints=default_endpoints(), environ={})
            deadline = Deadline()
            store: Store = stack.enter_context(
                connect(settings, clock=clock, starts_embedded=True, say=lambda line: None, deadline=deadline)
            )
            providers = stack.enter_context(open_providers(THREE, exchanges.endpoints(), market=BTC_USD, clock=clock))
            poller = stack.enter_context(Meanwhile(providers))
            poller.happening = happening
            memory = Memory(memory_file)
            return Collector(store, poller, cadence_s=None, spool=spool, memory=memory, deadline=deadline)

        yield make


def stored_in(client: redis.Redis) -> dict[int, float]:
    """The ticks in Redis; none without a series."""
    return samples(client, TICK) if client.exists(TICK) else {}


def test_a_redis_that_accepts_and_never_answers_costs_no_price(make_run: MakeRun, proxy: Proxy, spool: Spool) -> None:
    proxy.swallow()

    cycle = once(make_run(), limit_s=LIMIT_S)

    assert cycle.took_ms < 1000 * LIMIT_S
    assert cycle.spooled
    assert spool.count() == 1
    assert "no Redis answers" in (cycle.problem or "")


@pytest.mark.parametrize("delay_s", [0.2, 0.6])
def test_a_redis_that_answers_slowly_does_not_make_the_run_longer(
    client: redis.Redis, make_run: MakeRun, proxy: Proxy, spool: Spool, clock: FakeClock, delay_s: float
) -> None:
    once(make_run(), limit_s=LIMIT_S)
    clock.advance(60_000)
    proxy.delay(delay_s)

    slow = once(make_run(), limit_s=LIMIT_S)

    assert slow.took_ms < 1000 * LIMIT_S
    price = slow.stored or slow.spooled
    assert price
    proxy.heal()
    clock.advance(60_000)
    healed = once(make_run(), limit_s=LIMIT_S)
    assert (healed.problem, healed.unsettled, spool.count()) == (None, 0, 0)
    assert stored_in(client)[price.time_ms] == price.price


def test_a_redis_that_hangs_when_it_is_given_the_price_leaves_time_to_spool_it(
    make_run: MakeRun, proxy: Proxy, spool: Spool, memory_file: Path
) -> None:
    cycle = once(make_run(proxy.swallow), limit_s=LIMIT_S)

    assert cycle.took_ms < 1000 * LIMIT_S
    assert cycle.spooled
    assert spool.count() == 1
    assert set(Memory(memory_file).recall().providers) == set(THREE)


def test_a_redis_that_hangs_behind_the_price_is_told_by_the_next_run_what_came_after_it(
    client: redis.Redis, make_run: MakeRun, proxy: Proxy, clock: FakeClock, memory_file: Path
) -> None:
    run = make_run()
    run.memory = HungWhenTold(memory_file)
    run.memory.happening = proxy.swallow

    cycle = once(run, limit_s=LIMIT_S)

    assert cycle.took_ms < 1000 * LIMIT_S
    assert cycle.stored
    assert client.hexists("btc:price:state", "provider:kraken")
    assert not client.hexists("btc:price:state", "reread_ms")
    proxy.heal()
    clock.advance(60_000)
    once(make_run(), limit_s=LIMIT_S)
    assert client.hexists("btc:price:state", "reread_ms")
    assert not memory_file.exists()
