"""Minutes that a collector asks for again, how soon, and those it looks at once more."""

from collections import Counter

import pytest
import redis

from btcts.domain.codes import FaultCode, RepairCode
from btcts.domain.model import HOUR_MS, MINUTE_MS, ProviderState, Slot
from btcts.services.collect.collector import Collector
from btcts.services.verify.run import verify
from btcts.store import State, Store
from services.conftest import EXCHANGES, MakeCollector
from support.clocks import FakeClock
from support.exchanges import Exchanges, Fault
from support.series import TICK, monitored, put, samples
from support.servers import Server

CANDLES = {"coinbase": "candles", "kraken": "OHLC", "bitstamp": "ohlc", "bitfinex": "candles", "gemini": "candles"}


def fault_all(exchanges: Exchanges, fault: Fault | None) -> None:
    for name in EXCHANGES:
        exchanges.fault(name, fault)


def minute(store: Store, start_ms: int) -> Slot:
    return next(slot for slot in store.slots("minute") if slot.start_ms == start_ms)


def test_after_an_outage_of_hours_the_first_cycle_with_an_answer_heals_all(
    store: Store, clock: FakeClock, exchanges: Exchanges, settled: Collector
) -> None:
    fault_all(exchanges, Fault(status=503))
    for _ in range(30):
        clock.advance(4 * MINUTE_MS)
        settled.cycle()
    assert len(store.gaps()) == 120
    fault_all(exchanges, None)
    clock.advance(10_000)

    healed = settled.cycle()

    assert (healed.settled, healed.unsettled) == (121, 0)
    assert store.gaps() == {}


def test_minutes_that_an_insertion_filter_has_thinned_out_are_settled_again(
    client: redis.Redis, store: Store, clock: FakeClock, make_collector: MakeCollector
) -> None:
    make_collector().cycle()
    whole = samples(client, TICK)
    del whole[max(whole)]  # the price itself is not to be had again
    client.flushall()
    store.rebuild()
    client.execute_command("TS.ALTER", TICK, "IGNORE", MINUTE_MS, 200)
    put(client, TICK, whole)
    left = samples(client, TICK)
    clock.advance(10_000)

    cycle = make_collector().cycle()

    assert len(left) < len(whole) / 2
    (repair,) = cycle.repaired
    assert not isinstance(repair, RepairCode)
    assert (repair.code, repair.values["found"]) == (FaultCode.WRONG_FILTER, (60_000, 200.0))
    assert cycle.unsettled == 0
    assert samples(client, TICK).items() >= whole.items()
    assert verify(store).findings == ()


def test_another_process_heals_in_its_first_cycle_as_well(
    clock: FakeClock, exchanges: Exchanges, make_collector: MakeCollector
) -> None:
    fault_all(exchanges, Fault(status=503))
    make_collector().cycle()
    clock.advance(10_000)
    make_collector().cycle()
    fault_all(exchanges, None)
    clock.advance(10_000)

    assert make_collector().cycle().unsettled == 0


@pytest.mark.parametrize("name", ["coinbase", "bitstamp", "bitfinex"])
def test_a_provider_that_comes_back_is_asked_at_once_for_what_the_others_lack(
    name: str, store: Store, clock: FakeClock, exchanges: Exchanges, make_collector: MakeCollector
) -> None:
    collector = make_collector([name, "kraken"])
    exchanges.fault(name, Fault(status=503))
    without = collector.cycle()
    exchanges.fault(name, None)
    clock.advance(1_000)

    assert without.unsettled == 756
    assert collector.cycle().unsettled == 0


def test_while_prices_come_but_no_candles_each_cycle_asks(
    clock: FakeClock, exchanges: Exchanges, make_collector: MakeCollector
) -> None:
    collector = make_collector(["coinbase"])
    exchanges.fault("coinbase", Fault(path="candles", status=503))
    for _ in range(3):
        collector.cycle()
        clock.advance(10_000)
    exchanges.fault("coinbase", None)

    assert collector.cycle().unsettled == 0


def test_while_no_candles_come_only_the_latest_minutes_are_asked_for_again(
    server: Server, clock: FakeClock, exchanges: Exchanges, make_collector: MakeCollector
) -> None:
    collector = make_collector(["coinbase"])
    exchanges.fault("coinbase", Fault(path="candles", status=503))
    collector.cycle()
    clock.advance(10_000)
    collector.cycle()
    exchanges.requests.clear()
    clock.advance(10_000)

    with monitored(server) as commands:
        cycle = collector.cycle()

    assert cycle.unsettled == 1475
    assert sum("candles" in request.path for request in exchanges.requests) == 1
    entered = [command[2:] for command in commands if command[:2] == ["HSET", "btc:price:gaps"]]
    assert [sum(word.isdecimal() for word in words) for words in entered] == [10]


