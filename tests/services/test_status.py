"""`status`: what makes a store unhealthy, and what is a warning."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any

import pytest
import redis

from btcts.config import BTC_USD
from btcts.domain.codes import FaultCode, ReasonCode, Remark, WarningCode
from btcts.domain.model import CLOSED_FOR_MS, REASONS, Gap, ProviderState, StreamState, Tick
from btcts.errors import ForeignKey
from btcts.services.collect.collector import Collector
from btcts.services.collect.loop import once
from btcts.services.prune import prune
from btcts.services.show import show_slots
from btcts.services.status import UNSETTLED, Completeness, Status, status
from btcts.services.verify.run import verify
from btcts.store import State, Store
from services.conftest import MakeCollector
from support.backups import FillOnce
from support.clocks import FakeClock
from support.exchanges import Exchanges, Fault, SimulatedMarket
from support.exchanges.faults import HTML
from support.series import HOUR, MINUTE, NOW, TICK, monitored, put, wave
from support.servers import Server, StartServer, connect

THREE = ("coinbase", "kraken", "bitfinex")
CANDLES = {"coinbase": "candles", "kraken": "OHLC", "bitfinex": "candles"}
at_intervals = pytest.mark.parametrize("beats", [10.0, 60.0], indirect=True, ids="every {:g} s".format)

SAFE = {"appendonly": "yes", "appendfsync": "everysec", "save": "3600 1", "maxmemory-policy": "noeviction"}


@pytest.fixture(scope="module")
def market() -> SimulatedMarket:
    """One market for all tests, for it remembers what it computed."""
    return SimulatedMarket()


@pytest.fixture
def exchanges(market: SimulatedMarket, clock: FakeClock) -> Iterator[Exchanges]:
    """The local exchanges that trade it."""
    with Exchanges(market, now_ms=clock.now_ms) as running:
        yield running


@pytest.fixture
def filled(store: Store, fill_once: FillOnce) -> Store:
    """A store with a full day of ticks, the newest 30 s old."""
    fill_once("25 hours until 30 s ago", lambda: store.write(wave(NOW - 25 * HOUR, NOW - 30_000 + 1, 30_000)))
    return store


@pytest.fixture
def fine(filled: Store) -> Status:
    """The state of a store that is as it should be, on a server that keeps its data."""
    found = status_of(filled)
    return replace(found, facts=replace(found.facts, parameters=SAFE, ahead_ms=0))


def status_of(store: Store, *, spooled: int | None = 0) -> Status:
    return status(store, spooled=spooled)


def codes(remarks: Iterable[Remark]) -> list[str]:
    return [remark.code for remark in remarks]


def with_provider(found: Status, **state: Any) -> Status:
    return replace(found, state=State(providers={"kraken": ProviderState(**state)}))


def test_a_store_that_was_just_collected_into_is_healthy_and_complete(
    store: Store, clock: FakeClock, make_collector: MakeCollector
) -> None:
    once(make_collector())

    found = status_of(store)

    assert found.healthy
    assert found.completeness == {
        name: Completeness(expected, expected, expected, {})
        for name, expected in {"minute": 60, "5min": 12, "15min": 4, "hour": 24}.items()
    }
    assert found.minutes == Completeness(24 * 60 + 34, 24 * 60 + 34, 24 * 60 + 34, {})
    assert found.state.last_cycle_ms == clock.now_ms()
    assert set(found.state.providers) == {"coinbase", "kraken", "bitstamp", "bitfinex", "gemini"}


def test_it_only_reads(server: Server, filled: Store) -> None:
    reads = {
        "MULTI",
        "EXEC",
        "TIME",
        "TS.GET",
        "TS.INFO",
        "TS.RANGE",
        "HLEN",
        "HGET",
        "HGETALL",
        "INFO",
        "CONFIG",
        "MEMORY",
    }

    with monitored(server) as commands:
        status_of(filled)

    assert {command[0] for command in commands} <= reads


def test_an_empty_store_is_unhealthy_for_one_reason(store: Store, client: redis.Redis) -> None:
    found = status_of(store)

    assert found.reasons == (Remark(ReasonCode.NOTHING_STORED),)
    assert WarningCode.MISSING_SLOTS not in codes(found.warnings)
    assert client.keys() == []


def test_a_layout_without_a_price_is_unhealthy(store: Store) -> None:
    store.rebuild()

    assert status_of(store).reasons == (Remark(ReasonCode.NO_PRICE),)


def test_the_age_of_the_newest_price_decides_at_the_limit(filled: Store, clock: FakeClock) -> None:
    newest = filled.latest()
    assert newest
    clock.advance(newest.time_ms + 150_000 - clock.now_ms())
    at_the_limit = status_of(filled)
    clock.advance(1)

    beyond = status_of(filled)

    assert at_the_limit.healthy
    assert beyond.reasons == (Remark(ReasonCode.STALE_PRICE, {"age_s": 150.001, "limit_s": 150.0}),)


def test_the_limit_follows_the_cadence_of_the_collectors(filled: Store, clock: FakeClock) -> None:
    filled.remember(State(cadence_s=300.0))
    clock.advance(10 * MINUTE)

    found = status_of(filled)

    assert found.max_age_s == 900
    assert found.healthy


def test_a_fault_of_the_layout_is_a_reason(client: redis.Redis, filled: Store) -> None:
    client.execute_command("TS.ALTER", "btc:price:hour", "RETENTION", 5)

    found = status_of(filled)

    (fault,) = found.inspection.faults
    assert (fault.key, fault.code) == ("btc:price:hour", FaultCode.WRONG_RETENTION)
    assert fault.values == {"found": 5, "wanted": 82_800_000}
    assert found.reasons == (Remark(ReasonCode.LAYOUT_DIFFERS, {"fault": fault}),)


def test_a_filter_that_drops_prices_is_a_reason(client: redis.Redis, filled: Store) -> None:
    client.execute_command("TS.ALTER", TICK, "IGNORE", 60_000, 50)

    found = status_of(filled)

    (fault,) = found.inspection.faults
    assert (fault.key, fault.code) == (TICK, FaultCode.WRONG_FILTER)
    assert fault.values == {"found": (60_000, 50.0), "wanted": (0, 0.0)}
    assert found.reasons == (Remark(ReasonCode.LAYOUT_DIFFERS, {"fault": fault}),)


def test_a_price_of_the_future_is_a_reason(client: redis.Redis, filled: Store) -> None:
    put(client, TICK, {NOW + HOUR: 5.0})

    found = status_of(filled)
    prune(filled)

    assert found.reasons == (Remark(ReasonCode.FUTURE_PRICE, {"ahead_s": 3600.0}),)
    assert (found.newest, found.age_s) == (None, None)
    assert status_of(filled).healthy


@pytest.mark.parametrize("price", [-4.0, 0.0, 1e300])
def test_a_newest_tick_that_is_no_price_is_a_reason_until_it_is_repaired(
    client: redis.Redis, filled: Store, price: float
) -> None:
    put(client, TICK, {NOW: price})

    found = status_of(filled)
    verify(filled, repair=True)

    assert found.reasons == (Remark(ReasonCode.BAD_PRICE, {"price": price}),)
    assert (found.newest, found.age_s) == (None, None)
    assert status_of(filled).healthy


def test_a_closed_slot_that_ends_with_what_is_no_price_is_missing_as_in_show(
    client: redis.Redis, filled: Store
) -> None:
    minute = NOW - NOW % MINUTE - 3 * MINUTE
    put(client, TICK, {minute + 59_999: -4.0})

    counts = status_of(filled).completeness["minute"]

    shown = [slot for slot in show_slots(filled, "minute").shown.slots if slot.closed]
    assert counts.present == 59 == sum(not slot.missing for slot in shown)
    assert counts.settled == sum(slot.settled for slot in shown)


@pytest.mark.parametrize("key", [TICK, "btc:price:state", "btc:price:gaps"])
def test_a_key_that_is_not_ours_is_a_reason(client: redis.Redis, filled: Store, key: str) -> None:
    client.delete(key)
    client.set(key, "somebody's")

    assert status_of(filled).reasons[0] == Remark(ReasonCode.FOREIGN_KEY, {"key": key})


def test_slots_without_a_price_are_a_warning_and_their_reasons_are_counted(store: Store) -> None:
    store.write(wave(NOW - 25 * HOUR, NOW - 20 * MINUTE, 30_000))
    store.write([Tick(NOW, 60_000)])
    minute = NOW - NOW % MINUTE
    store.record_gaps({minute - MINUTE: Gap("no_trades", 1, NOW), minute - 2 * MINUTE: Gap("no_trades", 1, NOW)})

    found = status_of(store)

    assert found.healthy
    assert Remark(WarningCode.MISSING_SLOTS, {"slots": {"minute": 19, "5min": 3, "15min": 1}}) in found.warnings
    assert found.completeness["minute"] == Completeness(60, 41, 0, {"no_trades": 2})


def test_a_provider_that_fails_is_a_warning_and_no_reason(
    store: Store, exchanges: Exchanges, make_collector: MakeCollector
) -> None:
    exchanges.fault("kraken", Fault(status=503))
    once(make_collector())

    found = status_of(store)

    assert found.healthy
    (failed,) = (warning for warning in found.warnings if warning.code == WarningCode.PROVIDER_FAILED)
    assert failed.values["provider"] == "kraken"


@pytest.mark.parametrize(
    ("facts", "warning"),
    [
        ({}, None),
        ({"parameters": {}}, None),
        (
            {"parameters": SAFE | {"appendonly": "no"}},
            Remark(WarningCode.NO_LOG, {"save": "3600 1"}),
        ),
        ({"parameters": {"appendonly": "no"}}, None),
        ({"parameters": SAFE | {"save": ""}}, None),
        (
            {"parameters": SAFE | {"appendonly": "no", "save": ""}},
            Remark(WarningCode.NO_LOG, {"save": ""}),
        ),
        (
            {"parameters": SAFE | {"maxmemory-policy": "allkeys-lru"}},
            Remark(WarningCode.EVICTION, {"policy": "allkeys-lru"}),
        ),
        ({"used_bytes": 90, "max_bytes": 0}, None),
        ({"used_bytes": 89, "max_bytes": 100}, None),
        ({"used_bytes": None, "max_bytes": 100}, None),
        (
            {"used_bytes": 90, "max_bytes": 100},
            Remark(WarningCode.NEARLY_FULL, {"fill": 0.9}),
        ),
        (
            {"used_bytes": 100, "max_bytes": 100, "parameters": SAFE | {"maxmemory-policy": "allkeys-lru"}},
            Remark(WarningCode.EVICTION, {"policy": "allkeys-lru"}),
        ),
        (
            {"database": 1},
            Remark(WarningCode.OTHER_DATABASE, {"database": 1}),
        ),
        ({"ahead_ms": 10_000}, None),
        ({"ahead_ms": 3_600_000}, Remark(WarningCode.LOCAL_CLOCK, {"ahead_ms": 3_600_000})),
        ({"ahead_ms": -60_000}, Remark(WarningCode.LOCAL_CLOCK, {"ahead_ms": -60_000})),
    ],
)
def test_what_the_server_says_of_itself_may_be_a_warning(
    fine: Status, facts: dict[str, Any], warning: Remark | None
) -> None:
    found = replace(fine, facts=replace(fine.facts, **facts))

    assert found.healthy
    assert found.warnings == ((warning,) if warning else ())


@pytest.mark.parametrize("policy", ["noeviction", "volatile-lru"])
def test_a_redis_that_is_full_is_the_first_reason(fine: Status, policy: str) -> None:
    full = replace(
        fine.facts, used_bytes=1_234_567, max_bytes=1_234_567, parameters=SAFE | {"maxmemory-policy": policy}
    )
    state = State(last_cycle_ms=fine.now_ms - HOUR)

    found = replace(fine, facts=full, max_age_s=20.0, state=state)

    assert found.reasons == (
        Remark(ReasonCode.REDIS_FULL, {"used_bytes": 1_234_567, "max_bytes": 1_234_567}),
        Remark(ReasonCode.STALE_PRICE, {"age_s": 30.0, "limit_s": 20.0}),
        Remark(ReasonCode.COLLECTOR_SILENT, {"silence_s": 3600.0, "cadence_s": None}),
    )


def test_a_redis_that_refuses_a_price_for_lack_of_memory_is_full(start_server: StartServer, clock: FakeClock) -> None:
    with connect(start_server("--appendonly", "yes").socket) as client:
        store = Store(client, BTC_USD, clock=clock, where="test")
        store.write(wave(NOW - HOUR, NOW, 30_000))
        client.config_set("maxmemory", client.info()["used_memory"] + 100_000)
        before = status_of(store)
        with suppress(redis.exceptions.OutOfMemoryError):
            for number in range(100_000):
                client.set(f"other:{number}", "x" * 1000)

        after = status_of(store)

    assert before.healthy
    assert WarningCode.NEARLY_FULL in codes(before.warnings)
    assert after.reasons[0].code == ReasonCode.REDIS_FULL


def test_the_database_is_that_of_the_store(server: Server, client: redis.Redis, clock: FakeClock) -> None:
    with connect(server.socket, db=1) as other:
        store = Store(other, BTC_USD, clock=clock, where="test")
        store.write([Tick(NOW, 60_000.0)])

        found = status_of(store)

    assert found.facts.database == 1
    assert Remark(WarningCode.OTHER_DATABASE, {"database": 1}) in found.warnings


def test_prices_that_wait_in_the_spool_are_a_warning(fine: Status) -> None:
    found = replace(fine, spooled=3)

    assert found.healthy
    assert found.warnings == (Remark(WarningCode.SPOOLED_PRICES, {"prices": 3}),)


# Faults: unhealthy within two intervals, and healthy again after the fault and two cycles


@dataclass
class Beats:
    """A collector that runs at its cadence; each call lets one interval pass and tells the status after the cycle."""

    collector: Collector
    clock: FakeClock

    def __call__(self) -> Status:
        self.pause()
        self.collector.cycle()
        return self.status()

    def pause(self) -> None:
        """One interval without a cycle."""
        assert self.collector.cadence_s
        self.clock.sleep(self.collector.cadence_s)

    def status(self) -> Status:
        """The status now."""
        return status_of(self.collector.store)


@pytest.fixture
def beats(
    request: pytest.FixtureRequest, clock: FakeClock, make_collector: MakeCollector, fill_once: FillOnce
) -> Beats:
    """A collector of a full store that has run for a while and is healthy; a parameter is its cadence in s."""
    found = Beats(make_collector(THREE), clock)
    found.collector.cadence_s = getattr(request, "param", 10.0)
    fill_once(f"every {found.collector.cadence_s} s", found.collector.cycle)
    assert found().healthy
    return found


@contextmanager
def faulty(exchanges: Exchanges, faults: dict[str, Fault]) -> Iterator[None]:
    """Let providers do these things wrong for a while."""
    for name, fault in faults.items():
        exchanges.fault(name, fault)
    yield
    for name in faults:
        exchanges.fault(name, None)


OF_ALL_PROVIDERS = {
    "HTTP 503": Fault(status=503),
    "HTTP 429": Fault(status=429, headers={"Retry-After": "5"}),
    "HTTP 418": Fault(status=418, headers={"Retry-After": "5"}),
    "an HTML page": Fault(body=HTML),
    "half of the JSON": Fault(cut=True),
    "a reset": Fault(reset=True),
    "their own shape of an error": Fault(error="EService:Unavailable"),
    "an absurd price": Fault(price=850e9),
    "no price": Fault(price=None),
    "an old price": Fault(frozen_ms=NOW - 10 * MINUTE),
}


@at_intervals
@pytest.mark.parametrize("fault", OF_ALL_PROVIDERS.values(), ids=OF_ALL_PROVIDERS)
def test_no_price_from_any_provider_is_a_reason_until_there_is_one(
    beats: Beats, exchanges: Exchanges, fault: Fault
) -> None:
    with faulty(exchanges, dict.fromkeys(THREE, fault)):
        found = [beats(), beats()]

    assert all(ReasonCode.CYCLE_FAILED in codes(each.reasons) for each in found)
    assert (beats(), beats())[1].reasons == ()


def test_providers_that_hang_are_a_reason(store: Store, exchanges: Exchanges, make_collector: MakeCollector) -> None:
    once(make_collector(["coinbase"]))
    with faulty(exchanges, {"coinbase": Fault(delay_s=60)}):
        make_collector(["coinbase"], timeout_s=0.05).cycle()
        found = status_of(store)
    once(make_collector(["coinbase"]))

    assert ReasonCode.CYCLE_FAILED in codes(found.reasons)
    assert status_of(store).healthy


@at_intervals
def test_as_long_as_all_providers_say_to_wait_none_answers(
    beats: Beats, exchanges: Exchanges, clock: FakeClock
) -> None:
    away = Fault(status=429, headers={"Retry-After": "3600"})
    with faulty(exchanges, dict.fromkeys(THREE, away)):
        beats()
    waiting = [beats() for _ in range(14)]
    clock.advance(HOUR)

    assert all(ReasonCode.PROVIDERS_SILENT in codes(each.reasons) for each in waiting)
    assert beats().healthy


@at_intervals
def test_one_provider_that_answers_is_enough(beats: Beats, exchanges: Exchanges) -> None:
    with faulty(exchanges, dict.fromkeys(THREE[1:], Fault(status=503))):
        found = [beats(), beats()]

    assert all(each.healthy for each in found)


@at_intervals
def test_candles_that_no_provider_gives_are_a_reason_as_soon_as_a_minute_lacks_its_own(
    beats: Beats, clock: FakeClock, exchanges: Exchanges
) -> None:
    lacking_from_ms = clock.now_ms() // MINUTE * MINUTE + MINUTE + CLOSED_FOR_MS
    with faulty(exchanges, {name: Fault(path=path, status=503) for name, path in CANDLES.items()}):
        found = [beats() for _ in range(7)]
    after = beats()

    lacking = [each.minutes.gaps.get("providers_down", 0) for each in found]
    assert [each.reasons for each in found] == [
        (Remark(ReasonCode.PROVIDERS_DOWN, {"minutes": count}),) * bool(count) for count in lacking
    ]
    assert [bool(count) for count in lacking] == [each.now_ms >= lacking_from_ms for each in found]
    assert after.healthy
    assert after.minutes.gaps == {}


@at_intervals
def test_a_collector_that_died_is_a_reason(beats: Beats, clock: FakeClock) -> None:
    every_s = beats.collector.cadence_s or 0.0
    beats.pause()
    beats.pause()
    at_the_limit = beats.status()
    clock.advance(1)

    found = beats.status()

    assert at_the_limit.healthy
    silence = {"silence_s": 2 * every_s + 0.001, "cadence_s": every_s}
    assert found.reasons == (Remark(ReasonCode.COLLECTOR_SILENT, silence),)
    assert beats().healthy


OF_THE_KEYS: dict[str, Callable[[redis.Redis], object]] = {
    "FLUSHALL": lambda client: client.flushall(),
    "the ticks are deleted": lambda client: client.delete(TICK),
    "a compaction is deleted": lambda client: client.delete("btc:price:hour:max"),
    "a rule is gone": lambda client: client.execute_command("TS.DELETERULE", TICK, "btc:price:5min"),
    "another retention": lambda client: client.execute_command("TS.ALTER", "btc:price:15min", "RETENTION", 5),
    "the ticks are kept for ever": lambda client: client.execute_command("TS.ALTER", TICK, "RETENTION", 0),
    "a sample of the future": lambda client: put(client, TICK, {NOW + 40 * 24 * HOUR: 1.0}),
}


@pytest.mark.parametrize("damage", OF_THE_KEYS.values(), ids=OF_THE_KEYS)
def test_damage_to_the_keys_is_a_reason_until_the_next_cycle(
    beats: Beats, client: redis.Redis, damage: Callable[[redis.Redis], object]
) -> None:
    damage(client)

    assert not beats.status().healthy
    assert beats().healthy


@pytest.mark.parametrize("key", [TICK, "btc:price:hour", "btc:price:state", "btc:price:gaps"])
def test_a_foreign_key_is_a_reason_while_it_is_there(beats: Beats, client: redis.Redis, key: str) -> None:
    client.delete(key)
    client.set(key, "somebody's")
    with pytest.raises(ForeignKey):
        beats()
    found = beats.status()
    client.delete(key)

    assert Remark(ReasonCode.FOREIGN_KEY, {"key": key}) in found.reasons
    assert beats().healthy


def of_a_full_disk(client: redis.Redis) -> None:
    """Let a snapshot fail, after which Redis takes no writes; a folder has the name of its file."""
    client.config_set("save", "3600 1000000")
    client.bgsave()
    while client.info("persistence")["rdb_last_bgsave_status"] == "ok":
        pass


OF_THE_SERVER: dict[str, tuple[Callable[[redis.Redis], object], Callable[[redis.Redis], object]]] = {
    "a read-only replica": (
        lambda client: client.replicaof("127.0.0.1", "1"),
        lambda client: client.replicaof("NO", "ONE"),
    ),
    "a full disk": (of_a_full_disk, lambda client: client.config_set("save", "")),
    "no memory": (
        lambda client: client.config_set("maxmemory", "1mb"),
        lambda client: client.config_set("maxmemory", "0"),
    ),
}


@at_intervals
@pytest.mark.parametrize(("begin", "end"), OF_THE_SERVER.values(), ids=OF_THE_SERVER)
def test_a_server_that_takes_no_writes_is_a_reason(
    beats: Beats,
    start_server: StartServer,
    begin: Callable[[redis.Redis], object],
    end: Callable[[redis.Redis], object],
) -> None:
    server = start_server()
    (server.folder / "dump.rdb").mkdir()
    with connect(server.socket) as client:
        beats.collector.store = Store(client, BTC_USD, clock=beats.clock, where="test")
        beats.collector.cycle()
        begin(client)
        beats()
        beats()
        beats.clock.advance(1)
        found = beats.status()
        end(client)
        after = beats()

    assert ReasonCode.COLLECTOR_SILENT in codes(found.reasons)
    assert after.healthy


@at_intervals
def test_clocks_that_are_apart_are_a_reason(beats: Beats, exchanges: Exchanges) -> None:
    with faulty(exchanges, dict.fromkeys(THREE, Fault(skew_ms=HOUR))):
        found = [beats(), beats()]

    assert all(each.reasons[0].code == ReasonCode.CYCLE_FAILED for each in found)
    assert all(abs(each.state.ahead_ms or 0) > 10_000 for each in found)
    assert beats().healthy


@pytest.mark.parametrize(
    ("ahead_ms", "reasons"),
    [
        (None, ()),
        (10_000, ()),
        (-10_000, ()),
        (20_000, (Remark(ReasonCode.PROVIDER_CLOCKS, {"ahead_ms": 20_000}),)),
        (-20_000, (Remark(ReasonCode.PROVIDER_CLOCKS, {"ahead_ms": -20_000}),)),
    ],
)
def test_the_clocks_of_the_providers_count_beyond_ten_seconds(
    fine: Status, ahead_ms: int | None, reasons: tuple[Remark, ...]
) -> None:
    assert replace(fine, state=State(ahead_ms=ahead_ms)).reasons == reasons


# What looks like a fault and is none


def test_single_runs_at_any_moment_of_their_minute_are_never_missed(
    store: Store, clock: FakeClock, make_collector: MakeCollector
) -> None:
    collector = make_collector(["simulated"])
    collector.cadence_s = None
    starts_s = (0, 45, 0, 0, 45, 45, 0, 45)
    found = []
    for minute, late_s in enumerate(starts_s):
        clock.advance(NOW + minute * MINUTE + late_s * 1000 - clock.now_ms())
        found.append(status_of(store))
        collector.cycle()

    assert [each.healthy for each in found] == [False] + [True] * (len(starts_s) - 1)


def test_a_single_run_is_missed_after_two_minutes(
    store: Store, clock: FakeClock, make_collector: MakeCollector
) -> None:
    collector = make_collector(["simulated"])
    collector.cadence_s = None
    collector.cycle()
    clock.advance(2 * MINUTE + 1)

    (reason,) = status_of(store).reasons

    assert reason == Remark(ReasonCode.COLLECTOR_SILENT, {"silence_s": 120.001, "cadence_s": 60.0})


def test_who_lets_prices_grow_old_misses_no_collector_before(
    store: Store, clock: FakeClock, make_collector: MakeCollector
) -> None:
    make_collector(["simulated"]).cycle()
    clock.advance(HOUR)

    assert status(store, max_age_s=3600.0).healthy


def test_coinmarketcap_alone_is_healthy_between_its_rare_prices(
    store: Store, clock: FakeClock, make_collector: MakeCollector
) -> None:
    collector = make_collector(["coinmarketcap"], api_key="secret-key")
    collector.cadence_s = 30.0
    found = []
    for _ in range(20):
        collector.cycle()
        clock.advance(30_000)
        found.append(status_of(store))

    assert {each.reasons for each in found} == {()}
    assert Remark(WarningCode.POLLS_ONLY, {"minutes": 24 * 60 + 44}) in found[-1].warnings


def test_simulated_prices_are_healthy(store: Store, make_collector: MakeCollector) -> None:
    once(make_collector(["simulated"]))

    assert status_of(store).healthy


def test_the_error_of_a_provider_that_is_not_asked_any_more_is_forgotten(
    store: Store, clock: FakeClock, exchanges: Exchanges, make_collector: MakeCollector
) -> None:
    with faulty(exchanges, {"kraken": Fault(status=503)}):
        make_collector(["coinbase", "kraken"]).cycle()
    clock.advance(10 * MINUTE)  # by then nobody uses the list with both any more
    make_collector(["coinbase"]).cycle()

    found = status_of(store)

    assert WarningCode.PROVIDER_FAILED not in codes(found.warnings)


def test_every_reason_why_a_minute_is_not_settled_is_told() -> None:
    assert set(REASONS) == {ReasonCode.PROVIDERS_DOWN, *UNSETTLED}


@pytest.mark.parametrize("reason", UNSETTLED)
def test_minutes_that_no_fault_keeps_from_being_settled_are_a_warning(filled: Store, reason: WarningCode) -> None:
    minute = NOW - NOW % MINUTE
    filled.record_gaps({minute - each * MINUTE: Gap(reason, 1, NOW) for each in (1, 2, 26 * 60)})

    found = status_of(filled)

    assert found.healthy
    assert Remark(reason, {"minutes": 2}) in found.warnings
    assert found.minutes == Completeness(24 * 60 + 34, 24 * 60 + 34, 0, {reason: 2})


@pytest.mark.parametrize(
    ("problems", "warned"), [(("refused", "refused"), True), (("refused", ""), False), (("", ""), False), ((), False)]
)
def test_streams_of_which_none_is_connected_are_a_warning(
    filled: Store, problems: tuple[str, ...], *, warned: bool
) -> None:
    streams = {
        name: StreamState(problem=problem) for name, problem in zip(("kraken", "gemini"), problems, strict=False)
    }
    filled.remember(State(streams=streams, streams_ms=NOW))

    found = status_of(filled)

    assert found.healthy
    assert (Remark(WarningCode.STREAMS_DOWN, {"streams": ["gemini", "kraken"]}) in found.warnings) == warned


def test_a_provider_whose_candles_keep_differing_from_its_trades_is_a_warning(filled: Store) -> None:
    steady, other = StreamState(NOW, compared=60, corrected=40, steady=True), StreamState(NOW, compared=60, corrected=2)
    filled.remember(State(streams={"kraken": other, "gemini": steady}, streams_ms=NOW))

    found = status_of(filled)

    assert found.healthy
    (warning,) = [warning for warning in found.warnings if warning.code == WarningCode.CANDLES_DIFFER]
    assert warning.values == {"provider": "gemini", "corrected": 40, "compared": 60}


def test_streams_of_a_collector_that_is_gone_are_not_told_of(filled: Store, clock: FakeClock) -> None:
    filled.remember(State(streams={"kraken": StreamState(problem="refused")}, streams_ms=NOW))
    clock.advance(round(1000 * State().max_age_s) + 1)

    found = status_of(filled)

    assert found.streams == {}
    assert WarningCode.STREAMS_DOWN not in [warning.code for warning in found.warnings]
