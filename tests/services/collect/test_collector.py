"""Cycles of `collect` against the local exchanges and a real Redis."""

import errno
from dataclasses import dataclass
from itertools import islice

import pytest
import redis

from btcts.config import BTC_USD
from btcts.domain.codes import ProblemCode, RepairCode
from btcts.domain.model import HOUR_MS, MINUTE_MS, Tick
from btcts.errors import ForeignKey, StoreError
from btcts.services.collect.cycle import Cycle
from btcts.services.collect.loop import forever, once
from btcts.store import Store
from services.conftest import EXCHANGES, MakeCollector
from support.clocks import FakeClock
from support.exchanges import Exchanges, Fault
from support.wording import Wording

wording = Wording(__file__)


def test_the_first_cycle_creates_the_layout_and_fills_the_whole_window(
    store: Store, make_collector: MakeCollector
) -> None:
    cycle = once(make_collector())

    full = {name: sum(slot.settled for slot in slots) for name, slots in store.snapshot().slots.items()}
    assert cycle.unsettled == 0
    assert cycle.settled == 24 * 60 + 34
    assert full == {"minute": 60, "5min": 12, "15min": 4, "hour": 24}


def test_the_price_is_the_median_and_keeps_the_time_of_its_observation(
    store: Store, clock: FakeClock, exchanges: Exchanges, make_collector: MakeCollector
) -> None:
    price = exchanges.market.price(clock.now_ms())
    exchanges.fault("kraken", Fault(path="Trades", factor=1.05))

    cycle = once(make_collector())

    assert cycle.stored == Tick(clock.now_ms(), price)
    assert store.latest() == cycle.stored
    assert set(cycle.members) == set(EXCHANGES) - {"kraken"}
    assert [(name, round(ratio, 4)) for name, ratio in cycle.deviating] == [("kraken", 0.05)]


