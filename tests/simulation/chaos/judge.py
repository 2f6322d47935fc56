"""Compares what a world holds after its healing cycle with what the market was, worked out from the contract alone."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from btcts.config import BTC_USD
from btcts.domain.model import CORRECTED, SPARSE, Gap
from btcts.services.collect.cycle import Cycle
from btcts.services.verify.run import verify
from btcts.store import Store
from simulation.chaos.world import World, raw_ticks
from support.exchanges import Traded
from support.oracle import KEPT, OF_A_CANDLE
from support.series import COMPACTIONS, HOUR, MINUTE, samples

REACH = {"kraken": 719 * MINUTE, "gemini": 24 * HOUR}
"""How far back a provider answers; the others without limit."""

BOUND_MS = 3
STALE_MS = 120_000
FINAL_MS = 5_000


@dataclass(frozen=True)
class Scene:
    """The store at `now_ms`, and the market."""

    world: World
    now_ms: int
    ticks: Mapping[int, float]
    shown: Mapping[str, Mapping[int, float]]
    gaps: Mapping[int, Gap]

    @property
    def closed(self) -> range:
        """The minutes of the window that are final."""
        first_ms = self.now_ms // HOUR * HOUR - 24 * HOUR
        return range(first_ms, (self.now_ms - FINAL_MS) // MINUTE * MINUTE, MINUTE)

    def is_settled(self, minute_ms: int) -> bool:
        """Tell whether the minute has its mark."""
        return minute_ms + MINUTE - 1 in self.ticks

    def is_served(self, minute_ms: int) -> bool:
        """Tell whether a provider reaches back to it."""
        return any(minute_ms >= self.now_ms - REACH.get(name, self.now_ms) for name in self.world.names)

    def candle(self, minute_ms: int) -> Traded | None:
        """Return the candle of what was traded in it."""
        return self.world.venue.candle(minute_ms)


def judge(world: World, healed: Cycle) -> Iterator[str]:
    """All that is not as it would be without faults."""
    with Store(world.admin, BTC_USD, clock=world.clock, where="test") as store:
        scene = Scene(
            world,
            world.clock.now_ms(),
            raw_ticks(world.admin),
            {key: _with_the_open_one(world, key) for key in COMPACTIONS},
            store.gaps(),
        )
        yield from _healing(scene, healed)
        yield from _minutes(scene)
        yield from _ticks(scene)
        yield from _lost(scene)
        yield from _buckets(scene)
        yield from (f"verify: {each}" for each in verify(store).findings)
    if waiting := world.waiting():
        yield f"prices wait on the disk: {waiting}"


def _with_the_open_one(world: World, key: str) -> dict[int, float]:
    """A compaction with its open bucket; of two samples at one stamp the first counts, as for every reader."""
    found = world.admin.execute_command("TS.RANGE", key, "-", "+", "LATEST")
    return dict(reversed(found))


def _healing(scene: Scene, healed: Cycle) -> Iterator[str]:
    """The healing cycle stores the price of its moment, where there is one."""
    market, now_ms = scene.world.venue.market, scene.now_ms
    traded_ms = market.traded_ms(now_ms)
    fresh = traded_ms is not None and now_ms - traded_ms <= STALE_MS
    if scene.world.streaming:
        yield from _healing_with_streams(scene, healed, fresh=fresh)
        return
    expected = (now_ms - (now_ms % MINUTE == MINUTE - 1), market.price(now_ms)) if fresh else None
    if healed.stored != expected:
        yield f"the healing cycle stored {healed.stored}, not {expected}: {healed.problem}"
    if fresh and healed.problem:
        yield f"the healing cycle has a problem: {healed.problem}"


def _healing_with_streams(scene: Scene, healed: Cycle, *, fresh: bool) -> Iterator[str]:
    """The healing cycle stores a price of the last seconds."""
    world, prices = scene.world, scene.world.seen[-1]
    if fresh and not (healed.stored and prices.low <= healed.stored.price <= prices.high):
        yield f"the healing cycle stored {healed.stored}, not one of {prices}: {healed.problem}"
    if fresh and healed.problem:
        yield f"the healing cycle has a problem: {healed.problem}"
    for feeds in world.feeds.values():
        for feed in feeds.feeds:
            if any(after - before < 600 for before, after in zip(feed.begun_s, feed.begun_s[20:], strict=False)):
                yield f"{feed.floor.name} was connected more than 20 times in 10 minutes: {feed.begun_s}"


def _minutes(scene: Scene) -> Iterator[str]:
    """Each minute is settled with its candle, or in the ledger because nobody can serve it.

    A settled one may wait there for another look: it changed by much, or half of the providers denied its trades.
    """
    for minute in scene.closed:
        candle, gap = scene.candle(minute), scene.gaps.get(minute)
        if not scene.is_settled(minute):
            yield from _unsettled(scene, minute, candle, gap)
            continue
        if candle is None:
            yield f"{minute} is settled without trades"
        if gap and gap.reason not in (CORRECTED, SPARSE):
            yield f"{minute} is settled and in the ledger: {gap}"
    for minute in scene.gaps.keys() - set(scene.closed):
        yield f"{minute} is in the ledger and not in the window"


def _unsettled(scene: Scene, minute: int, candle: Traded | None, gap: Gap | None) -> Iterator[str]:
    """A minute without its mark has no trades, or nobody reaches back to it, as its entry says."""
    if candle and scene.is_served(minute):
        yield f"{minute} is not settled ({gap})"
    if minute in scene.world.said.settled:
        yield f"{minute} is not settled any more"
    if not gap:
        yield f"{minute} is neither settled nor in the ledger"
    elif gap.reason not in (("no_trades",) if scene.is_served(minute) else ("not_reached", "no_trades")):
        yield f"{minute} has the wrong reason: {gap}"


def _ticks(scene: Scene) -> Iterator[str]:
    """Each tick is one of a candle, or a price that the market had when a cycle looked."""
    for stamp, price in scene.ticks.items():
        minute = stamp // MINUTE * MINUTE
        candle = scene.candle(minute) if scene.is_settled(minute) else None
        if candle and stamp - minute in OF_A_CANDLE:
            field = ("open", "low", "high", "close")[OF_A_CANDLE.index(stamp - minute)]
            if price != getattr(candle, field):
                yield f"{field} of {minute} is {price}, not {getattr(candle, field)}"
            continue
        if scene.world.streaming and stamp - minute <= BOUND_MS:
            continue  # it may stand for a price of its minute, wherever that was
        seen = [each for each in scene.world.seen if each.first_ms - 1 <= stamp <= each.last_ms]
        if not seen:
            yield f"nobody looked at {stamp}, where {price} is stored"
        if candle and not candle.low <= price <= candle.high:
            yield f"{price} at {stamp} is out of the range of its minute"
        if not candle and not any(each.low <= price <= each.high for each in seen):
            yield f"{price} at {stamp} was never the price: {seen}"


def _lost(scene: Scene) -> Iterator[str]:
    """Each price that was said to be stored is there, or another one that was said to be at the same ms."""
    said: dict[int, set[float]] = {}
    for stamp, price in scene.world.said.stored:
        said.setdefault(stamp, set()).add(price)
    for stamp, prices in said.items():
        minute = stamp // MINUTE * MINUTE
        if stamp < scene.closed.start:
            continue
        candle = scene.candle(minute) if scene.is_settled(minute) else None
        if candle and stamp - minute in OF_A_CANDLE:
            continue
        wanted = {min(max(price, candle.low), candle.high) for price in prices} if candle else prices
        found = scene.ticks.get(stamp)
        if found not in wanted and not (scene.world.streaming and found):  # streams move prices into bounds
            yield f"{stamp} has {found}, not the stored {wanted}"


def _buckets(scene: Scene) -> Iterator[str]:
    """Each compaction is what the ticks make of it; only buckets that nobody can serve may have outlived theirs."""
    made = {name: _aggregated(scene.ticks, length) for name, (length, _) in KEPT.items()}
    for key, shown in scene.shown.items():
        _, _, resolution, *rest = key.split(":")
        field = rest[0] if rest else "close"
        length, entries = KEPT[resolution]
        slots = [scene.now_ms // length * length - back * length for back in range(entries, -1, -1)]
        for start in slots:
            found = shown.get(start)
            expected = made[resolution].get(start, {}).get(field)
            if found != expected and not _outlived(scene, key, start, found, length):
                yield f"{key} at {start} is {found}, not {expected}"
        # Retention counts from the newest bucket that is closed.
        kept_ms = max(samples(scene.world.admin, key), default=0) - (entries - 1) * length
        for start in shown.keys() - set(slots):
            if not kept_ms <= start < slots[0]:
                yield f"{key} has a bucket at {start} that is not to be kept"


def _outlived(scene: Scene, key: str, start: int, found: float | None, length: int) -> bool:
    """Tell whether the bucket is as it was before its ticks were lost, and they are not to be had again."""
    minutes = range(start, start + length, MINUTE)
    traded = [minute for minute in minutes if scene.candle(minute)]
    unserved = any(not scene.is_settled(minute) and not scene.is_served(minute) for minute in traded)
    before = [each.get(key, {}).get(start) for each in scene.world.said.before]
    return (unserved or not traded) and found is not None and found in before


def _aggregated(ticks: Mapping[int, float], length: int) -> dict[int, dict[str, float]]:
    """Close, minimum and maximum of each bucket that has a tick."""
    prices: dict[int, list[float]] = {}
    for stamp in sorted(ticks):
        prices.setdefault(stamp // length * length, []).append(ticks[stamp])
    return {start: {"close": each[-1], "min": min(each), "max": max(each)} for start, each in prices.items()}
