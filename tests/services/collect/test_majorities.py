"""The first answer decides nothing: what few providers said gives way to what more of them say."""

from collections.abc import Callable
from contextlib import ExitStack

import pytest
import redis

from btcts.config import BTC_USD
from btcts.domain.candles import candles_of, minute_of
from btcts.domain.codes import Remark, WarningCode
from btcts.domain.layout import window
from btcts.domain.model import DAY_MS, MINUTE_MS, THIN, Span, Tick
from btcts.providers import open_providers
from btcts.providers.poller import Poller
from btcts.services.backfill.plan import Wish, plan_of_providers
from btcts.services.backfill.run import settle_from_providers
from btcts.services.collect.collector import Collector
from btcts.services.collect.loop import once
from btcts.services.show import show_overview
from btcts.services.status import status
from btcts.services.verify.run import verify
from btcts.store import Store
from services.conftest import MakeCollector
from support.clocks import FakeClock
from support.exchanges import Exchanges, Fault, Request
from support.exchanges.server import Reply
from support.series import TICK, samples

CANDLES = {"coinbase": "candles", "kraken": "OHLC", "bitstamp": "ohlc", "bitfinex": "candles", "gemini": "candles"}
FIVE = tuple(CANDLES)


def lie(exchanges: Exchanges, factor: float, *names: str) -> None:
    """Let these multiply all that they say, and all others fail."""
    for name in FIVE:
        exchanges.fault(name, Fault(factor=factor) if name in names else Fault(status=500))


def be_well(exchanges: Exchanges) -> None:
    for name in FIVE:
        exchanges.fault(name, None)


def find_wrong(store: Store, exchanges: Exchanges) -> dict[str, list[int]]:
    """The closed slots that leave the range of the market by more than 1 %, by resolution."""
    wrong: dict[str, list[int]] = {}
    for name, slots in store.snapshot().slots.items():
        for slot in slots:
            closes = [
                candle.close
                for start in range(slot.start_ms, slot.start_ms + 60 * MINUTE_MS, MINUTE_MS)
                if (candle := exchanges.market.candle(start))
            ]
            low, high = min(closes) * 0.97, max(closes) * 1.03
            if not all(value is None or low <= value <= high for value in (slot.close, slot.min, slot.max)):
                wrong.setdefault(name, []).append(slot.start_ms)
    return wrong


def test_one_that_answers_first_alone_owns_no_hour(
    store: Store, clock: FakeClock, exchanges: Exchanges, make_collector: MakeCollector
) -> None:
    lie(exchanges, 100, "kraken")
    once(make_collector())
    owned = find_wrong(store, exchanges)
    be_well(exchanges)
    cycles = []
    for _ in range(3):
        clock.advance(60_000)
        cycles.append(once(make_collector()))

    assert "hour" in owned
    assert find_wrong(store, exchanges) == {}
    assert (cycles[-1].thin, cycles[-1].unsettled) == (0, 0)
    assert verify(store).findings == ()


class Overtaken(Exchanges):
    """Exchanges that let something else happen before the first answer about candles."""

    meanwhile: Callable[[], object] = id

    def reply(self, request: Request) -> Reply:
        """Answer, after that."""
        if CANDLES["coinbase"] in request.path:
            meanwhile, self.meanwhile = self.meanwhile, lambda: None
            meanwhile()
        return super().reply(request)


