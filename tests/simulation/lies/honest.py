"""Days of honest providers with outages.

Nothing may be doubted, all has to be final, and no more may be asked than before the rules against lies.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median

from simulation.lies.judge import FIELDS, Truth, find_wrong_buckets, find_wrong_minutes, look, window
from simulation.lies.stage import BEGINNINGS, Stage, World
from simulation.lies.venues import NAMES
from support.oracle import OF_A_CANDLE
from support.series import HOUR, MINUTE

FIVE = NAMES[:5]
NOBODY_COLLECTS = "collector"
SETTLING = 50 * MINUTE
"""Minutes that ended less than this before a look may be corrected yet."""


@dataclass(frozen=True)
class Outage:
    """From an hour on these venues are down for so many hours, or their candles alone."""

    hour: float
    hours: float
    names: Sequence[str]
    candles_alone: bool = False

    def lasts(self, hour: float) -> bool:
        """Tell whether it is under way."""
        return self.hour <= hour < self.hour + self.hours


@dataclass(frozen=True)
class Days:
    """So many hours with these outages.

    The candles of a venue that is `late` are final only `LATE_MS` after their minute. `requests` is how many were
    needed in all before the rules against lies.
    """

    hours: int
    outages: Sequence[Outage] = ()
    late: str | None = None
    names: Sequence[str] = FIVE
    requests: int | None = None


PLANS = {
    "calm": Days(24, requests=14_405),
    "outages": Days(
        48,
        (
            Outage(2, 4.6, ["coinbase"]),
            Outage(9, 0.2, ["kraken"]),
            Outage(12, 1, ["gemini"], candles_alone=True),
            Outage(15, 0.4, ["bitstamp"]),
            Outage(20, 5, ["bitfinex", "gemini"]),
            Outage(30, 0.5, FIVE),
            Outage(34, 1.5, [NOBODY_COLLECTS]),
            Outage(40, 1, ["coinbase"]),
        ),
        requests=27_905,
    ),
    "half down": Days(12, (Outage(2, 6, ["bitstamp", "bitfinex"]),), names=NAMES[:4], requests=5765),
    "late": Days(6, (Outage(2, 1, ["coinbase"]),), late="bitstamp", requests=3605),
}
LATE_MS = 150_000


@dataclass
class Lived:
    """The outcome of a plan: `not_final` counts the minutes that are not the median of what all venues traded."""

    plan: Days
    asked: Counter[str] = field(default_factory=Counter)
    cycles: int = 0
    disputed: int = 0
    disagreed: set[int] = field(default_factory=set)
    deviating: int = 0
    wrong: int = 0
    buckets: int = 0
    not_final: int = 0
    corrected: int = 0
    priceless: int = 0

    def __str__(self) -> str:
        asked = ", ".join(f"{name} {count}" for name, count in self.asked.items())
        return (
            f"{self.plan.hours} h, {self.cycles} cycles: {self.requests} requests "
            f"({asked}; {self.plan.requests} before), "
            f"{self.disputed} disputed, {self.deviating} deviating, {len(self.disagreed)} minutes disagreed on, "
            f"{self.wrong} wrong, {self.buckets} buckets wrong, {self.not_final} minutes not final, "
            f"{self.corrected} corrected, {self.priceless} cycles without a price"
        )

    @property
    def requests(self) -> int:
        """The number of requests."""
        return self.asked.total()

    @property
    def immodest(self) -> bool:
        """Tell whether more was asked than before, by more than a twentieth."""
        return self.plan.requests is not None and self.requests > 1.05 * self.plan.requests

    @property
    def broken(self) -> bool:
        """Tell whether a promise was broken."""
        doubts = self.disputed or self.disagreed or self.deviating
        return bool(doubts or self.wrong or self.buckets or self.not_final or self.immodest)


def live(plan: Days, stage: Stage, market: str) -> Lived:
    """Live through it, a cycle a minute."""
    begin_ms = BEGINNINGS[0]
    world = stage.open_fresh(market, plan.names, begin_ms)
    if plan.late:
        world.tellers[plan.late].final_ms = LATE_MS
    lived = Lived(plan)
    while (now_ms := world.clock.now_ms()) < begin_ms + plan.hours * HOUR:
        hour = (now_ms - begin_ms) / HOUR
        gone = [outage for outage in plan.outages if outage.lasts(hour)]
        _turn(world, gone)
        if not any(NOBODY_COLLECTS in outage.names for outage in gone):
            _note(lived, world)
        world.wait_until(now_ms + MINUTE)
    _compare(lived, world)
    lived.asked.update({teller.name: teller.asked for teller in world.tellers.values()})
    return lived


def _turn(world: World, gone: Sequence[Outage]) -> None:
    """Let those venues be down that are, and the others up."""
    for name, teller in world.tellers.items():
        hit = [outage for outage in gone if name in outage.names]
        teller.down = any(not outage.candles_alone for outage in hit)
        teller.mute = bool(hit)


def _note(lived: Lived, world: World) -> None:
    """Do a cycle and note what it doubts."""
    cycle = world.collector.cycle()
    lived.cycles += 1
    lived.disputed += cycle.flag == "disputed"
    lived.deviating += bool(cycle.deviating)
    lived.priceless += cycle.stored is None
    lived.corrected += cycle.corrected
    lived.disagreed |= {minute for minute, gap in world.store.gaps().items() if gap.reason == "disagree"}


def _compare(lived: Lived, world: World) -> None:
    """Look at what is stored in the end."""
    now_ms, stored = world.clock.now_ms(), look(world.client)
    truth = Truth([teller.venue for teller in world.tellers.values()])
    lived.wrong = len(find_wrong_minutes(stored, truth))
    lived.buckets = len(list(find_wrong_buckets(stored, truth, now_ms)))
    old = [minute for minute in window(now_ms) if minute < now_ms - SETTLING]
    reached = [minute for minute in old if minute >= BEGINNINGS[0] - 11 * HOUR]
    lived.not_final = sum(not _is_final(minute, stored.ticks, truth) for minute in reached)


def _is_final(minute_ms: int, ticks: Mapping[int, float], truth: Truth) -> bool:
    """Tell whether the minute is stored as the median of all that traded in it."""
    holders = truth.holders(minute_ms)
    expected = [median(getattr(candle, name) for candle in holders) for name in FIELDS] if holders else [None] * 4
    found = [ticks.get(minute_ms + offset) for offset in OF_A_CANDLE]
    return found == expected or not holders
