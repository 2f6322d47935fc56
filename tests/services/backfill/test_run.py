"""Backfills from local exchanges and from files, on a real Redis."""

import csv
import io
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import redis

from btcts.config import BTC_USD
from btcts.domain.healing import closed_minutes
from btcts.domain.layout import window
from btcts.domain.model import HOUR_MS, MINUTE_MS, THIN, Candle, Gap, Pending, ProviderState, Tick
from btcts.errors import ConfigError, ForeignKey, StoreError
from btcts.providers import open_providers
from btcts.providers.poller import Poller
from btcts.services.backfill.candle_csv import CandleSource
from btcts.services.backfill.plan import Plan, Wish, plan_of_file, plan_of_providers
from btcts.services.backfill.run import Chunk, Summary, settle_from_file, settle_from_providers, sum_chunks
from btcts.services.show import find_newest_ms, show_slots
from btcts.store import Rebuilt, State, Store
from services.conftest import EXCHANGES, MakeCollector
from support.clocks import FakeClock
from support.exchanges import Exchanges, Fault, ThinMarket, Traded
from support.series import COMPACTIONS, FIRST_OF_WINDOW, MIDNIGHT, NOW, TICK, put, samples
from support.servers import Server, connect

RECORDING = Path(__file__).parents[4] / "shared/data/coinbase_btcusd_1m_2018-04-04_2018-04-06_gap.csv"
"""Real candles of three days with a hole of seven hours; they are not part of the repository."""

DAY = 1_522_800_000_000
"""4 April 2018, 00:00 UTC."""

ALL = 24 * 60 + 34
"""The closed minutes of the window at `NOW`."""

ANY = Wish()

Everything = dict[str, dict[int, float]]


def everything(client: redis.Redis) -> Everything:
    """All eleven series as a reader without btcts sees them."""
    return {key: samples(client, key) for key in (TICK, *COMPACTIONS)}


def csv_of(candles: Iterable[Candle]) -> CandleSource:
    rows = (f"{each.start_ms // 1000},{each.open},{each.high},{each.low},{each.close},1" for each in candles)
    return CandleSource("some.csv", io.BytesIO("\n".join(("timestamp,open,high,low,close,volume", *rows)).encode()))


