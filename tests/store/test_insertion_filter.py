"""An insertion filter drops samples without a word; neither the server's defaults nor a hand may set one for ours."""

from collections.abc import Iterator

import pytest
import redis

from btcts.config import BTC_USD
from btcts.domain.codes import FaultCode
from btcts.domain.model import Candle, Tick
from btcts.services.init_keys import init_keys
from btcts.store import Store
from support.clocks import FakeClock
from support.series import COMPACTIONS, FIRST_OF_WINDOW, MINUTE, NOW, TICK, assert_right, put, remembered, samples, wave
from support.servers import StartServer, connect

THIS_MINUTE = NOW - NOW % MINUTE
FILTER = "IGNORE_MAX_TIME_DIFF 60000 IGNORE_MAX_VAL_DIFF 50"
DEFAULTS = f"{FILTER} DUPLICATE_POLICY FIRST RETENTION_POLICY 100000 CHUNK_SIZE_BYTES 256 COMPACTION_POLICY max:1m:1h"
SET_BY_HAND = ("IGNORE", 60_000, 50)

CANDLES = [
    Candle(minute, 60_000 + minute // MINUTE % 7, 60_012, 59_990, 60_001)
    for minute in range(FIRST_OF_WINDOW, THIS_MINUTE, MINUTE)
]
LIVE = [Tick(stamp, 60_000 + stamp % 11) for stamp in range(THIS_MINUTE, NOW, 10_000)]


@pytest.fixture(params=[FILTER, DEFAULTS, f"{DEFAULTS} ENCODING uncompressed"])
def headstrong(request: pytest.FixtureRequest, start_server: StartServer) -> Iterator[redis.Redis]:
    """A client of a server whose module has defaults of its own."""
    with connect(start_server(module_options=request.param).socket) as connected:
        yield connected


@pytest.mark.parametrize("at_once", [True, False], ids=["by a rebuild", "by appends"])
def test_no_default_of_the_server_reaches_our_series(headstrong: redis.Redis, *, at_once: bool) -> None:
    store = Store(headstrong, BTC_USD, clock=FakeClock(NOW), where="test")

    if at_once:
        store.write(LIVE, CANDLES)
    else:
        store.rebuild()
        for start in range(0, len(CANDLES), 100):
            store.write([], CANDLES[start : start + 100])
        for tick in LIVE:
            store.write([tick])

    oracle = remembered(LIVE, NOW, CANDLES)
    assert samples(headstrong, TICK) == dict(oracle.ticks())
    assert_right(headstrong, oracle, NOW)
    assert store.inspect().faults == ()
    assert set(headstrong.keys()) <= {TICK, *COMPACTIONS, "btc:price:state"}


def test_series_that_took_a_filter_from_the_server_are_named_and_altered(headstrong: redis.Redis) -> None:
    store = Store(headstrong, BTC_USD, clock=FakeClock(NOW), where="test")
    store.rebuild()
    for key in (TICK, *COMPACTIONS):
        headstrong.execute_command("TS.ALTER", key, *SET_BY_HAND)

    found = init_keys(store, dry_run=True)
    done = init_keys(store)
    store.write(LIVE[:1], CANDLES)

    assert [fault.key for fault in found.differences] == [TICK, *COMPACTIONS]
    assert {fault.code for fault in found.differences} == {FaultCode.WRONG_FILTER}
    assert all(fault.values["found"] == (60_000, 50.0) for fault in found.differences)
    assert (done.differences, done.changed) == (found.differences, True)
    assert init_keys(store).differences == ()


@pytest.mark.parametrize("live", [[Tick(NOW, 60_001)], []])
def test_a_tick_that_a_filter_drops_after_the_inspection_is_not_taken_for_written(
    client: redis.Redis, store: Store, live: list[Tick]
) -> None:
    before = wave(THIS_MINUTE - MINUTE, NOW - 1, 7_000)
    store.write(before)
    client.execute_command("TS.ALTER", TICK, "IGNORE", 60_000, 1e6)
    settling = [] if live else [Candle(THIS_MINUTE - MINUTE, 60_000, 60_012, 59_990, 60_001)]

    written = store.write([*live, Tick(NOW + 1, 60_002)], settling)

    assert written.rebuilt
    assert {NOW + 1, *(tick.time_ms for tick in live)} <= samples(client, TICK).keys()
    assert store.settled([THIS_MINUTE - MINUTE]) == {candle.start_ms for candle in settling}
    assert store.inspect().faults == ()


@pytest.mark.parametrize("lost", [0, 20_000, 40_000, 59_999])
def test_a_minute_that_lost_a_part_of_its_candle_is_not_settled(client: redis.Redis, store: Store, lost: int) -> None:
    minute = THIS_MINUTE - 3 * MINUTE
    store.rebuild()
    put(client, TICK, {minute + offset: 60_000.0 for offset in (0, 20_000, 40_000, 59_999) if offset != lost})
    put(client, TICK, {minute + MINUTE + offset: 60_000.0 for offset in (0, 20_000, 40_000, 59_999)})

    assert store.settled([minute, minute + MINUTE]) == {minute + MINUTE}