@pytest.mark.parametrize("factor", [2, 1.009])
@pytest.mark.parametrize("command", ["collect", "backfill"])
def test_one_that_answers_alone_changes_nothing_that_others_have_settled_meanwhile(
    store: Store, clock: FakeClock, exchanges: Exchanges, make_collector: MakeCollector, command: str, factor: float
) -> None:
    span = Span(window(clock.now_ms()).start_ms, minute_of(clock.now_ms()))
    known: list[Tick] = []

    def settle() -> None:
        make_collector().cycle()
        known.extend(store.ticks(span))

    with ExitStack() as stack:
        liars = stack.enter_context(Overtaken(exchanges.market, now_ms=clock.now_ms))
        lie(liars, factor, "coinbase")
        liars.meanwhile = settle
        providers = stack.enter_context(open_providers(FIVE, liars.endpoints(), market=BTC_USD, clock=clock))
        poller = stack.enter_context(Poller(providers))
        if command == "collect":
            once(Collector(store, poller, cadence_s=10.0))
        else:
            list(settle_from_providers(plan_of_providers(store, poller, Wish()), store, poller))

    assert len(known) == 4 * len(span.minutes())
    assert store.ticks(span) == known
    assert store.gaps() == {}


def test_one_that_is_back_first_after_an_outage_owns_nothing(
    store: Store, clock: FakeClock, exchanges: Exchanges, make_collector: MakeCollector
) -> None:
    collector = make_collector()
    collector.cycle()
    clock.advance(90 * MINUTE_MS)
    lie(exchanges, 100, "bitstamp")
    collector.cycle()
    clock.advance(10_000)
    thin = collector.cycle().thin
    be_well(exchanges)
    for _ in range(2):
        clock.advance(10_000)
        collector.cycle()

    assert thin >= 90
    assert find_wrong(store, exchanges) == {}
    assert not [gap for gap in store.gaps().values() if gap.reason == THIN]


def test_thin_minutes_are_named_with_those_that_were_not_heard(
    store: Store, clock: FakeClock, exchanges: Exchanges, make_collector: MakeCollector
) -> None:
    make_collector().cycle()
    lie(exchanges, 1.0, "kraken", "gemini")
    clock.advance(5 * MINUTE_MS)
    make_collector().cycle()

    found = status(store)

    thin = found.thin
    assert Remark(WarningCode.THIN_MINUTES, {"thin": thin}) in found.warnings
    assert (thin.minutes, thin.least, thin.most, thin.reaching) == (5, 2, 2, 5)
    assert thin.silent.keys() == {"coinbase", "bitstamp", "bitfinex"}


def test_what_two_said_alone_is_opened_again_when_others_contradict_them(
    store: Store, clock: FakeClock, exchanges: Exchanges, make_collector: MakeCollector
) -> None:
    collector = make_collector(["coinbase", "bitstamp", "bitfinex", "gemini"])
    collector.cycle()
    clock.advance(5 * MINUTE_MS)
    lie(exchanges, 1.5, "coinbase", "bitstamp")
    collector.cycle()
    clock.advance(10_000)
    collector.cycle()
    for name in ("bitfinex", "gemini"):
        exchanges.fault(name, None)
    reopened = 0
    for _ in range(3):
        clock.advance(10_000)
        reopened += collector.cycle().reopened

    assert reopened == 5
    assert {gap.reason for gap in store.gaps().values()} == {"disagree"}
    assert verify(store).findings == ()


def test_an_even_split_of_candles_is_no_candle(
    store: Store, exchanges: Exchanges, make_collector: MakeCollector
) -> None:
    for name in ("coinbase", "bitstamp"):
        exchanges.fault(name, Fault(factor=100))

    once(make_collector())

    # Beyond the reach of Kraken two of four are no minority any more.
    oldest = min(store.gaps())
    assert store.gaps()[oldest].reason == "disagree"
    wrong = find_wrong(store, exchanges)
    assert set(wrong) <= {"hour"}
    assert wrong.get("hour", []) <= [slot.start_ms for slot in store.slots("hour")][:1]  # two of three reach that


@pytest.mark.parametrize("wrong", [("kraken",), ("kraken", "gemini")])
def test_clocks_of_half_of_the_providers_stop_no_writing(
    store: Store, exchanges: Exchanges, make_collector: MakeCollector, wrong: tuple[str, ...]
) -> None:
    names = [*wrong, *[name for name in FIVE if name not in wrong][: len(wrong)]]
    for name in wrong:
        exchanges.fault(name, Fault(skew_ms=60_000))

    cycle = make_collector(names).cycle()

    assert cycle.stored is not None
    assert cycle.problem is None