def test_a_settled_minute_has_the_range_of_the_market_not_of_the_polls(
    store: Store, clock: FakeClock, exchanges: Exchanges, make_collector: MakeCollector
) -> None:
    collector = make_collector()
    list(islice(forever(collector, interval_s=10, phase_s=7, stopped=lambda: False), 14))

    minute = (clock.now_ms() // MINUTE_MS - 1) * MINUTE_MS
    slot = next(slot for slot in store.slots("minute") if slot.start_ms == minute)

    traded = exchanges.market.candle(minute)
    assert traded
    assert (slot.close, slot.min, slot.max) == (traded.close, traded.low, traded.high)
    assert slot.settled


def test_an_outage_is_healed_by_the_first_cycle_after_it(
    store: Store, clock: FakeClock, make_collector: MakeCollector
) -> None:
    collector = make_collector()
    collector.cycle()
    clock.advance(7 * HOUR_MS)

    cycle = collector.cycle()

    assert (cycle.settled, cycle.unsettled) == (7 * 60, 0)
    assert all(slot.settled for slot in store.slots("hour") if slot.closed)


def test_a_cycle_with_every_provider_down_stores_nothing_and_names_each_reason(
    store: Store, exchanges: Exchanges, make_collector: MakeCollector
) -> None:
    exchanges.fault("coinbase", Fault(status=503))
    exchanges.fault("kraken", Fault(error="EService:Unavailable"))
    exchanges.fault("bitstamp", Fault(reset=True))

    cycle = once(make_collector(["coinbase", "kraken", "bitstamp"]))

    assert cycle.stored is None
    assert cycle.problem
    assert {name for name, _ in cycle.refused} == {"coinbase", "kraken", "bitstamp"}
    assert store.latest() is None
    assert {gap.reason for gap in store.gaps().values()} == {"providers_down"}


def test_gaps_leave_the_ledger_when_they_are_settled(
    store: Store, clock: FakeClock, exchanges: Exchanges, make_collector: MakeCollector
) -> None:
    collector = make_collector(["coinbase"])
    exchanges.fault("coinbase", Fault(status=503))
    collector.cycle()
    assert len(store.gaps()) == 24 * 60 + 34

    exchanges.fault("coinbase", None)
    clock.advance(MINUTE_MS)
    cycle = collector.cycle()

    assert cycle.unsettled == 0
    assert store.gaps() == {}


def test_a_provider_that_says_wait_is_left_alone_until_its_time(
    clock: FakeClock, exchanges: Exchanges, make_collector: MakeCollector
) -> None:
    collector = make_collector(["coinbase", "kraken"])
    collector.cycle()
    clock.advance(10_000)
    exchanges.fault("kraken", Fault(status=429, headers={"Retry-After": "90"}))
    collector.cycle()
    exchanges.fault("kraken", None)

    clock.advance(80_000)
    waiting = make_collector(["coinbase", "kraken"]).cycle()
    clock.advance(20_000)
    again = collector.cycle()

    assert [name for name, *_ in waiting.waiting] == ["kraken"]
    assert waiting.members == ("coinbase",)
    assert set(again.members) == {"coinbase", "kraken"}


def test_a_cycle_in_which_every_provider_waits_is_idle_and_no_failure(
    clock: FakeClock, exchanges: Exchanges, make_collector: MakeCollector
) -> None:
    exchanges.fault("kraken", Fault(status=429, headers={"Retry-After": "90"}))
    make_collector(["kraken"]).cycle()
    clock.advance(10_000)

    cycle = make_collector(["kraken"]).cycle()

    assert cycle.idle
    assert cycle.problem is None
    assert cycle.refused == ()


def test_coinmarketcap_alone_has_polls_only_and_keeps_to_its_budget(
    store: Store, clock: FakeClock, exchanges: Exchanges, make_collector: MakeCollector
) -> None:
    collector = make_collector(["coinmarketcap"], api_key="secret-key")
    first = collector.cycle()
    clock.advance(60_000)
    second = collector.cycle()

    assert first.flag == "single"
    assert second.idle
    assert {gap.reason for gap in store.gaps().values()} == {"polls_only"}
    assert store.state().providers["coinmarketcap"].credits_left is not None


def test_a_new_key_is_tried_at_once_where_the_old_one_was_refused(
    exchanges: Exchanges, make_collector: MakeCollector
) -> None:
    body = b'{"status":{"error_code":1001,"error_message":"This API Key is invalid."}}'
    exchanges.fault("coinmarketcap", Fault(status=401, body=body))
    refused = make_collector(["coinmarketcap"], api_key="old-key").cycle()
    exchanges.fault("coinmarketcap", None)

    still = make_collector(["coinmarketcap"], api_key="old-key").cycle()
    renewed = make_collector(["coinmarketcap"], api_key="new-key").cycle()

    assert refused.stored is None
    assert still.idle
    assert renewed.stored


def test_a_lone_jump_waits_for_confirmation_across_collectors(
    store: Store, clock: FakeClock, exchanges: Exchanges, make_collector: MakeCollector
) -> None:
    make_collector(["coinbase"]).cycle()
    exchanges.fault("coinbase", Fault(path="ticker", factor=1.4))
    clock.advance(60_000)

    jumped = make_collector(["coinbase"]).cycle()
    clock.advance(60_000)
    confirmed = make_collector(["coinbase"]).cycle()

    assert jumped.stored is None
    assert jumped.problem
    assert confirmed.stored
    assert store.state().pending is None


def test_nothing_is_written_when_the_clocks_of_two_providers_say_that_ours_is_wrong(
    store: Store, exchanges: Exchanges, make_collector: MakeCollector
) -> None:
    for name in ("coinbase", "kraken"):
        exchanges.fault(name, Fault(skew_ms=3_600_000))

    cycle = once(make_collector(["coinbase", "kraken"]))

    assert cycle.stored is None
    assert cycle.problem_codes == (ProblemCode.PROVIDER_CLOCKS,)
    assert (cycle.settled, store.latest()) == (0, None)


@pytest.mark.parametrize("price", [850e9, 0, None, "NaN", -5], ids=str)
def test_an_absurd_price_changes_nothing_in_company_and_is_refused_alone(
    price: object, store: Store, clock: FakeClock, exchanges: Exchanges, make_collector: MakeCollector
) -> None:
    exchanges.fault("bitstamp", Fault(path="ticker", price=price))
    honest = exchanges.market.price(clock.now_ms())

    company = make_collector(["coinbase", "bitstamp", "gemini"]).cycle()
    alone = make_collector(["bitstamp"]).cycle()

    assert company.stored == Tick(clock.now_ms(), honest)
    assert alone.stored is None
    assert [name for name, _ in alone.refused] == ["bitstamp"]


def test_a_frozen_provider_is_dropped_by_the_time_of_its_last_trade(
    clock: FakeClock, exchanges: Exchanges, make_collector: MakeCollector
) -> None:
    exchanges.fault("gemini", Fault(path="trades", frozen_ms=clock.now_ms() - 121_000))

    cycle = make_collector(["coinbase", "kraken", "gemini"]).cycle()

    assert set(cycle.members) == {"coinbase", "kraken"}
    assert "gemini" in dict(cycle.refused)


def test_keys_and_rules_that_vanish_are_made_anew_and_filled_again(
    store: Store, client: redis.Redis, clock: FakeClock, make_collector: MakeCollector
) -> None:
    collector = make_collector()
    collector.cycle()
    client.flushall()
    clock.advance(10_000)

    cycle = collector.cycle()

    assert cycle.repaired == (RepairCode.LAYOUT_MADE,)
    assert cycle.unsettled == 0
    assert store.inspect().faults == ()


def test_simulated_and_real_prices_never_meet(store: Store, make_collector: MakeCollector) -> None:
    make_collector(["simulated"]).cycle()

    with pytest.raises(StoreError, match="simulated prices"):
        make_collector(["coinbase"]).cycle()


def test_a_failing_redis_does_not_end_the_loop(
    store: Store, client: redis.Redis, make_collector: MakeCollector
) -> None:
    cycles = forever(make_collector(["coinbase"]), interval_s=10, phase_s=0, stopped=lambda: False)
    next(cycles)
    client.config_set("maxmemory", "1mb")

    try:
        failed = next(cycles)
    finally:
        client.config_set("maxmemory", "0")
    after = next(cycles)

    assert "out of memory" in (failed.problem or "")
    assert after.stored


@dataclass
class Failing:
    """A collector whose cycles fail so, the last of them excepted."""

    failures: list[Exception]
    clock: FakeClock

    @property
    def store(self) -> "Failing":
        return self

    def cycle(self) -> Cycle:
        if self.failures:
            raise self.failures.pop(0)
        return Cycle(self.clock.now_ms())

    def pass_time(self, seconds: float) -> None:
        self.clock.sleep(seconds)


def test_neither_a_shortage_of_the_machine_nor_a_bug_ends_the_loop(clock: FakeClock) -> None:
    failures = [MemoryError(), OSError(errno.EMFILE, "Too many open files"), RuntimeError("can't start new thread")]
    collector = Failing([*failures, ZeroDivisionError()], clock)

    cycles = list(islice(forever(collector, interval_s=10, phase_s=0, stopped=lambda: False), 5))  # type: ignore[arg-type]

    problems = [cycle.problem for cycle in cycles]
    for name, problem in zip(("no memory", "no files", "no threads"), problems, strict=False):
        wording.check(name, problem)
    assert " services/collect/loop.py:" in problems[3]
    assert problems[4] is None
    assert [cycle.problem_codes for cycle in cycles] == [(ProblemCode.UNEXPECTED,)] * 4 + [()]


def test_a_foreign_key_ends_the_loop(client: redis.Redis, make_collector: MakeCollector) -> None:
    client.set("btc:price:hour", "mine")
    cycles = forever(make_collector(["coinbase"]), interval_s=10, phase_s=0, stopped=lambda: False)

    with pytest.raises(ForeignKey, match="btc:price:hour"):
        next(cycles)


def test_cycles_lie_on_the_clock_without_drift_over_a_day(make_collector: MakeCollector) -> None:
    cycles = forever(make_collector(["simulated"]), interval_s=1800, phase_s=3.5, stopped=lambda: False)

    times = [cycle.time_ms for cycle in islice(cycles, 49)]

    assert {time_ms % 1_800_000 for time_ms in times[1:]} == {3_500}
    assert times[-1] - times[1] == 47 * 1_800_000


def test_a_stop_ends_the_loop_after_the_cycle_in_hand(make_collector: MakeCollector) -> None:
    stops = iter([False, True])

    cycles = list(forever(make_collector(["simulated"]), interval_s=10, phase_s=0, stopped=lambda: next(stops, True)))

    assert len(cycles) == 1
    assert cycles[0].stored


def test_the_cadence_of_single_runs_is_the_time_between_them(
    store: Store, clock: FakeClock, exchanges: Exchanges
) -> None:
    from btcts.providers import open_providers
    from btcts.providers.poller import Poller
    from btcts.services.collect.collector import Collector

    for _ in range(2):
        with (
            open_providers(["coinbase"], exchanges.endpoints(), market=BTC_USD, clock=clock) as providers,
            Poller(providers) as poller,
        ):
            once(Collector(store, poller, cadence_s=None))
        clock.advance(300_000)

    assert store.state().cadence_s == 300
