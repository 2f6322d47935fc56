"""Commands killed at any step of their talk with Redis, and a Redis killed the same way: nothing is lost or doubled.

The tests kill at a sample of the steps, `python benchmarks/exhaustive.py` at every one.

After the next run there is, to the last sample, what there would be without the kill, or what there would be if the
killed run had never begun; the latter only when that run had not said that it stored its price or kept it.
"""

from collections.abc import Callable, Hashable, Iterator
from typing import Any

import pytest

from btcts.config import BTC_USD
from btcts.services.verify.buckets import Finding
from btcts.store import Store
from services.collect.conftest import Kill
from services.collect.killed_collector import traded
from services.scenes import COLLECTED, SERVED, LastingScene, Look, Scene, Story
from support.clocks import FakeClock
from support.oracle import Observed, Oracle
from support.samples import count_steps
from support.series import HOUR, MINUTE, assert_right

STRIDE = 48
"""Of so many steps the tests take one."""


def twin(story: Story, scene: Scene, *, ran: bool) -> Look:
    """The end when nobody is killed, and the command has `ran` before or it has not."""
    scene.rewind()
    if ran:
        scene.run(story.command, story.now_ms)
    scene.run(story.command, story.later_ms)
    return scene.look(story.later_ms)


def lives(story: Story, scene: Scene, kill: Kill) -> Iterator[tuple[int, Look, Look, list[Any]]]:
    """Kill the command at steps in turn: what there is at its death, what after the next run, and what it said.

    A run depends on nothing but what it finds: when it would find the same again, its end is known.
    """
    ends: dict[Hashable, tuple[Look, Look]] = {}
    for step in count_steps(STRIDE):
        scene.rewind()
        killed, said = kill(story, step)
        found = scene.everything()
        if found not in ends:
            at_death = scene.look(story.now_ms)
            scene.run(story.command, story.later_ms)
            ends[found] = at_death, scene.look(story.later_ms)
        yield step, *ends[found], said
        if not killed:
            return


def wrong(seen: Look) -> set[Finding]:
    """List what is wrong with samples; the settings of a series may be between two states."""
    return {each for each in seen.findings if each.start_ms is not None}


def assert_as_traded(story: Story, scene: Scene, left: Look) -> None:
    """Nothing is stored but what was said and what was traded."""
    now_ms = story.later_ms
    first_ms = now_ms // HOUR * HOUR - 24 * HOUR
    oracle = Oracle()
    for tick in scene.said:
        oracle.tick(now_ms, *tick)
    for minute in range(first_ms, now_ms - 5_000 - MINUTE + 1, MINUTE):
        candle = traded(minute)
        oracle.candle(now_ms, minute, Observed(candle.open, candle.high, candle.low, candle.close))
    assert [tick for tick in left.ticks.items() if tick[0] >= first_ms] == oracle.ticks()
    assert_right(scene.client, oracle, now_ms)
    assert (left.gaps, left.waiting) == (set(), 0)


def assert_harmless(
    story: Story, scene: Scene, kill: Kill, judge: Callable[[Story, Scene, Look], None] = lambda *_: None
) -> set[bool]:
    """No kill does harm, at whatever step; whether things turn out as if the killed run had run, for all of them.

    `judge` judges the ends when nobody is killed.
    """
    story.before(scene)
    scene.save()
    before = scene.look(story.now_ms)
    as_if = {}
    for ran in (True, False):
        as_if[ran] = twin(story, scene, ran=ran)
        judge(story, scene, as_if[ran])
    turned_out = set()

    for step, at_death, after, said in lives(story, scene, kill):
        assert before.ticks.items() & as_if[True].ticks.items() <= at_death.ticks.items(), step
        assert before.findings or not wrong(at_death), step
        assert after in ([as_if[True]] if said else as_if.values()), step
        turned_out.add(after == as_if[True])

    assert as_if[True].findings == as_if[False].findings == ()
    assert step > story.steps
    return turned_out


@pytest.mark.parametrize("story", COLLECTED.values(), ids=COLLECTED)
def test_a_collector_killed_at_any_step_loses_nothing_that_it_said_and_leaves_nothing_twice(
    story: Story, scene: Scene, killed: Kill
) -> None:
    turned_out = assert_harmless(story, scene, killed, assert_as_traded)

    assert turned_out == {True, False}


@pytest.mark.parametrize("story", SERVED.values(), ids=SERVED)
def test_a_command_killed_at_any_step_loses_nothing_and_the_next_run_completes_it(
    story: Story, scene: Scene, killed: Kill
) -> None:
    turned_out = assert_harmless(story, scene, killed)

    assert turned_out == {True}


@pytest.mark.parametrize("name", ["the first cycle", "three hours to merge"])
def test_a_redis_killed_at_any_step_of_a_cycle_costs_no_price(
    name: str, lasting: LastingScene, redis_killed: Kill
) -> None:
    turned_out = assert_harmless(COLLECTED[name], lasting, redis_killed)

    assert turned_out == {True}


def test_simulated_prices_are_known_as_such_from_the_first_one_on(scene: Scene, killed: Kill) -> None:
    story = COLLECTED["the first cycle"]
    store = Store(scene.client, BTC_USD, clock=FakeClock(story.now_ms), where="test")
    scene.save()

    for step in count_steps(STRIDE):
        scene.rewind()
        died, _ = killed(story, step)

        assert store.latest() is None or store.state().simulated, step
        if not died:
            return
