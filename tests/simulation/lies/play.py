"""Plays a scenario: the lie, its end, and the time in which all has to come right."""

import traceback
from collections.abc import Iterable
from dataclasses import dataclass, field

from btcts.services.collect.cycle import Cycle
from simulation.lies.judge import NEAR, Truth, find_wrong_buckets, find_wrong_minutes, look, window
from simulation.lies.kinds import KINDS
from simulation.lies.scenario import Scenario
from simulation.lies.stage import BEGINNINGS, Stage, World
from simulation.lies.venues import Teller
from support.series import HOUR, MINUTE

SHORT = 10_000
OUTAGE = 90 * MINUTE
LATE_S = 6.0
QUARTER = 15 * MINUTE

FROZEN_FOR = {"start": 6 * HOUR, "middle": HOUR, "back": OUTAGE}
"""How old a price is that stands still, at the begin of a lie."""


@dataclass
class Ran:
    """The outcome of a scenario.

    `wrong` minutes (with how far they are outside the honest range), `live` prices and `buckets` break the promise;
    `hidden` counts the looks at which half or more lied, something wrong was stored and nobody was told. In `outvoted`
    minutes, which no promise is about, more than half lied of those that reach them.
    """

    scenario: Scenario
    wrong: dict[int, float] = field(default_factory=dict)
    live: int = 0
    buckets: set[str] = field(default_factory=set)
    hidden: int = 0
    outvoted: set[int] = field(default_factory=set)
    without_candle: int = 0
    disputed: int = 0
    priceless: int = 0
    cycles: int = 0
    crash: str = ""

    @property
    def broken(self) -> bool:
        """Tell whether a promise was broken."""
        return bool(self.wrong or self.live or self.buckets or self.hidden or self.crash)

    @property
    def worst(self) -> float:
        """Return how far the worst minute is outside."""
        return max(self.wrong.values(), default=0.0)


def play(scenario: Scenario, stage: Stage) -> Ran:
    """Play a scenario to its end."""
    ran = Ran(scenario)
    try:
        run = _Run(scenario, stage, ran)
        {"start": run.lie_from_the_start, "middle": run.lie_for_a_while, "back": run.lie_first}[scenario.presence]()
        run.come_right()
    except Exception:  # noqa: BLE001 - whatever it is, the scenario that brings it about is to be told
        ran.crash = traceback.format_exc()
    return ran


