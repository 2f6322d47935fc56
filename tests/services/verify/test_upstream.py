"""`verify` with the providers' candles: a changed tick of a settled minute is named, an honest difference is not."""

import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack
from functools import cache
from itertools import combinations, islice
from math import inf, nextafter

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from btcts.config import BTC_USD
from btcts.domain.codes import ComparisonCode, FindingCode
from btcts.domain.model import Candle, Candles, ProviderState, Span
from btcts.errors import StoreError
from btcts.providers import open_providers
from btcts.providers.poller import Poller
from btcts.providers.simulated import Simulated
from btcts.services.collect.collector import Collector
from btcts.services.collect.loop import forever, once
from btcts.services.verify.buckets import Finding
from btcts.services.verify.run import Upstream, Verified, verify
from btcts.store import State, Store
from services.conftest import EXCHANGES
from support.backups import FillOnce
from support.clocks import FakeClock
from support.exchanges import Exchanges, Fault
from support.series import HOUR, MINUTE, NOW, TICK, compactions, put, samples

OFFSETS = {"open": 0, "low": 20_000, "high": 40_000, "close": 59_999}
SHIFTS = {"coinbase": 0.0, "kraken": 0.1, "bitstamp": -0.5, "bitfinex": 0.25, "gemini": -1.0}
REACH = {"kraken": 719 * MINUTE, "gemini": 24 * HOUR}
FAR_REACHING = ("coinbase", "bitstamp", "bitfinex")
ONE = tuple(combinations(EXCHANGES, 1))
ALL_BUT_ONE = tuple(combinations(EXCHANGES, 4))

Ask = Callable[..., Upstream]


@cache
def traded(minute_ms: int) -> Candle:
    """The candle of the simulated market, worked out once for all tests."""
    return Simulated(FakeClock(NOW)).candle(minute_ms)


class Market(Simulated):
    """The simulated market as an exchange of its own sees it: a little dearer or cheaper, and no further back.

    Nobody trades in its `quiet` minutes, and its candles come when `gate` is open.
    """

    def __init__(self, clock: FakeClock, name: str, quiet: Collection[int] = ()) -> None:
        super().__init__(clock)
        self.name = name
        self.reach_ms = REACH.get(name, Simulated.reach_ms)
        self.quiet = quiet
        self.gate = threading.Event()
        self.gate.set()

    def candles(self, span: Span) -> Candles:
        self.gate.wait(30)
        found = super().candles(span)
        kept = tuple(each for each in found.candles if each.start_ms not in self.quiet)
        return Candles(self.name, found.covered, kept)

    def candle(self, start_ms: int) -> Candle:
        middle, shift = traded(start_ms), SHIFTS[self.name]
        return Candle(start_ms, *(each + shift for each in (middle.open, middle.high, middle.low, middle.close)))


@pytest.fixture
def ask(clock: FakeClock) -> Iterator[Ask]:
    """Make an upstream of the markets of these names."""
    with ExitStack() as stack:

        def make(names: Sequence[str] = EXCHANGES, *, quiet: Collection[int] = (), quorum: int = 1) -> Upstream:
            markets = [Market(clock, name, quiet) for name in names]
            return Upstream(stack.enter_context(Poller(markets)), quorum)

        yield make


@pytest.fixture
def ask_by_http(clock: FakeClock, exchanges: Exchanges) -> Iterator[Ask]:
    """Make an upstream of local exchanges."""
    with ExitStack() as stack:

        def make(names: Sequence[str] = EXCHANGES) -> Upstream:
            providers = stack.enter_context(open_providers(names, exchanges.endpoints(), market=BTC_USD, clock=clock))
            return Upstream(stack.enter_context(Poller(providers)))

        yield make


def collect(store: Store, upstream: Upstream) -> Collector:
    """Settle the whole window from these providers."""
    collector = Collector(store, upstream.poller, cadence_s=10.0)
    once(collector)
    return collector


@pytest.fixture
def filled(store: Store, ask: Ask, fill_once: FillOnce) -> Ask:
    """Make an upstream from which a collector has filled the store."""

    def make(names: Sequence[str] = EXCHANGES) -> Upstream:
        upstream = ask(names)
        fill_once("-".join(("markets", *names)), lambda: collect(store, upstream))
        return upstream

    return make


@pytest.fixture
def filled_by_http(store: Store, ask_by_http: Ask, fill_once: FillOnce) -> Ask:
    """The same with local exchanges."""

    def make() -> Upstream:
        upstream = ask_by_http()
        fill_once("exchanges", lambda: collect(store, upstream))
        return upstream

    return make


