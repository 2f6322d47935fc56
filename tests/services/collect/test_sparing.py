"""A provider that answers with a whole day of candles is asked seldom, and at once where that is needed."""

import pytest

from btcts.domain.healing import SPARING_MS, can_spare
from btcts.domain.model import MINUTE_MS, Gap, Slot
from btcts.services.collect.collector import Collector
from btcts.store import Store
from services.conftest import EXCHANGES, MakeCollector
from support.clocks import FakeClock
from support.exchanges import Exchanges, Fault
from support.series import NOW

LIGHT = ("coinbase", "kraken", "bitstamp", "bitfinex")


def fault_candles(exchanges: Exchanges, factors: dict[str, float]) -> None:
    """Let providers tell candles that are wrong by these factors."""
    for name in EXCHANGES:
        path = "OHLC" if name == "kraken" else "ohlc" if name == "bitstamp" else "candles"
        exchanges.fault(name, Fault(path=path, factor=factors[name]) if name in factors else None)


def count_gemini(exchanges: Exchanges) -> int:
    """Count how often Gemini was asked for candles since the last count."""
    asked = sum(request.provider == "gemini" and "candles" in request.path for request in exchanges.requests)
    exchanges.requests.clear()
    return asked


def settle_another(collector: Collector, clock: FakeClock) -> None:
    """The cycle that settles the next minute."""
    clock.advance(MINUTE_MS)
    assert collector.cycle().unsettled == 0


def newest_closed(store: Store) -> Slot:
    return store.slots("minute")[-2]


@pytest.fixture
def settled(exchanges: Exchanges, clock: FakeClock, make_collector: MakeCollector) -> Collector:
    """A collector that has settled the window, and looked at the latest minutes a second time."""
    collector = make_collector()
    collector.cycle()
    clock.advance(MINUTE_MS * 10)
    collector.cycle()
    count_gemini(exchanges)
    return collector


def test_while_the_others_agree_it_is_asked_every_ten_minutes(
    settled: Collector, clock: FakeClock, exchanges: Exchanges
) -> None:
    asked = []

    for _ in range(20):
        settle_another(settled, clock)
        asked.append(count_gemini(exchanges))

    assert asked == [*[0] * 9, 1, *[0] * 9, 1]


def test_a_minute_that_the_others_leave_open_is_asked_for_at_once(
    settled: Collector, clock: FakeClock, exchanges: Exchanges
) -> None:
    for name, path in (("coinbase", "candles"), ("kraken", "OHLC")):
        exchanges.fault(name, Fault(path=path, status=503))

    settle_another(settled, clock)

    assert count_gemini(exchanges) == 1


@pytest.mark.parametrize(
    "factors",
    [
        {"coinbase": 1.03, "kraken": 1.03},
        {"coinbase": 1.03, "kraken": 0.97},
        {"bitstamp": 0.5, "bitfinex": 0.5},
    ],
    ids=str,
)
def test_two_of_the_others_that_lie_are_outvoted_at_once(
    factors: dict[str, float], settled: Collector, store: Store, clock: FakeClock, exchanges: Exchanges
) -> None:
    fault_candles(exchanges, factors)

    settle_another(settled, clock)

    traded = exchanges.market.candle(newest_closed(store).start_ms)
    assert traded
    assert newest_closed(store).close == pytest.approx(traded.close, rel=0.01)
    assert count_gemini(exchanges) == 1


def test_within_ten_minutes_each_candle_is_the_median_of_all(
    settled: Collector, store: Store, clock: FakeClock, exchanges: Exchanges
) -> None:
    fault_candles(exchanges, {"coinbase": 1.002, "kraken": 1.002, "gemini": 1.002})
    settle_another(settled, clock)
    first = newest_closed(store)
    corrected = 0
    for _ in range(9):
        clock.advance(MINUTE_MS)
        corrected += settled.cycle().corrected

    traded = exchanges.market.candle(first.start_ms)
    (last,) = (slot for slot in store.slots("minute") if slot.start_ms == first.start_ms)
    assert traded
    assert (first.close, last.close) == pytest.approx((traded.close * 1.001, traded.close * 1.002))
    assert corrected == 5  # the minutes about which Gemini has said otherwise before, and none of the new ones


def test_what_it_said_lately_counts_when_the_others_correct_themselves(
    settled: Collector, store: Store, clock: FakeClock, exchanges: Exchanges
) -> None:
    fault_candles(exchanges, {"coinbase": 1.002, "kraken": 1.002})
    settle_another(settled, clock)

    looked_at = clock.now_ms() // MINUTE_MS * MINUTE_MS - 3 * MINUTE_MS
    traded = exchanges.market.candle(looked_at)
    (slot,) = (slot for slot in store.slots("minute") if slot.start_ms == looked_at)
    assert traded
    assert slot.close == traded.close  # the third of five, and no mean of four
    assert count_gemini(exchanges) == 0


def test_it_is_asked_each_minute_while_its_prices_fail(
    settled: Collector, clock: FakeClock, exchanges: Exchanges
) -> None:
    exchanges.fault("gemini", Fault(path="trades", status=503))
    settle_another(settled, clock)
    count_gemini(exchanges)

    settle_another(settled, clock)

    assert count_gemini(exchanges) == 1


def test_after_its_return_it_is_heard_about_what_it_was_spared(
    settled: Collector, store: Store, clock: FakeClock, exchanges: Exchanges
) -> None:
    fault_candles(exchanges, {"coinbase": 1.002, "kraken": 1.002, "gemini": 1.002})
    settle_another(settled, clock)
    first = newest_closed(store).start_ms
    for _ in range(7):
        settle_another(settled, clock)
    exchanges.fault("gemini", Fault(status=503))
    for _ in range(5):
        settle_another(settled, clock)
    exchanges.fault("gemini", Fault(path="candles", factor=1.002))
    settle_another(settled, clock)

    traded = exchanges.market.candle(first)
    (slot,) = (slot for slot in store.slots("minute") if slot.start_ms == first)
    assert traded
    assert slot.close == pytest.approx(traded.close * 1.002)


def test_single_runs_always_ask_it(clock: FakeClock, exchanges: Exchanges, make_collector: MakeCollector) -> None:
    make_collector().cycle()
    count_gemini(exchanges)

    settle_another(make_collector(), clock)

    assert count_gemini(exchanges) == 1


def test_fewer_than_three_others_never_do_without_it(
    clock: FakeClock, exchanges: Exchanges, make_collector: MakeCollector
) -> None:
    collector = make_collector(["kraken", "coinbase", "gemini"])
    collector.cycle()
    clock.advance(10 * MINUTE_MS)
    collector.cycle()
    count_gemini(exchanges)

    settle_another(collector, clock)

    assert count_gemini(exchanges) == 1


@pytest.mark.parametrize(
    ("passed_ms", "gaps", "spared"),
    [
        (MINUTE_MS, {}, True),
        (SPARING_MS - MINUTE_MS, {}, True),
        (SPARING_MS, {}, False),
        (-MINUTE_MS, {}, False),
        (MINUTE_MS, {NOW: Gap("disagree", 1, NOW)}, False),
        (MINUTE_MS, {NOW - MINUTE_MS: Gap("no_trades", 1, NOW)}, True),
    ],
)
def test_new_minutes_alone_can_do_without_it(passed_ms: int, gaps: dict[int, Gap], spared: bool) -> None:
    assert can_spare([NOW], gaps, NOW - passed_ms, NOW) is spared