def test_while_nothing_answers_a_provider_is_asked_for_candles_once_a_minute(
    clock: FakeClock, exchanges: Exchanges, make_collector: MakeCollector
) -> None:
    collector = make_collector(["bitfinex"])
    exchanges.fault("bitfinex", Fault(status=503))
    collector.cycle()
    exchanges.requests.clear()
    for _ in range(30):
        clock.advance(10_000)
        collector.cycle()

    asked = Counter(CANDLES["bitfinex"] in each.path for each in exchanges.requests)

    assert asked[True] <= 10
    assert asked[False] == 30


def test_a_full_window_takes_at_most_six_candle_requests_of_each_provider(
    exchanges: Exchanges, make_collector: MakeCollector
) -> None:
    make_collector().cycle()

    asked = Counter(each.provider for each in exchanges.requests if CANDLES[each.provider] in each.path)

    assert asked.keys() == set(EXCHANGES)
    assert max(asked.values()) <= 6
    assert (asked["kraken"], asked["gemini"], asked["bitfinex"], asked["bitstamp"]) == (1, 1, 1, 2)


def test_a_candle_that_the_providers_correct_within_minutes_is_corrected_here(
    store: Store, clock: FakeClock, exchanges: Exchanges, make_collector: MakeCollector
) -> None:
    collector = make_collector()
    collector.cycle()
    for name, path in CANDLES.items():
        exchanges.fault(name, Fault(path=path, factor=1.001))
    clock.advance(MINUTE_MS)
    collector.cycle()
    closed = clock.now_ms() // MINUTE_MS * MINUTE_MS - MINUTE_MS
    before = minute(store, closed)
    fault_all(exchanges, None)
    corrections = []
    for _ in range(4):
        clock.advance(MINUTE_MS)
        corrections.append(collector.cycle().corrected)

    traded = exchanges.market.candle(closed)
    after = minute(store, closed)
    assert traded
    assert before.close == round(traded.close * 1.001, 8)
    assert (after.close, after.min, after.max) == (traded.close, traded.low, traded.high)
    assert corrections == [6, 0, 0, 0]


@pytest.mark.parametrize("away", [(), ("kraken",), ("kraken", "gemini")])
def test_a_majority_corrects_a_candle_whoever_fails_meanwhile(
    store: Store, clock: FakeClock, exchanges: Exchanges, settled: Collector, away: tuple[str, ...]
) -> None:
    closed = clock.now_ms() // MINUTE_MS * MINUTE_MS - MINUTE_MS
    for name, path in CANDLES.items():
        exchanges.fault(name, Fault(path=path, status=503) if name in away else Fault(path=path, factor=1.001))
    clock.advance(MINUTE_MS)

    corrected = settled.cycle().corrected

    traded = exchanges.market.candle(closed)
    assert traded
    assert (corrected, minute(store, closed).close) == (5, round(traded.close * 1.001, 8))


def test_a_minority_corrects_nothing_that_a_majority_agreed_on(
    store: Store, clock: FakeClock, exchanges: Exchanges, settled: Collector
) -> None:
    for name, path in CANDLES.items():
        fault = Fault(path=path, factor=1.001) if name in ("coinbase", "bitstamp") else Fault(path=path, status=503)
        exchanges.fault(name, fault)

    corrections = []
    for _ in range(5):
        clock.advance(MINUTE_MS)
        corrections.append(settled.cycle().corrected)

    assert corrections == [0] * 5