def test_a_provider_far_off_is_named_by_status(
    store: Store, exchanges: Exchanges, make_collector: MakeCollector
) -> None:
    exchanges.fault("kraken", Fault(factor=100))

    make_collector().cycle()

    (warning,) = (each for each in status(store).warnings if each.code == WarningCode.DEVIATING)
    assert warning.values == {"provider": "kraken", "ratio": pytest.approx(99.0, abs=0.05)}


def test_a_collector_with_another_list_only_adds_and_says_so(
    client: redis.Redis, store: Store, clock: FakeClock, exchanges: Exchanges, make_collector: MakeCollector
) -> None:
    make_collector().cycle()
    before = {stamp: price for stamp, price in samples(client, TICK).items() if stamp < clock.now_ms()}
    clock.advance(MINUTE_MS)
    exchanges.fault("kraken", Fault(factor=1.005))

    cycle = make_collector(["kraken"]).cycle()

    after = samples(client, TICK)
    assert set(cycle.others) == set(FIVE)
    assert (cycle.settled, cycle.corrected, cycle.thin) == (1, 0, 1)
    assert {stamp: after.get(stamp) for stamp in before} == before
    clock.advance(MINUTE_MS)
    exchanges.fault("kraken", None)
    assert make_collector().cycle().thin == 0


def test_a_list_that_nobody_uses_any_more_gives_way(
    store: Store, clock: FakeClock, make_collector: MakeCollector
) -> None:
    make_collector().cycle()
    clock.advance(10 * MINUTE_MS)

    cycle = make_collector(["kraken", "coinbase"]).cycle()

    assert cycle.others == ()
    assert set(store.state().configured or ()) == {"kraken", "coinbase"}


@pytest.mark.parametrize("cadence_s", [300.0, None], ids=["forever", "once"])
def test_a_collector_with_another_list_that_runs_more_often_takes_nothing_over(
    clock: FakeClock, make_collector: MakeCollector, cadence_s: float | None
) -> None:
    owner, guest = make_collector(), make_collector(["kraken"])
    owner.cadence_s = cadence_s
    others = []
    for _ in range(2):
        owner.cycle()
        clock.advance(5 * MINUTE_MS)

    for _ in range(2):
        others.append(owner.cycle().others)
        for _ in range(29):
            clock.advance(10_000)
            assert set(guest.cycle().others) == set(FIVE)
        clock.advance(10_000)

    assert others == [(), ()]


def test_what_a_collector_with_another_list_always_settles_first_is_agreed_on_anew(
    store: Store, clock: FakeClock, exchanges: Exchanges, make_collector: MakeCollector
) -> None:
    owner, guest = make_collector(), make_collector(["kraken"])
    owner.cycle()
    begin_ms = minute_of(clock.now_ms())
    exchanges.fault("kraken", Fault(factor=1.005))
    settled = []

    for _ in range(30):
        clock.advance(9_000)
        settled.append(guest.cycle().settled)
        clock.advance(1_000)
        owner.cycle()

    assert (sum(settled), store.gaps()) == (5, {})
    for minute, candle in candles_of(store.ticks(Span(begin_ms, clock.now_ms()))).items():
        traded = exchanges.market.candle(minute)
        assert traded
        assert (candle.open, candle.close) == (traded.open, traded.close)


def test_a_collector_with_another_list_spares_nobody_the_look_at_recent_minutes(
    store: Store, clock: FakeClock, exchanges: Exchanges, make_collector: MakeCollector
) -> None:
    owner, guest = make_collector(), make_collector(["kraken"])
    owner.cadence_s = 600.0
    for name, path in CANDLES.items():
        exchanges.fault(name, Fault(path=path, factor=1.001))
    owner.cycle()
    be_well(exchanges)
    for _ in range(10):
        clock.advance(MINUTE_MS)
        guest.cycle()

    cycle = owner.cycle()

    assert (cycle.others, cycle.thin) == ((), 0)
    assert cycle.corrected == 5