def oldest(clock: FakeClock) -> int:
    """The first minute of the window."""
    return clock.now_ms() // HOUR * HOUR - 24 * HOUR


def newest(clock: FakeClock) -> int:
    """The last minute that a collector does not look at any more by itself."""
    return clock.now_ms() // MINUTE * MINUTE - 6 * MINUTE


def named(verified: Verified) -> list[tuple[int | None, str | None, float | None, float | None]]:
    """Name the findings of the comparison."""
    assert verified.comparison
    return [(each.start_ms, each.field, each.stored, each.expected) for each in verified.comparison.findings]


def everything(client: redis.Redis) -> dict[str, object]:
    """All that Redis holds."""
    hashes = {key: client.hgetall(key) for key in ("btc:price:state", "btc:price:gaps")}
    return {TICK: samples(client, TICK), **compactions(client, latest=True), **hashes}


def test_a_sound_store_is_compared_whole_and_nothing_is_written(
    client: redis.Redis, store: Store, clock: FakeClock, filled: Ask
) -> None:
    upstream = filled()
    before = everything(client)

    found = verify(store, upstream=upstream)

    assert found.comparison
    assert found.heard
    assert (found.findings, found.comparison.doubts, found.heard.problem) == ((), (), None)
    assert found.comparison.compared == (newest(clock) - oldest(clock)) // MINUTE + 1
    assert (found.comparison.partial, found.comparison.recent, found.comparison.unsettled) == (0, 5, 0)
    assert everything(client) == before


def upwards(price: float) -> float:
    return nextafter(price, inf)


def downwards(price: float) -> float:
    return nextafter(price, 0)


def absurdly(price: float) -> float:
    return 1.0


def no_price(price: float) -> float:
    return -price


CHANGES = (upwards, downwards, absurdly, no_price)


