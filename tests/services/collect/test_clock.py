"""A Redis server whose clock is set forward or back under the collector, while the providers keep the right time."""

from collections.abc import Iterator
from contextlib import ExitStack
from itertools import pairwise

import pytest
import redis

from btcts.config import BTC_USD
from btcts.domain.codes import FaultCode, ProblemCode, RepairCode
from btcts.domain.model import MINUTE_MS
from btcts.providers import open_providers
from btcts.providers.poller import Poller
from btcts.services.collect.collector import Collector
from btcts.services.collect.loop import forever
from btcts.services.prune import prune
from btcts.services.verify.run import verify
from btcts.store import Store
from support.backups import FillOnce
from support.clocks import FakeClock
from support.exchanges import Exchanges, SimulatedMarket
from support.series import DAY, HOUR, NOW, TICK, compactions, put, samples

STEPS = [HOUR, -HOUR, DAY, -DAY]
NAMES = ("bitstamp", "bitfinex", "gemini")


@pytest.fixture
def truth() -> FakeClock:
    """The right time, by which the providers go."""
    return FakeClock(NOW)


@pytest.fixture
def collector(store: Store, clock: FakeClock, truth: FakeClock, fill_once: FillOnce) -> Iterator[Collector]:
    """A collector whose clock is that of Redis, after a cycle that filled the window."""
    with ExitStack() as stack:
        exchanges = stack.enter_context(Exchanges(SimulatedMarket(), now_ms=truth.now_ms))
        providers = stack.enter_context(open_providers(NAMES, exchanges.endpoints(), market=BTC_USD, clock=clock))
        poller = stack.enter_context(Poller(providers))
        made = Collector(store, poller, cadence_s=10.0)
        fill_once("three exchanges", made.cycle)
        made.cycle()
        yield made


def pass_time(clock: FakeClock, truth: FakeClock, ms: int) -> None:
    clock.advance(ms)
    truth.advance(ms)


def assert_whole(store: Store) -> None:
    """Each closed slot of each resolution is there, settled, and what its ticks make."""
    assert verify(store).findings == ()
    assert all(slot.settled for slots in store.snapshot().slots.values() for slot in slots if slot.closed)


@pytest.mark.parametrize("step", STEPS)
def test_while_the_clock_is_wrong_nothing_changes_and_one_cycle_after_it_is_right_all_is_there(
    step: int, store: Store, client: redis.Redis, collector: Collector, clock: FakeClock, truth: FakeClock
) -> None:
    before = samples(client, TICK), compactions(client, latest=True)
    clock.step(step)
    cycles = []
    for _ in range(12):
        pass_time(clock, truth, 10_000)
        cycles.append(collector.cycle())
    wrong = samples(client, TICK), compactions(client, latest=True)
    clock.step(-step)
    pass_time(clock, truth, 10_000)

    healed = collector.cycle()

    assert {each.stored for each in cycles} == {None}
    assert {each.problem_codes for each in cycles} == {(ProblemCode.PROVIDER_CLOCKS,)}
    assert wrong == before
    assert (healed.settled, healed.unsettled, healed.repaired) == (3, 0, ())
    assert_whole(store)


@pytest.mark.parametrize("step", STEPS)
def test_a_rule_that_is_lost_while_the_clock_is_wrong_costs_no_bucket(
    step: int, store: Store, client: redis.Redis, collector: Collector, clock: FakeClock, truth: FakeClock
) -> None:
    clock.step(step)
    client.execute_command("TS.DELETERULE", TICK, "btc:price:hour:max")
    pass_time(clock, truth, 10_000)
    collector.cycle()
    clock.step(-step)
    pass_time(clock, truth, MINUTE_MS)

    healed = collector.cycle()

    assert healed.unsettled == 0
    assert store.inspect().faults == ()
    assert_whole(store)


def test_buckets_that_were_pruned_by_a_clock_that_was_ahead_come_back(
    store: Store, collector: Collector, clock: FakeClock, truth: FakeClock
) -> None:
    clock.step(DAY)
    removed = prune(store).removed
    clock.step(-DAY)
    faults = store.inspect().faults
    pass_time(clock, truth, 10_000)

    healed = collector.cycle()

    assert len(removed) == 10
    assert [(fault.key, fault.code, fault.values) for fault in faults] == [
        ("btc:price:state", FaultCode.SWEPT_AHEAD, {"ahead_s": 86_400})
    ]
    assert len(healed.repaired) == 1
    assert_whole(store)


def test_a_sample_from_the_future_stays_until_a_provider_says_that_the_clock_is_right(
    store: Store, client: redis.Redis, collector: Collector, clock: FakeClock, truth: FakeClock
) -> None:
    put(client, TICK, {NOW + DAY: 1.0})
    truth.advance(DAY)
    clock.advance(10_000)
    doubtful = collector.cycle()
    kept = store.inspect().newest
    truth.step(-DAY)
    truth.advance(10_000)

    sure = collector.cycle()

    assert (doubtful.stored, doubtful.repaired) == (None, ())
    assert kept is not None
    assert kept.time_ms == NOW + DAY
    assert sure.repaired == (RepairCode.FUTURE_REMOVED,)
    assert sure.stored
    assert_whole(store)


@pytest.mark.parametrize("step", STEPS)
def test_the_schedule_goes_on_at_once_after_a_step(step: int, collector: Collector, clock: FakeClock) -> None:
    times = []
    for number, _ in enumerate(forever(collector, interval_s=10, phase_s=0, stopped=lambda: len(times) == 6)):
        times.append(clock.now_ms())
        if number == 2:
            clock.step(step)

    waits = [later - earlier for earlier, later in pairwise(times)]
    assert 0 < waits.pop(2) - step <= 10_000
    assert 0 < waits.pop(0) <= 10_000
    assert waits == [10_000] * 3
