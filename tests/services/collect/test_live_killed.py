"""A collector with streams killed at any step, in the middle of a minute or at its end, and a Redis that is killed.

The tests kill at a sample of the steps, `python benchmarks/exhaustive.py` at every one.
"""

from typing import Any

from btcts.config import BTC_USD
from btcts.domain.candles import candles_of, minute_of
from btcts.domain.model import Tick
from btcts.store import Store
from services.collect.conftest import Kill
from services.collect.killed_collector import traded
from services.scenes import THEN, LastingScene, Scene, Story
from support.clocks import FakeClock
from support.exchanges import SimulatedMarket
from support.samples import count_steps
from support.series import MINUTE

STRIDE = 24

DELAY_MS = 50
"""How long a trade is under way."""

LIVE = "collect live"


def followed(scene: Scene) -> None:
    """A window that a collector with streams has filled, five minutes ago."""
    scene.run(LIVE, minute_of(THEN) + 52_000 - 5 * MINUTE)


CROSSING = Story(60, followed, LIVE, minute_of(THEN) + 52_000)
"""A collector with streams that sees a minute end, and settles it."""

LATER_MS = CROSSING.now_ms + 3 * MINUTE
END_MS = LATER_MS + 20_000


def test_a_live_collector_killed_at_any_step_loses_nothing_and_no_claim_is_wrong(scene: Scene, killed: Kill) -> None:
    _assert_harmless(scene, killed)


def test_a_redis_killed_at_any_step_of_a_live_collector_costs_no_price(
    lasting: LastingScene, redis_killed: Kill
) -> None:
    _assert_harmless(lasting, redis_killed)


def test_a_live_collector_that_is_not_killed_settles_the_minute_from_its_trades(scene: Scene) -> None:
    followed(scene)
    minute = minute_of(CROSSING.now_ms)

    scene.run(CROSSING.command, CROSSING.now_ms)

    ticks = map(Tick._make, scene.look(END_MS).ticks.items())
    assert candles_of(ticks).get(minute) == traded(minute)


def _assert_harmless(scene: Scene, kill: Kill) -> None:
    CROSSING.before(scene)
    scene.save()
    scene.run(CROSSING.command, CROSSING.now_ms)
    scene.run(CROSSING.command, LATER_MS)
    whole = scene.look(END_MS)

    claims = 0
    for step in count_steps(STRIDE):
        scene.rewind()
        died, said = kill(CROSSING, step)
        claims += _check_claims(scene, step)
        _check_said(scene, said, step)
        scene.run(CROSSING.command, LATER_MS)
        after = scene.look(END_MS)
        assert (after.compactions, after.findings, after.waiting) == (whole.compactions, (), 0), step
        if not died:
            break
    assert step > CROSSING.steps
    assert claims


def _check_said(scene: Scene, said: list[Any], step: int) -> None:
    """Every price that was said to be stored is there; bounds may have moved it."""
    stored = scene.look(END_MS).ticks.keys()
    waiting = {tick.time_ms for tick in scene.spool.read(END_MS).ticks}
    assert {time_ms for time_ms, _ in said} <= stored | waiting, step


def _check_claims(scene: Scene, step: int) -> int:
    """Compare the open slots that are called exact with the trades known at the newest tick; count them."""
    with Store(scene.client, BTC_USD, clock=FakeClock(END_MS), where="test") as store:
        newest = store.latest()
    assert newest
    snapshot = Store(scene.client, BTC_USD, clock=FakeClock(newest.time_ms + 100), where="test").snapshot()
    exact = [slots[-1] for slots in snapshot.slots.values() if slots[-1].exact]
    for slot in exact:
        low, high = _aggregate(slot.start_ms, newest.time_ms - DELAY_MS)
        assert (slot.min, slot.max) == (low, high), (step, slot)
    return len(exact)


def _aggregate(start_ms: int, known_ms: int) -> tuple[float, float]:
    market = SimulatedMarket()
    minutes = range(start_ms, known_ms + 1, MINUTE)
    candles = [candle for minute in minutes if (candle := market.candle(minute, known_ms))]
    return min(candle.low for candle in candles), max(candle.high for candle in candles)
