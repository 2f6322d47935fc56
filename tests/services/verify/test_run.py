"""`verify` on a real server; `test_damages.py` has the table of damages."""

from collections.abc import Callable

import pytest
import redis

from btcts.config import BTC_USD
from btcts.domain.codes import FaultCode, FindingCode
from btcts.domain.layout import Layout
from btcts.domain.model import Candle, Tick
from btcts.errors import ForeignKey
from btcts.services.collect.collector import Collector
from btcts.services.collect.loop import once
from btcts.services.verify.buckets import Finding
from btcts.services.verify.run import Verified, verify
from btcts.store import Store
from btcts.store.lease import LEASE_FIELD
from services.verify.conftest import closed_buckets, settled_minute, traded
from support.clocks import FakeClock
from support.series import COMPACTIONS, FIRST_OF_WINDOW, HOUR, MINUTE, TICK, compactions, put, samples, wave
from support.servers import Server, connect

OFFSETS = {"open": 0, "low": 20_000, "high": 40_000, "close": 59_999}


def closed_bucket(key: str, clock: FakeClock) -> int:
    """The last but one closed bucket of a compaction."""
    return closed_buckets(key, clock)[-2]


def named(verified: Verified) -> set[tuple[str, int | None]]:
    return {(each.key, each.start_ms) for each in verified.findings}


def assert_mended(client: redis.Redis, store: Store, before: dict[str, dict[int, float]]) -> None:
    """A repair leaves nothing to find, and the compactions as they were before the damage."""
    mended = verify(store, repair=True)

    assert mended.repaired
    assert mended.left == ()
    assert compactions(client, latest=True) == before


def test_a_sound_store_has_no_finding_and_a_repair_of_it_changes_nothing(
    client: redis.Redis, store: Store, collector: Collector
) -> None:
    before = {TICK: samples(client, TICK), **compactions(client, latest=True)}

    verified = verify(store, repair=True)

    assert (verified.findings, verified.repaired, verified.left) == ((), False, ())
    assert verified.ticks == len(before[TICK])
    assert {TICK: samples(client, TICK), **compactions(client, latest=True)} == before


def test_a_bucket_without_ticks_and_one_off_the_grid_are_named_and_removed(
    client: redis.Redis, store: Store, clock: FakeClock
) -> None:
    hole = clock.now_ms() // HOUR * HOUR - 5 * HOUR
    store.write([tick for tick in wave(FIRST_OF_WINDOW, clock.now_ms(), 30_007) if not 0 <= tick.time_ms - hole < HOUR])
    before = compactions(client, latest=True)
    put(client, "btc:price:hour", {hole: 5.0, hole + HOUR + 7: 6.0})

    found = verify(store)

    assert found.findings == (
        Finding("btc:price:hour", FindingCode.BUCKET_WITHOUT_TICKS, hole, stored=5.0),
        Finding("btc:price:hour", FindingCode.BUCKET_WITHOUT_TICKS, hole + HOUR + 7, stored=6.0),
    )
    assert_mended(client, store, before)


def test_deleted_ticks_are_named_and_every_closed_bucket_stays(
    client: redis.Redis, store: Store, clock: FakeClock, collector: Collector
) -> None:
    before = compactions(client)
    client.delete(TICK)

    found = verify(store)
    mended = verify(store, repair=True)

    assert (TICK, None) in named(found)
    assert mended.left == verify(store).findings == ()
    assert compactions(client) == before
    assert once(collector).unsettled == 0
    assert verify(store).findings == ()


def test_a_retention_of_a_moment_is_named_and_put_back_for_each_series(
    client: redis.Redis, store: Store, collector: Collector
) -> None:
    before = compactions(client, latest=True)
    for key in (TICK, *COMPACTIONS):
        client.execute_command("TS.ALTER", key, "RETENTION", 1)

        found = verify(store)

        assert (key, None) in named(found)
        assert_mended(client, store, before)


def lost(field: str) -> tuple[FindingCode, dict[str, list[str]]]:
    """The finding of a candle that lost a field: without its close, the minute has no mark."""
    if field == "close":
        return FindingCode.CLOSE_LOST, {}
    return FindingCode.CANDLE_INCOMPLETE, {"lost": [field]}


@pytest.mark.parametrize("name", OFFSETS)
def test_a_settled_minute_that_lost_a_tick_of_its_candle_is_named_and_settled_anew_by_the_next_collect(
    client: redis.Redis, store: Store, clock: FakeClock, collector: Collector, name: str
) -> None:
    ticks, before = samples(client, TICK), compactions(client, latest=True)
    minute = settled_minute(clock)
    store.rebuild(dropped=[minute + OFFSETS[name]])

    found = verify(store)
    mended = verify(store, repair=True)

    (finding,) = found.findings
    assert (finding.key, finding.start_ms, finding.code, finding.values) == (TICK, minute, *lost(name))
    assert mended.left == verify(store).findings == ()
    assert store.settled([minute]) == set()
    assert once(collector).settled == 1
    assert {stamp: price for stamp, price in samples(client, TICK).items() if stamp in ticks} == ticks
    closed = {key: {start: value for start, value in held.items() if start < minute} for key, held in before.items()}
    assert all(compactions(client, latest=True)[key].items() >= held.items() for key, held in closed.items())


def reorder(candle: Candle) -> dict[str, float]:
    return {"low": candle.high, "high": candle.low}


def high_below_the_close(candle: Candle) -> dict[str, float]:
    return {"close": candle.high + 1}


def low_above_the_open(candle: Candle) -> dict[str, float]:
    return {"open": candle.low - 1}