def test_a_candle_of_few_does_not_move_the_price_that_was_seen(
    client: redis.Redis, store: Store, clock: FakeClock, exchanges: Exchanges, make_collector: MakeCollector
) -> None:
    collector = make_collector()
    collector.cycle()
    clock.advance(10_000)
    seen = collector.cycle().stored
    assert seen
    for name, path in CANDLES.items():
        exchanges.fault(name, Fault(path=path, status=500))
    exchanges.fault("bitstamp", Fault(path=CANDLES["bitstamp"], factor=1.05))
    clock.advance(MINUTE_MS)

    collector.cycle()

    minute_ms = seen.time_ms // MINUTE_MS * MINUTE_MS
    assert samples(client, TICK)[seen.time_ms] == seen.price
    assert store.gaps()[minute_ms].reason == "disagree"


@pytest.mark.parametrize("new", [False, True], ids=["same", "another"])
def test_once_its_candles_are_back_what_a_provider_missed_is_agreed_on_anew(
    store: Store, clock: FakeClock, exchanges: Exchanges, make_collector: MakeCollector, *, new: bool
) -> None:
    names = ["coinbase", "bitstamp", "bitfinex"]
    collector = make_collector(names)
    collector.cycle()
    for name in names[1:]:
        exchanges.fault(name, Fault(path=CANDLES[name], status=503))
    exchanges.fault("coinbase", Fault(path="candles", factor=1.005))
    clock.advance(40 * MINUTE_MS)
    thin = collector.cycle().thin
    be_well(exchanges)
    clock.advance(MINUTE_MS)

    cycle = (make_collector(names) if new else collector).cycle(patience_s=5)

    assert thin == 40
    assert (cycle.thin, cycle.corrected) == (0, 40)
    assert store.state().candleless == {}


def test_once_candles_reach_the_present_again_what_was_missing_is_agreed_on_anew(
    store: Store, clock: FakeClock, exchanges: Exchanges, make_collector: MakeCollector
) -> None:
    names = ["coinbase", "bitstamp", "bitfinex"]
    for name in names[1:]:
        exchanges.fault(name, Fault(path=CANDLES[name], skew_ms=-DAY_MS))
    collector = make_collector(names)
    before = collector.cycle(patience_s=5).thin
    be_well(exchanges)
    clock.advance(MINUTE_MS)

    after = collector.cycle(patience_s=5).thin

    assert before > 1_000
    assert after == 0
    assert store.state().candleless == {}


def test_a_thin_minute_is_no_more_once_those_that_could_say_more_do_not_reach_it(
    store: Store, clock: FakeClock, exchanges: Exchanges, make_collector: MakeCollector
) -> None:
    names = ["coinbase", "kraken"]
    exchanges.fault("kraken", Fault(status=503))
    make_collector(names).cycle()
    before = [minute for minute, gap in store.gaps().items() if gap.reason == THIN]
    clock.advance(13 * 60 * MINUTE_MS)

    make_collector(names).cycle()

    after = [minute for minute, gap in store.gaps().items() if gap.reason == THIN]
    assert len(before) == len(after) == 718
    assert not set(before) & set(after)


def test_during_an_outage_nobody_is_said_to_agree_on_the_price_of_before(
    store: Store, clock: FakeClock, exchanges: Exchanges, make_collector: MakeCollector
) -> None:
    collector = make_collector()
    collector.cycle()
    agreed = show_overview(store).members
    for name in FIVE:
        exchanges.fault(name, Fault(status=503))
    clock.advance(10_000)
    collector.cycle()

    assert set(agreed) == set(FIVE)
    assert (show_overview(store).members, show_overview(store).stale) == ((), False)
