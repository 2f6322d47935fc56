"""Providers that lie to a collector on a real Redis: a sample; `python benchmarks/lies.py` plays all there are."""

from collections.abc import Iterator
from itertools import islice

import pytest

from simulation.lies.honest import FIVE, Days, Outage, live
from simulation.lies.judge import Truth, find_wrong_buckets, find_wrong_minutes, look, window
from simulation.lies.kinds import KINDS
from simulation.lies.market import WALK
from simulation.lies.play import play
from simulation.lies.scenario import FAMILIES, SPEEDS, Scenario, draw, parse
from simulation.lies.stage import BEGINNINGS, Stage, World, open_stage
from simulation.lies.venues import open_venue
from support.oracle import OF_A_CANDLE
from support.samples import take_each, take_run
from support.series import HOUR, MINUTE, TICK, put

FIRST = BEGINNINGS[0] // MINUTE * MINUTE - HOUR
"""A minute of an hour that is over."""


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    """The Redis of these tests."""
    with open_stage() as opened:
        yield opened


def lone_liars(presence: str) -> Iterator[Scenario]:
    """One of five, in each of the kinds, now slow and now fast."""
    for number, kind in enumerate(KINDS):
        yield Scenario("alone", presence, SPEEDS[number % len(SPEEDS)], (kind,), 1, (WALK,))


LONE = [scenario for presence in ("start", "middle", "back") for scenario in lone_liars(presence)]
MORE = [
    scenario
    for family in ("pairs", "two of four", "three of six")
    for scenario in [*draw(family, 1, markets=(WALK,))][::40]
]


SPARSE = ("two of four/start/level/camp~camp/1", "beside an aggregator/start/level/yesterday~empty/1")
"""The honest others saw no trades in some minutes, which come right only when the liars are heard again."""

OUT_OF_REACH = ("two of four/start/honest late/x1.5~x1.5/1", "pairs/start/honest late/yesterday~yesterday/1")
"""While an honest one answers late, minutes leave its reach."""

UNHEARD = ("two of four/back/honest late/yesterday~yesterday/1",)
"""While nobody answers, looks at sparse minutes find nothing, and the next ones must not wait longer for it."""

FOUND = [parse(name) for name in (*SPARSE, *OUT_OF_REACH, *UNHEARD)]


@pytest.mark.parametrize("scenario", [*take_each([*LONE, *MORE], 18), *take_run(FOUND, 2)], ids=str)
def test_fewer_than_half_are_not_believed_and_half_are_not_hidden(scenario: Scenario, stage: Stage) -> None:
    ran = play(scenario, stage)

    assert ran.crash == ""
    assert not ran.broken, ran


def test_honest_providers_of_whom_some_are_away_are_never_doubted_nor_asked_too_often(stage: Stage) -> None:
    plan = Days(3, (Outage(0.5, 0.75, ["coinbase"]), Outage(1.5, 0.25, FIVE), Outage(2, 0.5, ["gemini", "bitstamp"])))

    lived = live(plan, stage, WALK)

    assert not lived.broken
    assert (lived.disputed, lived.deviating, lived.disagreed) == (0, 0, set())
    assert (lived.wrong, lived.buckets) == (0, 0)
    assert lived.priceless == 15
    assert lived.requests <= 1.05 * 1805


# The judge


@pytest.fixture
def world(stage: Stage) -> World:
    """Five honest providers and a store that they have filled."""
    return stage.open_filled(WALK, FIVE, BEGINNINGS[0])


def judged(world: World) -> tuple[list[int], list[str]]:
    """The wrong minutes and buckets of it."""
    truth = Truth([teller.venue for teller in world.tellers.values()])
    stored = look(world.client)
    return [*find_wrong_minutes(stored, truth)], [*find_wrong_buckets(stored, truth, world.clock.now_ms())]


def test_what_honest_providers_have_filled_is_right(world: World) -> None:
    truth = Truth([teller.venue for teller in world.tellers.values()])

    assert judged(world) == ([], [])
    assert look(world.client).without_candle(window(BEGINNINGS[0] - MINUTE), truth) == 0


@pytest.mark.parametrize("offset", OF_A_CANDLE)
@pytest.mark.parametrize("factor", [0.985, 1.015])
def test_a_wrong_field_is_found_with_its_minute_and_its_buckets(world: World, offset: int, factor: float) -> None:
    stored = look(world.client).ticks
    put(world.client, TICK, {FIRST + offset: stored[FIRST + offset] * factor})

    minutes, buckets = judged(world)

    assert minutes == [FIRST]
    assert all("nobody honest" in said for said in buckets)


def test_a_wrong_bucket_is_found(world: World) -> None:
    put(world.client, "btc:price:hour:max", {FIRST // HOUR * HOUR: 1.0})

    minutes, [bucket] = judged(world)

    assert minutes == []
    assert bucket.startswith(f"btc:price:hour:max at {FIRST // HOUR * HOUR} is not ")


def test_a_minute_without_honest_trades_is_judged_by_the_one_before() -> None:
    venue = open_venue(WALK, "gemini")
    quiet = next(minute for minute in range(FIRST, FIRST + HOUR, MINUTE) if venue.candle(minute) is None)
    before = venue.candle(quiet - MINUTE) or venue.candle(quiet - 2 * MINUTE)

    ranges = Truth([venue]).ranges(quiet)

    assert before
    assert ranges["close"] == (before.close, before.close)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_scenario_is_drawn_from_its_name_alone(family: str) -> None:
    for scenario in islice(draw(family, 3), 0, None, 17):
        again = parse(str(scenario))

        assert again == scenario
        assert (again.liars, again.market, again.chance) == (scenario.liars, scenario.market, scenario.chance)
        assert len({*scenario.liars}) == FAMILIES[family].liars


@pytest.mark.parametrize("kind", sorted(KINDS.keys() - {"swapped"}))
def test_a_lie_is_not_what_was_traded(kind: str) -> None:
    venue = open_venue(WALK, "coinbase")
    minutes = range(FIRST, FIRST + HOUR, MINUTE)

    lie = KINDS[kind](FIRST, 0.5)

    assert sum(lie.candle(venue, minute) != venue.candle(minute) for minute in minutes) >= 59