@pytest.mark.parametrize("turn", range(len(CHANGES)))
def test_changed_ticks_are_named_in_the_first_and_the_last_minute_and_between_and_are_restored(
    client: redis.Redis, store: Store, clock: FakeClock, filled: Ask, turn: int
) -> None:
    """Each field is changed in its own way, and in each way in one of the turns."""
    upstream = filled(FAR_REACHING)
    before = samples(client, TICK), compactions(client, latest=True)
    first, last = oldest(clock), newest(clock)
    minutes = [first, first + MINUTE, (first + last) // 2 // MINUTE * MINUTE, last - MINUTE, last]
    changes = {field: CHANGES[(turn + number) % len(CHANGES)] for number, field in enumerate(OFFSETS)}
    places = {(minute, field): before[0][minute + OFFSETS[field]] for minute in minutes for field in OFFSETS}
    changed = {(minute, field): changes[field](price) for (minute, field), price in places.items()}
    put(client, TICK, {minute + OFFSETS[field]: price for (minute, field), price in changed.items()})

    found = verify(store, upstream=upstream)
    mended = verify(store, repair=True, upstream=upstream)

    assert sorted(named(found)) == sorted((*place, changed[place], price) for place, price in places.items())
    assert {finding.code for finding in found.findings if finding.field} == {FindingCode.NOT_AGREED}
    assert (mended.repaired, mended.left) == (True, ())
    assert (samples(client, TICK), compactions(client, latest=True)) == before


@settings(max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_other_price_in_any_minute_is_named_and_restored(
    client: redis.Redis, store: Store, clock: FakeClock, ask: Ask, data: st.DataObject
) -> None:
    upstream = ask(FAR_REACHING)
    if not store.latest():
        collect(store, upstream)
    before = samples(client, TICK), compactions(client, latest=True)
    minute = data.draw(st.integers(oldest(clock) // MINUTE, newest(clock) // MINUTE)) * MINUTE
    field = data.draw(st.sampled_from(sorted(OFFSETS)))
    price = before[0][minute + OFFSETS[field]]
    near = st.floats(price - 50, price + 50)
    changed = data.draw((near | st.floats(0.01, 1e8)).filter(lambda each: each != price))
    put(client, TICK, {minute + OFFSETS[field]: changed})

    found = verify(store, upstream=upstream)
    mended = verify(store, repair=True, upstream=upstream)

    assert named(found) == [(minute, field, changed, price)]
    assert mended.left == ()
    assert (samples(client, TICK), compactions(client, latest=True)) == before


@pytest.mark.parametrize("field", OFFSETS)
def test_a_candle_that_lost_a_tick_is_restored_at_once(
    client: redis.Redis, store: Store, clock: FakeClock, filled: Ask, field: str
) -> None:
    upstream = filled()
    before = samples(client, TICK), compactions(client, latest=True)
    store.rebuild(dropped=[newest(clock) + OFFSETS[field]])

    mended = verify(store, repair=True, upstream=upstream)

    assert (TICK, newest(clock)) in {(each.key, each.start_ms) for each in mended.findings}
    assert mended.left == ()
    assert (samples(client, TICK), compactions(client, latest=True)) == before


@pytest.mark.parametrize("field", ["low", "high"])
def test_live_ticks_of_a_damaged_minute_stay_as_they_were(
    client: redis.Redis, store: Store, clock: FakeClock, ask: Ask, field: str
) -> None:
    upstream = ask()
    collector = collect(store, upstream)
    list(islice(forever(collector, interval_s=10, phase_s=0.007, stopped=lambda: False), 40))
    before = samples(client, TICK), compactions(client, latest=True)
    stamp = newest(clock) + OFFSETS[field]
    put(client, TICK, {stamp: before[0][newest(clock)]})

    mended = verify(store, repair=True, upstream=upstream)

    assert (newest(clock), field) in {(each.start_ms, each.field) for each in mended.findings}
    assert mended.left == ()
    assert (samples(client, TICK), compactions(client, latest=True)) == before


@pytest.mark.parametrize("members", [*ONE, ("kraken", "gemini"), *ALL_BUT_ONE], ids=",".join)
def test_what_fewer_providers_agreed_on_is_counted_and_no_finding(
    store: Store, ask: Ask, filled: Ask, members: tuple[str, ...]
) -> None:
    filled(members)

    found = verify(store, upstream=ask())

    assert found.comparison
    assert (found.findings, found.comparison.doubts) == ((), ())
    assert found.comparison.partial > 0


@pytest.mark.parametrize("members", [EXCHANGES, *ALL_BUT_ONE, ("kraken", "gemini", "coinbase")], ids=",".join)
def test_what_providers_agreed_on_that_do_not_reach_back_to_it_any_more_is_no_finding(
    store: Store, clock: FakeClock, ask: Ask, filled: Ask, members: tuple[str, ...]
) -> None:
    filled(members)
    clock.advance(13 * HOUR)

    found = verify(store, upstream=ask())

    assert found.comparison
    assert found.comparison.compared > 11 * 60
    assert found.findings == ()
    assert found.comparison.doubts == () or {"kraken", "gemini"} <= set(members)


def test_what_a_provider_agreed_on_that_is_not_set_any_more_is_no_finding(
    client: redis.Redis, store: Store, clock: FakeClock, ask: Ask, filled: Ask
) -> None:
    filled(("coinbase", "bitfinex", "kraken"))

    found = verify(store, upstream=ask(FAR_REACHING))
    client.hdel("btc:price:state", "provider:kraken", "configured")
    unknown = verify(store, upstream=ask(FAR_REACHING))

    assert found.findings == ()
    assert unknown.findings != ()


def test_what_only_silent_providers_can_explain_is_a_doubt_and_not_repaired(
    client: redis.Redis, store: Store, clock: FakeClock, filled: Ask
) -> None:
    upstream = filled()
    stamp = oldest(clock) + OFFSETS["close"]
    price = samples(client, TICK)[stamp]
    put(client, TICK, {stamp: price + 5})

    found = verify(store, repair=True, upstream=upstream)

    assert found.comparison
    assert (found.findings, found.repaired) == ((), False)
    assert found.comparison.doubts == (
        Finding(TICK, FindingCode.IN_DOUBT, oldest(clock), price + 5, price, field="close"),
    )


def test_a_minute_that_collectors_have_yet_to_look_at_again_is_left_out(
    client: redis.Redis, store: Store, clock: FakeClock, filled: Ask
) -> None:
    upstream = filled()
    put(client, TICK, {newest(clock) + MINUTE: 60_000.0})

    at_once = verify(store, upstream=upstream)
    clock.advance(15 * MINUTE)
    later = verify(store, upstream=upstream)
    client.hdel("btc:price:state", "reread_ms")
    unwatched = verify(store, upstream=upstream)

    assert at_once.comparison
    assert later.comparison
    assert unwatched.comparison
    assert (named(at_once), at_once.comparison.recent) == ([], 5)
    assert (named(later), later.comparison.recent, later.comparison.unsettled) == ([], 5, 15)
    assert [minute for minute, *_ in named(unwatched)] == [newest(clock) - 14 * MINUTE]
    assert unwatched.comparison.recent == 0


def test_a_minute_that_nobody_traded_in_is_named_and_loses_its_candle(
    client: redis.Redis, store: Store, clock: FakeClock, ask: Ask, filled: Ask
) -> None:
    filled()
    before = samples(client, TICK)
    quiet = newest(clock) - HOUR

    mended = verify(store, repair=True, upstream=ask(quiet=[quiet]))

    assert [(each.start_ms, each.code) for each in mended.findings] == [(quiet, FindingCode.NOT_TRADED)]
    assert mended.left == ()
    assert before.keys() - samples(client, TICK).keys() == {quiet + offset for offset in OFFSETS.values()}


def test_a_provider_that_is_too_slow_is_left_behind_and_named(store: Store, clock: FakeClock, filled: Ask) -> None:
    fast, slow = Market(clock, "coinbase"), Market(clock, "kraken")
    slow.gate.clear()
    filled(["coinbase"])

    with Poller([fast, slow]) as poller:
        found = verify(store, upstream=Upstream(poller, within_s=0.3))
        slow.gate.set()

    assert found.comparison
    assert found.heard
    assert found.comparison.compared > 1000
    assert {each.provider: each.silence for each in found.heard.witnesses} == {
        "coinbase": None,
        "kraken": "no answer within 0.3 s",
    }


def test_simulated_prices_are_not_compared_with_real_ones(store: Store, clock: FakeClock, ask: Ask) -> None:
    with Poller([Simulated(clock)]) as poller:
        collect(store, Upstream(poller))

    with pytest.raises(StoreError, match="simulated"):
        verify(store, upstream=ask())


def test_each_provider_is_asked_once_in_few_requests_that_are_counted(
    store: Store, exchanges: Exchanges, filled_by_http: Ask
) -> None:
    upstream = filled_by_http()
    exchanges.requests.clear()

    found = verify(store, upstream=upstream)

    assert found.heard
    requests = {each.provider: each.requests for each in found.heard.witnesses}
    assert requests == Counter(each.provider for each in exchanges.requests)
    assert max(requests.values()) <= 7
    assert (found.findings, named(found)) == ((), [])


def test_exchanges_that_differ_are_compared_by_what_they_agree_on(
    client: redis.Redis, store: Store, clock: FakeClock, exchanges: Exchanges, ask_by_http: Ask
) -> None:
    for name, factor in zip(EXCHANGES, (1, 1.0001, 0.9998, 1.0002, 0.9999), strict=True):
        exchanges.fault(name, Fault(factor=factor))
    upstream = ask_by_http()
    collect(store, upstream)
    stamp = newest(clock) + OFFSETS["high"]
    price = samples(client, TICK)[stamp]
    put(client, TICK, {stamp: price + 0.01})

    found = verify(store, upstream=upstream)

    assert named(found) == [(newest(clock), "high", price + 0.01, price)]


def test_without_one_provider_the_others_are_compared_with(
    store: Store, exchanges: Exchanges, filled_by_http: Ask
) -> None:
    upstream = filled_by_http()
    exchanges.fault("coinbase", Fault(status=503))

    found = verify(store, upstream=upstream)

    assert found.comparison
    assert found.heard
    assert (found.findings, found.heard.problem) == ((), None)
    assert found.comparison.compared > 1400
    assert [each.provider for each in found.heard.witnesses if each.silence] == ["coinbase"]


def test_when_nobody_answers_the_rest_is_verified_and_repaired_and_each_reason_is_said(
    client: redis.Redis, store: Store, exchanges: Exchanges, filled_by_http: Ask
) -> None:
    upstream = filled_by_http()
    for name in EXCHANGES:
        exchanges.fault(name, Fault(status=503))
    client.delete("btc:price:hour")

    found = verify(store, repair=True, upstream=upstream)

    assert found.heard
    assert found.heard.problem
    assert all(f"{name}: " in found.heard.problem for name in EXCHANGES)
    assert found.comparison is None
    assert (len(found.findings), found.left) == (1, ())


def test_providers_without_candles_are_not_asked(store: Store, exchanges: Exchanges, ask_by_http: Ask) -> None:
    found = verify(store, upstream=ask_by_http(["coinmarketcap"]))

    assert found.heard
    assert found.heard.problem
    assert found.heard.problem.cause == ComparisonCode.NO_CANDLES
    assert not exchanges.requests


def test_while_the_clocks_differ_nothing_is_compared_and_nothing_repaired(
    client: redis.Redis, store: Store, clock: FakeClock, exchanges: Exchanges, filled_by_http: Ask
) -> None:
    upstream = filled_by_http()
    for name in EXCHANGES:
        exchanges.fault(name, Fault(skew_ms=HOUR))
    put(client, TICK, {newest(clock): 1.0})
    before = everything(client)

    found = verify(store, repair=True, upstream=upstream)

    assert found.heard
    assert found.heard.problem
    assert found.heard.problem.cause == ComparisonCode.PROVIDER_CLOCKS
    assert round((found.heard.skew_ms or 0) / 1000) == 3599
    assert (found.comparison, found.repaired, found.left) == (None, False, found.findings)
    assert everything(client) == before


def test_one_provider_is_enough_to_doubt_a_clock_behind_a_tick_from_the_future(
    client: redis.Redis, store: Store, clock: FakeClock, exchanges: Exchanges, ask_by_http: Ask
) -> None:
    upstream = ask_by_http(["coinbase"])
    collect(store, upstream)
    exchanges.fault("coinbase", Fault(skew_ms=HOUR))
    put(client, TICK, {clock.now_ms() + HOUR: 60_000.0})

    found = verify(store, repair=True, upstream=upstream)

    assert not found.repaired
    assert found.findings != ()


def test_a_provider_that_has_to_wait_is_not_asked(
    store: Store, clock: FakeClock, exchanges: Exchanges, filled_by_http: Ask
) -> None:
    upstream = filled_by_http()
    waits = ProviderState(clock.now_ms() + 90_000, "HTTP 429", said_ms=clock.now_ms())
    store.remember(State(providers={"kraken": waits}))
    exchanges.requests.clear()

    found = verify(store, upstream=upstream)

    assert found.heard
    assert {each.provider: each.silence for each in found.heard.witnesses if each.silence} == {
        "kraken": "waits 90 s more"
    }
    assert "kraken" not in {each.provider for each in exchanges.requests}


def test_a_repair_tells_collectors_who_wants_to_be_left_alone_and_a_look_tells_nothing(
    client: redis.Redis, store: Store, clock: FakeClock, exchanges: Exchanges, filled_by_http: Ask
) -> None:
    upstream = filled_by_http()
    exchanges.fault("kraken", Fault(status=429, headers={"Retry-After": "90"}, path="OHLC"))
    before = everything(client)

    verify(store, upstream=upstream)
    looked = everything(client)
    verify(store, repair=True, upstream=upstream)

    assert looked == before
    state = store.state()
    assert state.providers["kraken"].not_before_ms == clock.now_ms() + 90_000
    assert state.providers["coinbase"].error == ""
    assert state.last_cycle_ms == clock.now_ms()


def test_an_empty_store_has_nothing_to_compare(store: Store, ask: Ask) -> None:
    found = verify(store, upstream=ask())

    assert found.comparison
    assert (found.comparison.compared, named(found)) == (0, [])
    assert found.comparison.unsettled > 1400


def test_what_a_liar_alone_has_settled_is_damage_while_it_still_lies(
    store: Store, exchanges: Exchanges, ask_by_http: Ask
) -> None:
    exchanges.fault("kraken", Fault(factor=100))
    collect(store, ask_by_http(("kraken",)))

    found = verify(store, upstream=ask_by_http())

    assert found.comparison
    assert len({finding.start_ms for finding in found.comparison.findings}) > 700


def test_two_liars_of_three_that_answer_call_nothing_damaged_that_five_agreed_on(
    store: Store, clock: FakeClock, exchanges: Exchanges, ask_by_http: Ask
) -> None:
    collect(store, ask_by_http())
    for name in ("coinbase", "bitstamp"):
        exchanges.fault(name, Fault(factor=1.5))
    for name in ("gemini", "bitfinex"):
        exchanges.fault(name, Fault(status=503))

    found = verify(store, upstream=ask_by_http())

    assert found.comparison
    three_reach = clock.now_ms() - 24 * HOUR  # of which two are no minority
    assert {finding.start_ms for finding in found.findings if (finding.start_ms or 0) >= three_reach} == set()


def test_two_of_five_alone_restore_no_damaged_minute(
    store: Store, clock: FakeClock, exchanges: Exchanges, ask_by_http: Ask
) -> None:
    collect(store, ask_by_http())
    minute = newest(clock)
    store.rebuild(dropped=[minute + OFFSETS["low"]])
    for name in EXCHANGES:
        liar = name in ("coinbase", "bitstamp")
        exchanges.fault(name, Fault(factor=1.5) if liar else Fault(status=503))

    mended = verify(store, repair=True, upstream=ask_by_http())

    assert (TICK, minute) in {(finding.key, finding.start_ms) for finding in mended.findings}
    assert mended.left == ()
    assert not store.settled([minute])
