"""Findings of the schedules of faults, each reduced to the smallest case."""

from collections.abc import Iterator
from random import Random

import pytest

from btcts.domain.tape import Tape
from simulation.chaos.feeds import Feeds
from simulation.chaos.floor import Floor
from simulation.chaos.judge import judge
from simulation.chaos.stage import is_quiet, open_stage
from simulation.chaos.witness import Witness
from simulation.chaos.world import Setting, World, open_world
from simulation.place import CANDLES
from support.exchanges import Fault, SimulatedMarket
from support.series import HOUR, MIDNIGHT, MINUTE, TICK

NAMES = ("coinbase", "bitstamp", "bitfinex")


@pytest.fixture
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    """A world with this market."""
    with (
        open_stage() as stage,
        open_world(stage, Setting(request.param, NAMES, MIDNIGHT + 5 * HOUR + 7_000, durable=True)) as opened,
    ):
        yield opened


def test_a_connection_that_lags_behind_the_one_that_replaces_it_brings_its_last_trades() -> None:
    floor = Floor("bitstamp", SimulatedMarket(), Random(1))
    tape = Tape("bitstamp", contiguous=False)
    witness = Witness({"bitstamp": floor})
    feeds = Feeds([floor], lambda: floor.at_ms, Random(1), witness.note)
    floor.offset_ms, floor.phase_ms, floor.delay_ms = 0, 0, 2_000
    floor.draw_delay = lambda: floor.delay_ms
    floor.jump(MIDNIGHT)

    for at_ms in range(MIDNIGHT, MIDNIGHT + 2 * MINUTE + 3_000, 100):
        if at_ms == MIDNIGHT + 80_500:
            floor.delay_ms = 50
            floor.say(lambda voice: voice.ask_to_reconnect())
        floor.go_on(at_ms)
        feeds.go_on()
        for _, event in feeds.take():
            tape.take(event)

    numbers = {number for number, _ in floor.reported[MIDNIGHT + MINUTE]}
    assert tape.is_whole(MIDNIGHT + MINUTE)
    assert len(witness.told["bitstamp", MIDNIGHT + MINUTE]) == len(numbers) == 60


def cycle(world: World, after_ms: int) -> None:
    world.true.advance(after_ms)
    world.run(0)


@pytest.mark.parametrize("world", ["busy"], indirect=True)
@pytest.mark.parametrize(("setting", "bad", "good"), [("maxmemory", "1mb", "0"), ("min-replicas-to-write", "1", "0")])
def test_candles_that_redis_refused_do_not_keep_the_next_cycle_from_asking(
    world: World, setting: str, bad: str, good: str
) -> None:
    cycle(world, 0)
    world.admin.config_set(setting, bad)
    cycle(world, MINUTE)
    world.admin.config_set(setting, good)
    cycle(world, MINUTE)

    assert list(judge(world, world.cycles[-1])) == []


@pytest.mark.parametrize("world", ["busy"], indirect=True)
def test_a_ban_for_candles_is_remembered_while_redis_refuses_writes(world: World) -> None:
    cycle(world, 0)
    world.exchanges.fault("coinbase", Fault(path=CANDLES["coinbase"], status=429, headers={"Retry-After": "300"}))
    world.admin.config_set("maxmemory", "1mb")
    cycle(world, MINUTE)
    cycle(world, MINUTE)

    assert [name for name, *_ in world.cycles[-1].waiting] == ["coinbase"]


@pytest.mark.parametrize("world", ["thin"], indirect=True)
def test_a_bucket_that_outlived_its_ticks_gives_way_although_a_minute_of_it_had_no_trades(world: World) -> None:
    cycle(world, 0)
    for name in NAMES:
        world.exchanges.fault(name, Fault(path=CANDLES[name], status=503))
    for _ in range(8):
        cycle(world, 3 * MINUTE)
    assert any(map(is_quiet, range(world.true.now_ms() // MINUTE * MINUTE - 20 * MINUTE, world.true.now_ms(), MINUTE)))
    world.lose()
    world.admin.delete(TICK)
    for name in NAMES:
        world.exchanges.fault(name, None)
    cycle(world, MINUTE)

    assert list(judge(world, world.cycles[-1])) == []


@pytest.mark.parametrize("world", ["busy"], indirect=True)
def test_a_clock_that_is_a_little_ahead_settles_no_minute_before_its_end(world: World) -> None:
    cycle(world, 0)
    world.clock.wrong_ms = 9_000
    cycle(world, 50_000)  # three seconds before the end of the minute
    world.clock.wrong_ms = 0
    cycle(world, 20 * MINUTE)

    assert list(judge(world, world.cycles[-1])) == []


@pytest.mark.parametrize("world", ["busy"], indirect=True)
@pytest.mark.parametrize("key", ["btc:price:hour", "btc:price:hour:min", "btc:price:hour:max"])
def test_buckets_that_a_shorter_retention_has_taken_come_back(world: World, key: str) -> None:
    cycle(world, 0)
    world.admin.execute_command("TS.ALTER", key, "RETENTION", MINUTE)
    world.admin.execute_command("TS.ADD", TICK, world.true.now_ms() + HOUR, 60_000)
    world.admin.execute_command("TS.DEL", TICK, world.true.now_ms() + HOUR, "+")
    cycle(world, 2 * HOUR)

    assert list(judge(world, world.cycles[-1])) == []


@pytest.mark.parametrize("world", ["busy"], indirect=True)
def test_a_candle_that_a_shorter_retention_has_taken_in_part_is_made_whole(world: World) -> None:
    cycle(world, 0)
    minute = MIDNIGHT + 2 * HOUR
    world.admin.execute_command("TS.DEL", TICK, minute, minute + 30_000)
    world.admin.execute_command("TS.ALTER", TICK, "RETENTION", 24 * HOUR)
    cycle(world, MINUTE)

    assert list(judge(world, world.cycles[-1])) == []