class _Run:
    """One scenario under way."""

    def __init__(self, scenario: Scenario, stage: Stage, ran: Ran) -> None:
        self._scenario = scenario
        self._ran = ran
        self._begin_ms = BEGINNINGS[int(scenario.chance * len(BEGINNINGS))]
        names = scenario.names
        self._usual = stage.usual(scenario.market, names, BEGINNINGS[0])
        self._world = self._open(stage)
        tellers = self._world.tellers
        self._liars = [tellers[name] for name in scenario.liars]
        self._honest = [teller for name, teller in tellers.items() if name not in scenario.liars]
        self._truth = Truth([teller.venue for teller in self._honest])
        self._set_delays()

    def _open(self, stage: Stage) -> World:
        scenario, begin_ms = self._scenario, self._begin_ms
        if scenario.presence == "start":
            return stage.open_fresh(scenario.market, scenario.names, begin_ms)
        return stage.open_filled(
            scenario.market, scenario.names, begin_ms - (OUTAGE if scenario.presence == "back" else 0)
        )

    def _set_delays(self) -> None:
        late = {"level": [], "honest late": self._honest, "liars late": self._liars}[self._scenario.speed]
        for teller in late:
            teller.delay_s = LATE_S

    # How lies come and go

    def lie_from_the_start(self) -> None:
        """A fresh store meets liars."""
        self._lie()
        self._cycle(8)
        self._check()

    def lie_for_a_while(self) -> None:
        """They lie for 90 s."""
        self._cycle(3, SHORT)
        self._lie()
        self._cycle(9, SHORT)
        self._check()

    def lie_first(self) -> None:
        """After an outage of all they are back a cycle before the others."""
        _turn(self._world.tellers.values(), down=True)
        for _ in range(3):
            self._cycle(1, (OUTAGE - MINUTE) // 3)
        self._world.wait_until(self._begin_ms)
        _turn(self._liars, down=False)
        self._lie()
        self._cycle(1)
        self._check()
        _turn(self._honest, down=False)
        self._cycle(6)
        self._check()

    def come_right(self) -> None:
        """The lie is over: ten cycles, and a few after each of the next two quarters of an hour."""
        for liar in self._liars:
            liar.lie = None
        self._cycle(10)
        for _ in range(2):
            now_ms = self._world.clock.now_ms()
            self._world.wait_until(now_ms // QUARTER * QUARTER + QUARTER + 7000)
            self._cycle(3)
        self._check()
        minutes = window(self._world.clock.now_ms() - MINUTE)
        self._ran.without_candle = look(self._world.client).without_candle(minutes, self._truth)

    def _lie(self) -> None:
        since_ms = self._begin_ms - FROZEN_FOR[self._scenario.presence]
        for liar, kind in zip(self._liars, self._scenario.kinds, strict=True):
            liar.lie = KINDS[kind](since_ms, self._scenario.chance)

    def _cycle(self, times: int, step_ms: int = MINUTE) -> None:
        """So many cycles, with so much time after the begin of each."""
        for _ in range(times):
            next_ms = self._world.clock.now_ms() + step_ms
            self._judge_live(self._world.collector.cycle())
            self._world.wait_until(next_ms)

    # Whether they are believed

    def _judge_live(self, cycle: Cycle) -> None:
        ran = self._ran
        ran.cycles += 1
        ran.disputed += cycle.flag == "disputed"
        ran.priceless += cycle.stored is None
        if cycle.stored is None or self._truth.live(cycle.stored.time_ms).beyond(cycle.stored.price) <= NEAR:
            return
        if self._outvoted(self._world.tellers.values()):
            ran.hidden += cycle.flag is None and not self._flagged()
        else:
            ran.live += 1

    def _check(self) -> None:
        """Look at all that is stored; what more than half have lied about need not come right."""
        ran, now_ms = self._ran, self._world.clock.now_ms()
        stored = look(self._world.client)
        wrong = find_wrong_minutes(stored, self._truth)
        lost = {minute for minute in wrong if self._was_lost(minute)}
        excused = {minute for minute in wrong if minute in lost or self._outvoted(self._reaching(minute, now_ms))}
        if excused - lost:
            ran.hidden += not self._flagged()
        ran.outvoted |= lost
        ran.buckets |= set(find_wrong_buckets(stored, self._truth, now_ms, excused))
        ran.wrong |= {minute: beyond for minute, beyond in wrong.items() if minute not in excused}

    def _reaching(self, minute_ms: int, now_ms: int) -> list[Teller]:
        return [teller for teller in self._world.tellers.values() if minute_ms >= now_ms - teller.reach_ms]

    def _was_lost(self, minute_ms: int) -> bool:
        """Tell whether more than half of all that reached it lied."""
        reaching = self._reaching(minute_ms, self._begin_ms)
        return 2 * sum(teller in self._liars for teller in reaching) > len(reaching)

    @staticmethod
    def _outvoted(tellers: Iterable[Teller]) -> bool:
        """Tell whether half or more of those that answer lie."""
        answering = [teller for teller in tellers if not teller.down]
        return 0 < len(answering) <= 2 * sum(teller.lie is not None for teller in answering)

    def _flagged(self) -> bool:
        """Tell whether status says something that it does not always say."""
        return bool(self._world.findings() - self._usual)


def _turn(tellers: Iterable[Teller], *, down: bool) -> None:
    for teller in tellers:
        teller.down = down