@pytest.mark.parametrize("change", [reorder, high_below_the_close, low_above_the_open])
def test_a_candle_that_contradicts_itself_is_named_and_settled_anew_by_the_next_collect(
    client: redis.Redis,
    store: Store,
    clock: FakeClock,
    collector: Collector,
    change: Callable[[Candle], dict[str, float]],
) -> None:
    minute = settled_minute(clock)
    candle = traded(minute)
    put(client, TICK, {minute + OFFSETS[name]: price for name, price in change(candle).items()})

    found = verify(store)
    mended = verify(store, repair=True)

    assert named(found) == {(TICK, minute)}
    assert mended.left == verify(store).findings == ()
    assert once(collector).settled == 1
    assert [samples(client, TICK)[minute + OFFSETS[name]] for name in OFFSETS] == [
        candle.open,
        candle.low,
        candle.high,
        candle.close,
    ]
    assert verify(store).findings == ()


def test_a_live_tick_outside_the_candle_of_its_minute_is_named_and_moved_by_the_next_collect(
    client: redis.Redis, store: Store, clock: FakeClock, collector: Collector
) -> None:
    before = compactions(client, latest=True)
    minute = settled_minute(clock)
    put(client, TICK, {minute + 30_001: 1.0})

    found = verify(store)
    mended = verify(store, repair=True)
    once(collector)

    assert named(found) == {(TICK, minute)}
    assert found.findings[0].code == FindingCode.OUTSIDE_CANDLE
    assert found.findings[0].values["offsets_ms"] == [30_001]
    assert mended.left == verify(store).findings == ()
    assert compactions(client, latest=True) == before


def test_a_carried_bucket_stands_although_its_ticks_are_gone(
    client: redis.Redis, store: Store, clock: FakeClock, collector: Collector
) -> None:
    client.delete(TICK)
    store.write([Tick(clock.now_ms(), 7.0)])

    assert verify(store).findings == ()


def test_a_repair_of_other_buckets_keeps_the_carried_ones(
    client: redis.Redis, store: Store, clock: FakeClock, collector: Collector
) -> None:
    client.delete(TICK)
    store.write([Tick(clock.now_ms() + 1, 7.0)])
    clock.advance(3 * MINUTE)
    store.write([Tick(clock.now_ms() - MINUTE, 8.0), Tick(clock.now_ms(), 9.0)])
    before = compactions(client, latest=True)
    slot = clock.now_ms() // MINUTE * MINUTE - MINUTE
    put(client, "btc:price:minute", {slot: 5.0})

    found = verify(store)

    assert named(found) == {("btc:price:minute", slot)}
    assert_mended(client, store, before)


def test_foreign_keys_are_named_and_never_repaired(client: redis.Redis, store: Store, collector: Collector) -> None:
    client.set("btc:price:hour", "mine")

    found = verify(store)

    assert Finding("btc:price:hour", FindingCode.FOREIGN_KEY) in found.findings
    with pytest.raises(ForeignKey):
        verify(store, repair=True)
    assert client.get("btc:price:hour") == "mine"


def test_an_empty_store_lacks_every_key(store: Store) -> None:
    assert named(verify(store)) == {(key, None) for key in (TICK, *COMPACTIONS)}


def test_a_silent_feed_is_no_finding(store: Store, clock: FakeClock, collector: Collector) -> None:
    for _ in range(30):
        clock.advance(HOUR)
        assert verify(store).findings == ()


def test_in_another_database_closed_buckets_are_compared_and_the_open_one_is_not_read(
    server: Server, client: redis.Redis, clock: FakeClock
) -> None:
    with connect(server.socket, db=3) as third:
        store = Store(third, BTC_USD, clock=clock, where="test")
        store.write(wave(FIRST_OF_WINDOW, clock.now_ms(), 30_007))
        sound = verify(store)
        slot = closed_bucket("btc:price:15min:max", clock)
        put(third, "btc:price:15min:max", {slot: 1.0})

        found = verify(store)

    assert sound.findings == ()
    assert named(found) == {("btc:price:15min:max", slot)}


class ClockOfRebuild(FakeClock):
    """A clock by whose first pause another process's rebuild is over."""

    def __init__(self, client: redis.Redis, now_ms: int) -> None:
        super().__init__(now_ms)
        self._client = client

    def sleep(self, seconds: float) -> None:
        """Let the rebuild end, which puts every retention back."""
        for definition in Layout(BTC_USD).definitions:
            self._client.execute_command("TS.ALTER", definition.key, "RETENTION", definition.retention_ms)
        self._client.hdel("btc:price:state", LEASE_FIELD)


def test_what_another_process_is_just_rebuilding_is_no_finding(
    client: redis.Redis, store: Store, clock: FakeClock
) -> None:
    store.rebuild(live=[Tick(clock.now_ms(), 60_000.0)])
    for key in store.layout.series:
        client.execute_command("TS.ALTER", key, "RETENTION", 0)
    seconds, _ = client.time()
    client.hset("btc:price:state", LEASE_FIELD, f"{seconds * 1000 + 2_000} elsewhere 4711 cafe")

    busy = Store(client, BTC_USD, clock=ClockOfRebuild(client, clock.now_ms()), where="test")

    assert verify(busy).findings == ()


def test_a_retention_that_a_dead_rebuild_left_lifted_is_a_finding(client: redis.Redis, store: Store) -> None:
    store.rebuild()
    client.execute_command("TS.ALTER", TICK, "RETENTION", 0)

    values = {"found": 0, "wanted": 93_600_000}
    assert verify(store).findings == (Finding(TICK, FaultCode.WRONG_RETENTION, values=values),)