def some(minutes: Iterable[int]) -> list[Candle]:
    """Candles no two of which are alike."""
    numbers = ((each, each // MINUTE_MS % 997) for each in minutes)
    return [Candle(each, 7000 + n, 7010 + n, 6990 + n, 7005 + n) for each, n in numbers]


class Line:
    """A market that trades in every minute, also in those that a recording lacks."""

    def price(self, time_ms: int) -> float | None:
        """It rises by a cent a minute."""
        return 7000 + time_ms // MINUTE_MS % 100_000 / 100

    def traded_ms(self, time_ms: int) -> int | None:
        """At any time."""
        return time_ms

    def candle(self, minute_ms: int, until_ms: int | None = None) -> Traded | None:
        """Around that price."""
        price = 7000 + minute_ms // MINUTE_MS % 100_000 / 100
        return Traded(price, price + 2, price - 2, price + 1, 1.5)


class Asked:
    """The providers and what it takes to ask them."""

    def __init__(self, stack: ExitStack, exchanges: Exchanges, clock: FakeClock) -> None:
        self._stack, self._exchanges, self._clock = stack, exchanges, clock

    def poller(self, names: Sequence[str]) -> Poller:
        """One for these providers."""
        providers = open_providers(names, self._exchanges.endpoints(), market=BTC_USD, clock=self._clock)
        return self._stack.enter_context(Poller(self._stack.enter_context(providers)))

    def plan(self, store: Store, wish: Wish = ANY, names: Sequence[str] = EXCHANGES) -> Plan:
        """Return the plan of a backfill."""
        return plan_of_providers(store, self.poller(names), wish)

    def chunks(
        self, store: Store, wish: Wish = ANY, names: Sequence[str] = EXCHANGES, *, quorum: int = 1
    ) -> tuple[Plan, Iterator[Chunk]]:
        """Begin one."""
        poller = self.poller(names)
        plan = plan_of_providers(store, poller, wish)
        return plan, settle_from_providers(plan, store, poller, quorum=quorum)

    def __call__(self, store: Store, wish: Wish = ANY, names: Sequence[str] = EXCHANGES, *, quorum: int = 1) -> Summary:
        """Do one."""
        plan, chunks = self.chunks(store, wish, names, quorum=quorum)
        return sum_chunks(plan, list(chunks))


@pytest.fixture
def asked(exchanges: Exchanges, clock: FakeClock) -> Iterator[Asked]:
    """Backfills from the local exchanges."""
    with ExitStack() as stack:
        yield Asked(stack, exchanges, clock)


def stored(store: Store, source: CandleSource, wish: Wish = ANY) -> Summary:
    """Do one from a file."""
    plan = plan_of_file(store, source, wish)
    return sum_chunks(plan, list(settle_from_file(plan, store)))


def test_it_fills_the_whole_window_of_an_empty_store(store: Store, asked: Asked) -> None:
    done = asked(store)

    full = {name: sum(slot.settled for slot in slots if slot.closed) for name, slots in store.snapshot().slots.items()}
    assert (done.minutes, done.settled, done.gaps, done.failed) == (ALL, ALL, {}, {})
    assert full == {"minute": 60, "5min": 12, "15min": 4, "hour": 24}
    assert store.inspect().faults == ()


def test_a_second_run_asks_nobody_and_changes_nothing(
    store: Store, client: redis.Redis, exchanges: Exchanges, asked: Asked
) -> None:
    asked(store)
    before = everything(client)
    exchanges.requests.clear()

    done = asked(store)

    assert (done.minutes, done.settled, len(exchanges.requests)) == (0, 0, 0)
    assert not done.in_vain
    assert everything(client) == before
    assert asked.plan(store).requests == {}


def test_a_full_window_takes_at_most_six_requests_of_a_provider(
    store: Store, clock: FakeClock, exchanges: Exchanges, asked: Asked
) -> None:
    clock.advance(25 * MINUTE_MS + 1000)

    plan, chunks = asked.chunks(store)
    done = list(chunks)

    candles = Counter(
        each.provider for each in exchanges.requests if "andles" in each.path or "ohlc" in each.path.lower()
    )
    assert len(plan.minutes) == 24 * 60 + 59
    assert [each.minutes for each in done] == [299, 299, 299, 299, 299, 4]
    assert candles == {"coinbase": 6, "kraken": 4, "bitstamp": 6, "bitfinex": 6, "gemini": 6}
    assert candles == plan.requests


def test_its_chunks_are_as_long_as_the_smallest_page_of_those_that_are_asked(store: Store, asked: Asked) -> None:
    assert [len(each) for each in asked.plan(store, names=["bitstamp"]).chunks] == [999, ALL - 999]
    assert [len(each) for each in asked.plan(store, names=["bitfinex", "kraken"]).chunks] == [720, 720, ALL - 1440]


def test_a_span_limits_the_minutes_to_those_that_lie_wholly_in_it(store: Store, asked: Asked) -> None:
    wish = Wish(MIDNIGHT + 1, MIDNIGHT + 10 * MINUTE_MS + 30_000)

    assert asked(store, wish).settled == 9
    assert store.settled(closed_minutes(NOW)) == {MIDNIGHT + each * MINUTE_MS for each in range(1, 10)}


def test_what_is_asked_for_before_the_window_is_left_out_and_counted(store: Store, asked: Asked) -> None:
    plan = asked.plan(store, Wish(FIRST_OF_WINDOW - 90 * MINUTE_MS))

    assert (plan.left_out, len(plan.minutes), plan.kept) == (90, ALL, window(NOW))
    assert not plan.historical


def test_minutes_are_asked_for_whatever_the_ledger_says(
    store: Store, exchanges: Exchanges, asked: Asked, make_collector: MakeCollector
) -> None:
    exchanges.fault("coinbase", Fault(status=503, path="candles"))
    make_collector(["coinbase"]).cycle()
    assert len(store.gaps()) == ALL
    exchanges.fault("coinbase", None)

    assert asked(store, names=["coinbase"]).settled == ALL
    assert store.gaps() == {}


def test_minutes_asked_for_in_vain_are_in_the_ledger_with_their_reason(store: Store, clock: FakeClock) -> None:
    quiet = range(MIDNIGHT, MIDNIGHT + 5 * MINUTE_MS, MINUTE_MS)
    with Exchanges(ThinMarket(lambda minute: minute in quiet), now_ms=clock.now_ms) as thin, ExitStack() as stack:
        asked = Asked(stack, thin, clock)
        first, second = asked(store), asked(store)

    assert (first.settled, first.gaps) == (ALL - 5, {"no_trades": 5})
    assert (second.minutes, second.gaps) == (5, {"no_trades": 5})
    assert {minute: gap.tries for minute, gap in store.gaps().items()} == dict.fromkeys(quiet, 2)
    assert {gap.reason for gap in store.gaps().values()} == {"no_trades"}


def test_candles_need_a_quorum(store: Store, exchanges: Exchanges, asked: Asked) -> None:
    exchanges.fault("kraken", Fault(status=503, path="OHLC"))

    done = asked(store, Wish(NOW - HOUR_MS), ["coinbase", "kraken"], quorum=2)

    assert (done.settled, done.gaps) == (0, {"disagree": 59})


def test_a_disputed_minute_has_the_candle_of_each_provider_that_answered(
    store: Store, exchanges: Exchanges, asked: Asked
) -> None:
    exchanges.fault("kraken", Fault(factor=1.05))
    exchanges.fault("gemini", Fault(status=503))

    _, chunks = asked.chunks(store, Wish(NOW - 3 * MINUTE_MS), ["coinbase", "kraken", "gemini"])
    (chunk,) = chunks

    assert chunk.gaps == {"disagree": len(chunk.disputed)}
    for candles in chunk.disputed.values():
        honest, lying = candles["coinbase"], candles["kraken"]
        assert len(candles) == 2
        assert honest
        assert lying
        assert lying.close / honest.close == pytest.approx(1.05)


def test_a_dispute_is_not_decided_by_the_silence_of_one_side(store: Store, exchanges: Exchanges, asked: Asked) -> None:
    names, recent = ["coinbase", "bitstamp", "kraken", "gemini"], Wish(NOW - HOUR_MS)
    exchanges.fault("kraken", Fault(factor=1.05))
    exchanges.fault("gemini", Fault(factor=1.05))
    before = asked(store, recent, names)
    exchanges.fault("bitstamp", Fault(status=503))

    done = asked(store, recent, names)

    assert before.gaps == done.gaps == {"disagree": 59}
    assert done.settled == 0


def test_a_failing_provider_is_named_and_the_others_settle(store: Store, exchanges: Exchanges, asked: Asked) -> None:
    exchanges.fault("kraken", Fault(error="EService:Unavailable", path="OHLC"))

    done = asked(store, names=["coinbase", "kraken"])

    assert (done.settled, done.sources, list(done.failed)) == (ALL, ("coinbase",), ["kraken"])
    assert not done.in_vain


def test_when_every_provider_fails_it_was_in_vain_and_nothing_is_stored(
    store: Store, exchanges: Exchanges, asked: Asked
) -> None:
    for name in ("coinbase", "bitstamp"):
        exchanges.fault(name, Fault(status=503))

    done = asked(store, names=["coinbase", "bitstamp"])

    assert done.in_vain
    assert (done.settled, done.gaps, set(done.failed)) == (0, {"providers_down": ALL}, {"coinbase", "bitstamp"})
    assert store.latest() is None


def test_a_provider_that_says_wait_is_not_asked_again_and_others_are_told(
    store: Store, clock: FakeClock, exchanges: Exchanges, asked: Asked
) -> None:
    exchanges.fault("kraken", Fault(status=429, headers={"Retry-After": "90"}, path="OHLC"))

    done = asked(store, names=["coinbase", "kraken"])

    asked_for_candles = [each for each in exchanges.requests if each.provider == "kraken" and "OHLC" in each.path]
    assert (done.settled, len(asked_for_candles)) == (ALL, 1)
    assert store.state().providers["kraken"].not_before_ms == clock.now_ms() + 90_000


class Shared(Store):
    """A store to which a collector writes something new right after each look at its state."""

    said = State(pending=Pending(NOW, 60_000.0), problem="no price")

    def state(self) -> State:
        """As it was before."""
        found = super().state()
        self.said = replace(self.said, pending=Pending(NOW, (self.said.pending or Pending(0, 0)).price + 1))
        self.remember(self.said)
        return found


@pytest.fixture
def shared(client: redis.Redis, clock: FakeClock) -> Shared:
    """The store, with a collector that is always faster."""
    return Shared(client, BTC_USD, clock=clock, where="test")


def test_telling_how_providers_fare_leaves_what_a_collector_says_meanwhile(
    store: Store, shared: Shared, asked: Asked
) -> None:
    asked(shared, Wish(NOW - HOUR_MS), names=["coinbase"])

    found = store.state()
    assert (found.pending, found.problem) == (shared.said.pending, shared.said.problem)
    assert (found.providers["coinbase"].answered_ms, found.simulated) == (NOW, False)


def test_a_file_leaves_what_a_collector_says_meanwhile(store: Store, shared: Shared) -> None:
    stored(shared, csv_of(some([FIRST_OF_WINDOW + MINUTE_MS])))

    found = store.state()
    assert (found.pending, found.problem, found.simulated) == (shared.said.pending, shared.said.problem, False)


def test_a_provider_that_waits_is_named_and_not_asked(store: Store, exchanges: Exchanges, asked: Asked) -> None:
    store.remember(State(providers={"kraken": ProviderState(not_before_ms=NOW + 60_000, why="HTTP 429")}))

    plan, chunks = asked.chunks(store, names=["coinbase", "kraken"])
    done = sum_chunks(plan, list(chunks))

    assert plan.waiting == (("kraken", NOW + 60_000, "HTTP 429"),)
    assert (list(plan.requests), done.settled) == (["coinbase"], ALL)
    assert {each.provider for each in exchanges.requests} == {"coinbase"}


def test_when_all_wait_nobody_is_asked_and_it_was_in_vain(store: Store, exchanges: Exchanges, asked: Asked) -> None:
    store.remember(State(providers={"kraken": ProviderState(not_before_ms=NOW + 60_000, why="HTTP 429")}))

    done = asked(store, names=["kraken"])

    assert (done.in_vain, done.unasked, len(exchanges.requests)) == (True, ALL, 0)
    assert store.gaps() == {}


def test_nothing_is_written_while_the_clocks_of_two_providers_contradict_that_of_redis(
    store: Store, client: redis.Redis, exchanges: Exchanges, asked: Asked
) -> None:
    for name in EXCHANGES:
        exchanges.fault(name, Fault(skew_ms=3_600_000))

    with pytest.raises(StoreError, match=r"\+3599 s"):
        asked(store)

    assert client.exists(TICK) == 0


def test_a_plan_counts_requests_and_asks_and_writes_nothing(
    store: Store, client: redis.Redis, exchanges: Exchanges, asked: Asked
) -> None:
    plan = asked.plan(store, Wish(FIRST_OF_WINDOW, FIRST_OF_WINDOW + 10 * MINUTE_MS))

    assert plan.requests == {"coinbase": 1, "kraken": None, "bitstamp": 1, "bitfinex": 1, "gemini": None}
    assert len(exchanges.requests) == 0
    assert client.keys() == []


def test_providers_without_candles_are_refused(store: Store, asked: Asked) -> None:
    with pytest.raises(ConfigError, match="coinmarketcap"):
        asked.plan(store, names=["coinmarketcap"])


@pytest.mark.parametrize(
    "wish", [Wish(NOW - 1000, NOW - 2000), Wish(NOW + 1000), Wish(None, 0)], ids=["backwards", "future", "1970"]
)
def test_an_empty_span_is_refused(store: Store, asked: Asked, wish: Wish) -> None:
    with pytest.raises(ConfigError, match="nothing lies between"):
        asked.plan(store, wish)


def test_simulated_prices_are_not_mixed_with_real_ones(store: Store, asked: Asked) -> None:
    asked(store, Wish(NOW - HOUR_MS), ["simulated"])

    assert store.state().simulated is True
    with pytest.raises(StoreError, match="test holds simulated"):
        asked(store)
    with pytest.raises(StoreError, match="test holds simulated"):
        stored(store, csv_of(some([MIDNIGHT])))


def test_a_key_of_somebody_else_stops_it(store: Store, client: redis.Redis, asked: Asked) -> None:
    client.set(TICK, "mine")

    with pytest.raises(ForeignKey):
        asked(store)

    assert client.get(TICK) == "mine"


def test_a_tick_from_the_future_stops_it(store: Store, client: redis.Redis, asked: Asked) -> None:
    store.write([Tick(NOW, 1.5)])
    put(client, TICK, {NOW + HOUR_MS: 1.5})

    with pytest.raises(StoreError, match="from the future"):
        asked(store)


def test_interrupted_after_any_chunk_and_repeated_it_comes_to_the_same(
    store: Store, client: redis.Redis, asked: Asked
) -> None:
    asked(store)
    whole = everything(client)

    for done in range(6):
        client.flushall()
        _, chunks = asked.chunks(store)
        parts = list(islice(chunks, done))
        rest = asked(store)

        assert len(parts) == done
        assert rest.minutes == ALL - sum(part.minutes for part in parts)
        assert everything(client) == whole


def test_overwriting_removes_a_bad_price_and_its_traces(
    store: Store, client: redis.Redis, exchanges: Exchanges, asked: Asked
) -> None:
    asked(store)
    store.rebuild()
    right = everything(client)
    bad = NOW // MINUTE_MS * MINUTE_MS - 10 * MINUTE_MS + 30_000
    put(client, TICK, {bad: 9e7})
    assert max(samples(client, "btc:price:5min:max").values()) == 9e7

    done = asked(store, Wish(bad - HOUR_MS, bad + MINUTE_MS, overwrite=True))

    assert everything(client) == right
    assert done.dropped == 4 * done.settled + 1


def test_overwriting_leaves_minutes_without_a_candle_as_they_are(
    store: Store, exchanges: Exchanges, asked: Asked
) -> None:
    lone = Tick(MIDNIGHT + 30_000, 60_000.0)
    store.write([lone, Tick(NOW, 60_001.0)])
    exchanges.fault("coinbase", Fault(status=503, path="candles"))

    done = asked(store, Wish(MIDNIGHT, MIDNIGHT + HOUR_MS, overwrite=True), ["coinbase"])

    assert (done.settled, done.dropped) == (0, 0)
    assert store.ticks(window(NOW))[0] == lone


def test_overwriting_in_vain_leaves_thin_minutes_to_be_corrected(
    store: Store, exchanges: Exchanges, asked: Asked
) -> None:
    for name in EXCHANGES[1:]:
        exchanges.fault(name, Fault(status=503))
    asked(store)
    ledger = store.gaps()
    exchanges.fault(EXCHANGES[0], Fault(status=503))

    summary = asked(store, Wish(overwrite=True))

    assert (summary.in_vain, len(ledger)) == (True, ALL)
    assert store.gaps() == ledger


class Disturbed(Store):
    """A store to which others do something before and after a rebuild."""

    before: Callable[[], object] = int
    after: Callable[[], object] = int

    def rebuild(self, *args: Any, **options: Any) -> Rebuilt:
        """Rebuild between the two."""
        self.before()
        rebuilt = super().rebuild(*args, **options)
        self.after()
        return rebuilt


def test_entries_of_thin_minutes_that_a_collector_removes_before_they_are_written_are_made_again(
    client: redis.Redis, store: Store, clock: FakeClock, exchanges: Exchanges, asked: Asked
) -> None:
    asked(store)
    for name in EXCHANGES[1:]:
        exchanges.fault(name, Fault(status=503))
    disturbed = Disturbed(client, BTC_USD, clock=clock, where="test")
    disturbed.before = lambda: store.record_gaps({}, forget=store.gaps())

    asked(disturbed, Wish(NOW - HOUR_MS, overwrite=True))

    assert {gap.reason for gap in store.gaps().values()} == {THIN}
    assert len(store.gaps()) == 59


def test_entries_that_others_make_while_minutes_are_overwritten_stay(
    client: redis.Redis, store: Store, clock: FakeClock, asked: Asked
) -> None:
    asked(store)
    entry = {NOW - NOW % MINUTE_MS - 5 * MINUTE_MS: Gap(THIN, 1, NOW, ("kraken",))}
    disturbed = Disturbed(client, BTC_USD, clock=clock, where="test")
    disturbed.after = lambda: store.record_gaps(entry)

    asked(disturbed, Wish(NOW - HOUR_MS, overwrite=True))

    assert store.gaps() == entry


def test_overwriting_from_a_file_replaces_the_minutes_that_it_has(
    store: Store, client: redis.Redis, asked: Asked
) -> None:
    asked(store)
    before = samples(client, TICK)
    candles = some([MIDNIGHT, MIDNIGHT + 2 * MINUTE_MS])

    plain = stored(store, csv_of(candles))
    done = stored(store, csv_of(candles), Wish(overwrite=True))

    changed = {stamp - stamp % MINUTE_MS for stamp, price in samples(client, TICK).items() if before[stamp] != price}
    assert (plain.settled, done.settled, done.dropped) == (0, 2, 8)
    assert changed == {each.start_ms for each in candles}


def test_a_file_of_the_window_settles_what_it_has_and_the_ledger_forgets_it(
    store: Store, exchanges: Exchanges, make_collector: MakeCollector
) -> None:
    exchanges.fault("coinbase", Fault(status=503, path="candles"))
    make_collector(["coinbase"]).cycle()
    minutes = range(MIDNIGHT - HOUR_MS, MIDNIGHT + HOUR_MS, MINUTE_MS)

    done = stored(store, csv_of(some(minutes)))

    assert (done.settled, done.sources) == (120, ("some.csv",))
    assert store.settled(closed_minutes(NOW)) == set(minutes)
    assert store.gaps().keys() == set(closed_minutes(NOW)) - set(minutes)


def test_of_a_file_the_rows_before_the_window_and_after_now_are_left_out(store: Store) -> None:
    minutes = range(FIRST_OF_WINDOW - HOUR_MS, NOW + HOUR_MS, MINUTE_MS)

    plan = plan_of_file(store, csv_of(some(minutes)), Wish())

    assert plan.minutes == tuple(closed_minutes(NOW))
    assert plan.file
    assert (plan.left_out, plan.file.unfinished) == (60, 61)


def test_a_file_without_a_row_that_counts_is_refused(store: Store) -> None:
    with pytest.raises(ConfigError, match=r"some\.csv .* 1 "):
        plan_of_file(store, csv_of(some([MIDNIGHT])), Wish(MIDNIGHT + HOUR_MS))


def test_old_prices_are_stored_as_they_would_have_been_then(store: Store, client: redis.Redis) -> None:
    minutes = range(DAY, DAY + 50 * HOUR_MS, MINUTE_MS)

    plan = plan_of_file(store, csv_of(some(minutes)), Wish())
    list(settle_from_file(plan, store))

    hours = show_slots(store, "hour", at_ms=find_newest_ms(store)).shown.slots
    assert plan.historical
    assert (plan.kept, plan.left_out) == (window(DAY + 50 * HOUR_MS), 26 * 60)
    assert [slot.settled for slot in hours if slot.closed] == [True] * 24
    assert store.as_of(plan.kept.end_ms).inspect().faults == ()
    assert store.gaps() == {}


def test_a_later_file_moves_the_window_of_the_past_on(store: Store) -> None:
    stored(store, csv_of(some(range(DAY, DAY + 24 * HOUR_MS, MINUTE_MS))))

    done = stored(store, csv_of(some(range(DAY + 20 * HOUR_MS, DAY + 30 * HOUR_MS, MINUTE_MS))))

    hours = show_slots(store, "hour", at_ms=find_newest_ms(store)).shown.slots
    assert (done.minutes, done.settled) == (6 * 60, 6 * 60)
    assert [slot.settled for slot in hours if slot.closed] == [True] * 24


def test_an_earlier_file_fills_what_the_window_of_the_past_lacks(store: Store, client: redis.Redis) -> None:
    stored(store, csv_of(some(range(DAY + 20 * HOUR_MS, DAY + 24 * HOUR_MS, MINUTE_MS))))
    late = samples(client, TICK)

    done = stored(store, csv_of(some(range(DAY - 10 * HOUR_MS, DAY + 21 * HOUR_MS, MINUTE_MS))))

    assert done.settled == 20 * 60
    assert samples(client, TICK).items() >= late.items()


def test_nothing_old_is_stored_beside_fresher_prices(store: Store, asked: Asked) -> None:
    store.write([Tick(NOW, 60_000.0)])
    old = some(range(DAY, DAY + HOUR_MS, MINUTE_MS))

    with pytest.raises(ConfigError, match=r" some\.csv, .* 2018-04-04T01:00:00Z; "):
        plan_of_file(store, csv_of(old), Wish())
    with pytest.raises(ConfigError, match=r" --until 2018-04-04T01:00:00Z; "):
        asked.plan(store, Wish(DAY, DAY + HOUR_MS))


def test_a_price_of_today_that_comes_meanwhile_ends_a_backfill_of_the_past(store: Store, client: redis.Redis) -> None:
    plan = plan_of_file(store, csv_of(some([DAY + MINUTE_MS])), Wish())
    store.write([Tick(NOW, 60_000.0)])

    with pytest.raises(StoreError, match=r"^test "):
        list(settle_from_file(plan, store))

    assert samples(client, TICK) == {NOW: 60_000.0}


def recorded() -> list[Candle]:
    """The candles of the recording."""
    with RECORDING.open(newline="") as file:
        rows = [(int(row["timestamp"]) * 1000, row) for row in csv.DictReader(file)]
    return [Candle(start, *(float(row[name]) for name in ("open", "high", "low", "close"))) for start, row in rows]


def with_a_hole() -> list[Candle]:
    """Candles of two days, without the 432 minutes before the second."""
    hole = range(DAY + 1008 * MINUTE_MS, DAY + 1440 * MINUTE_MS, MINUTE_MS)
    return [each for each in some(range(DAY, DAY + 48 * HOUR_MS, MINUTE_MS)) if each.start_ms not in hole]


HOLES = {"made": with_a_hole} | ({"recorded": recorded} if RECORDING.exists() else {})


@pytest.mark.parametrize("candles", HOLES.values(), ids=HOLES)
def test_a_hole_of_the_past_is_filled_from_a_second_source_and_nothing_else_changes(
    store: Store, client: redis.Redis, clock: FakeClock, candles: Callable[[], list[Candle]]
) -> None:
    until = DAY + 36 * HOUR_MS
    kept = range(DAY + 12 * HOUR_MS, until, MINUTE_MS)
    first = stored(store, csv_of(candles()), Wish(None, until))
    before = samples(client, TICK)
    hole = set(kept) - {stamp - stamp % MINUTE_MS for stamp in before}

    with Exchanges(Line(), now_ms=clock.now_ms) as exchanges, ExitStack() as stack:
        asked = Asked(stack, exchanges, clock)
        wish = Wish(DAY + 12 * HOUR_MS, until)
        second = asked(store, wish, ["bitstamp"])
        filled = everything(client)
        third = asked(store, wish, ["bitstamp"])
    fourth = stored(store, csv_of(candles()), Wish(None, until))

    assert len(hole) >= 432
    assert (first.settled, second.settled, third.minutes, fourth.minutes) == (1440 - len(hole), len(hole), 0, 0)
    assert {stamp: price for stamp, price in filled[TICK].items() if stamp - stamp % MINUTE_MS not in hole} == before
    assert len(filled[TICK]) == 4 * 1440
    assert everything(client) == filled
    hours = show_slots(store, "hour", at_ms=find_newest_ms(store)).shown.slots
    assert [slot.minutes for slot in hours] == [60] * 24 + [0]


class PatientClock(FakeClock):
    """Stands still while the store really waits for other writers."""

    def sleep(self, seconds: float) -> None:
        """Let others go first."""
        threading.Event().wait(min(seconds, 0.1))


def test_two_backfills_and_a_collector_at_once_come_to_the_same(
    server: Server, store: Store, client: redis.Redis, exchanges: Exchanges, asked: Asked, make_collector: MakeCollector
) -> None:
    asked(store)
    right = everything(client)
    client.flushall()
    clock = PatientClock(NOW)

    def backfilled(wish: Wish) -> None:
        with connect(server.socket) as own, ExitStack() as stack:
            Asked(stack, exchanges, clock)(Store(own, BTC_USD, clock=clock, where="test"), wish)

    with ThreadPoolExecutor(3) as threads:
        jobs = [
            threads.submit(backfilled, Wish()),
            threads.submit(backfilled, Wish(FIRST_OF_WINDOW, overwrite=True)),
            threads.submit(make_collector().cycle, patience_s=30.0),
        ]
        for job in jobs:
            job.result()

    live = max(samples(client, TICK))
    assert store.inspect().faults == ()
    assert store.settled(closed_minutes(NOW)) == set(closed_minutes(NOW))
    assert {stamp: price for stamp, price in samples(client, TICK).items() if stamp != live} == right[TICK]


def test_the_newest_moment_is_the_end_of_the_newest_tick(store: Store) -> None:
    assert find_newest_ms(store) is None

    store.write([Tick(NOW, 60_000.0)])

    assert find_newest_ms(store) == NOW + 1