@pytest.mark.parametrize("after_s", [70, 130, 190])
def test_a_candle_that_is_final_only_minutes_later_is_corrected(
    store: Store, clock: FakeClock, exchanges: Exchanges, settled: Collector, after_s: int
) -> None:
    clock.advance(MINUTE_MS)
    for name, path in CANDLES.items():
        exchanges.fault(name, Fault(path=path, factor=1.001))
    settled.cycle()
    closed = clock.now_ms() // MINUTE_MS * MINUTE_MS - MINUTE_MS
    for _ in range(after_s // 10):
        clock.advance(10_000)
        settled.cycle()
    fault_all(exchanges, None)
    for _ in range(7):
        clock.advance(10_000)
        settled.cycle()

    traded = exchanges.market.candle(closed)
    assert traded
    assert minute(store, closed).close == traded.close


def test_the_last_minutes_before_a_pause_are_corrected_after_it(
    store: Store, clock: FakeClock, exchanges: Exchanges, make_collector: MakeCollector
) -> None:
    make_collector().cycle()
    closed = clock.now_ms() // MINUTE_MS * MINUTE_MS - MINUTE_MS
    for name, path in CANDLES.items():
        exchanges.fault(name, Fault(path=path, factor=1.001))
    clock.advance(40 * MINUTE_MS)

    cycle = make_collector().cycle()

    traded = exchanges.market.candle(closed)
    assert traded
    assert cycle.corrected >= 5
    assert minute(store, closed).close == round(traded.close * 1.001, 8)


def test_a_corrected_candle_counts_only_when_every_provider_may_be_asked(
    clock: FakeClock, exchanges: Exchanges, settled: Collector
) -> None:
    exchanges.fault("kraken", Fault(path="OHLC", factor=1.006))
    for name in ("coinbase", "bitstamp", "bitfinex", "gemini"):
        exchanges.fault(name, Fault(status=429, headers={"Retry-After": "600"}))

    corrections = []
    for _ in range(5):
        clock.advance(MINUTE_MS)
        corrections.append(settled.cycle().corrected)

    assert corrections == [0] * 5


def test_single_runs_share_what_was_looked_at_once_more(
    store: Store, clock: FakeClock, exchanges: Exchanges, make_collector: MakeCollector
) -> None:
    make_collector().cycle()
    first = store.state().reread_ms
    clock.advance(MINUTE_MS)
    make_collector().cycle()

    assert first is not None
    assert store.state().reread_ms == first + MINUTE_MS


def test_a_budget_that_makes_prices_rare_makes_them_stale_later(store: Store, make_collector: MakeCollector) -> None:
    make_collector(["coinmarketcap"], api_key="secret-key").cycle()
    alone = store.state().max_age_s
    make_collector(["coinmarketcap", "coinbase"], api_key="other-key").cycle()

    assert alone > 450
    assert store.state().max_age_s == 150


def test_the_state_says_why_there_was_no_price_until_there_is_one(
    store: Store, clock: FakeClock, exchanges: Exchanges, make_collector: MakeCollector
) -> None:
    collector = make_collector(["coinbase"])
    exchanges.fault("coinbase", Fault(status=503))
    collector.cycle()
    failed = store.state().problem
    exchanges.fault("coinbase", None)
    clock.advance(10_000)
    collector.cycle()

    assert failed == "usable prices: 0, needed: 1"
    assert store.state().problem is None


def test_the_state_says_how_far_the_providers_clocks_are_ahead(
    store: Store, exchanges: Exchanges, make_collector: MakeCollector
) -> None:
    for name in ("coinbase", "kraken"):
        exchanges.fault(name, Fault(skew_ms=7_000))

    make_collector(["coinbase", "kraken"]).cycle()

    assert 6_000 <= (store.state().ahead_ms or 0) <= 7_000


def test_a_wait_that_a_wrong_clock_was_told_does_not_outlast_it(
    store: Store, clock: FakeClock, make_collector: MakeCollector
) -> None:
    tomorrow = clock.now_ms() + 24 * HOUR_MS
    waiting = ProviderState(tomorrow + MINUTE_MS, "HTTP 429", said_ms=tomorrow)
    store.rebuild()
    store.remember(State(providers={"kraken": waiting}))

    cycle = make_collector(["kraken"]).cycle()

    assert cycle.members == ("kraken",)


def test_while_the_clock_is_in_doubt_nobody_is_asked_for_candles_that_would_not_be_believed(
    clock: FakeClock, exchanges: Exchanges, make_collector: MakeCollector
) -> None:
    collector = make_collector(["coinbase", "bitstamp"])
    for name in ("coinbase", "bitstamp"):
        exchanges.fault(name, Fault(skew_ms=3_600_000))
    collector.cycle()
    exchanges.requests.clear()
    for _ in range(3):
        clock.advance(10_000)
        collector.cycle()
    asked = [each for each in exchanges.requests if CANDLES[each.provider] in each.path]
    fault_all(exchanges, None)
    clock.advance(10_000)

    assert asked == []
    assert collector.cycle().unsettled == 0
