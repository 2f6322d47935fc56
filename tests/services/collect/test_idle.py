"""A cycle that has nothing to settle asks Redis for little, and still notices what others do to the store."""

from collections.abc import Callable, Iterator

import pytest
import redis

from btcts.config import BTC_USD
from btcts.domain.model import Tick
from btcts.providers.poller import Poller
from btcts.providers.simulated import Simulated
from btcts.services.collect.collector import Collector
from btcts.store import Store
from support.clocks import FakeClock
from support.series import MINUTE, NOW, TICK
from support.servers import Server
from support.wires import Wire

FIVE = ("coinbase", "kraken", "bitstamp", "bitfinex", "gemini")


class Named(Simulated):
    """The simulated market under the name of an exchange."""

    def __init__(self, name: str, clock: FakeClock) -> None:
        super().__init__(clock)
        self.name = name


@pytest.fixture
def wire(server: Server) -> Iterator[Wire]:
    """Connections that count what they send."""
    counted = Wire(server.socket)
    yield counted
    counted.client.close()


@pytest.fixture
def collector(client: redis.Redis, clock: FakeClock, wire: Wire) -> Iterator[Collector]:
    """A collector whose window is settled, in the middle of a minute."""
    clock.advance(NOW - NOW % MINUTE + MINUTE + 20_000 - NOW)
    with Poller([Named(name, clock) for name in FIVE]) as poller:
        collector = Collector(Store(wire.client, BTC_USD, clock=clock, where="test"), poller, cadence_s=10.0)
        collector.cycle()
        clock.advance(10_000)
        collector.cycle()
        clock.advance(10_000)
        yield collector


def test_a_cycle_with_nothing_to_do_takes_two_round_trips_fifteen_commands_and_ten_kilobytes(
    client: redis.Redis, collector: Collector, wire: Wire
) -> None:
    wire.reset()
    before = client.info("stats")["total_net_output_bytes"]
    own = client.info("stats")["total_net_output_bytes"] - before

    cycle = collector.cycle()

    received = client.info("stats")["total_net_output_bytes"] - before - 2 * own
    assert cycle.stored
    assert (cycle.settled, cycle.unsettled) == (0, 0)
    assert wire.commands == 15
    assert len(wire.sent) == 2
    assert sum(wire.sent) + received < 10_240


def delete_a_mark(client: redis.Redis, clock: FakeClock) -> None:
    """Somebody deletes the tick that marks a minute as settled."""
    mark = clock.now_ms() - clock.now_ms() % MINUTE - 5 * MINUTE + 59_999
    client.execute_command("TS.DEL", TICK, mark, mark)


def delete_the_ticks(client: redis.Redis, clock: FakeClock) -> None:
    """Somebody deletes the series."""
    client.delete(TICK)


def flush(client: redis.Redis, clock: FakeClock) -> None:
    """Somebody deletes everything."""
    client.flushall()


def settle_elsewhere(client: redis.Redis, clock: FakeClock) -> None:
    """Another collector settles a minute that was deleted."""
    delete_a_mark(client, clock)
    minute = clock.now_ms() - clock.now_ms() % MINUTE - 5 * MINUTE
    candle = Simulated(clock).candle(minute)
    Store(client, BTC_USD, clock=clock, where="test").write([Tick(clock.now_ms(), candle.close)], [candle])


@pytest.mark.parametrize("happen", [delete_a_mark, delete_the_ticks, flush, settle_elsewhere])
def test_what_others_do_to_the_store_is_noticed_and_healed_at_once(
    client: redis.Redis, collector: Collector, clock: FakeClock, happen: Callable[[redis.Redis, FakeClock], object]
) -> None:
    before = collector.store.snapshot()
    happen(client, clock)

    cycle = collector.cycle()

    after = collector.store.snapshot()
    assert cycle.unsettled == 0
    assert cycle.settled == {delete_a_mark: 1, settle_elsewhere: 0}.get(happen, cycle.settled)
    assert after.coverage.settled == before.coverage.settled
    assert after.slots["hour"][:-1] == before.slots["hour"][:-1]
