"""The events of a schedule and their times, drawn by its seed.

Troubles lie in lanes: of one lane there is never more than one at a time. Rules keep to what the design promises: of
the providers one at most lies about prices, and then another one that reaches back without limit is honest all the
time; while the clock is wrong by more than the providers' Date headers may differ, these are right.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate
from random import Random

from simulation.chaos.answers import LIES, NETWORK, PROVIDER
from simulation.chaos.faults import EVENTS, REDIS, WIRE, Draw, Trouble, no_spool, wrong_clock
from simulation.chaos.stage import EXCHANGES
from simulation.chaos.stream_faults import STREAM, lying
from simulation.chaos.world import Setting
from support.series import HOUR, MIDNIGHT, MINUTE

SCHEDULES = 2000
"""So many are played, by the seeds from 1 on."""

STREAMED = 10_000
STREAMED_SCHEDULES = 1_000
"""So many are with streams, by the seeds from `STREAMED` on."""

UNBOUNDED = ("coinbase", "bitstamp", "bitfinex")
FALSIFIED_MS = 16 * MINUTE
"""After an answer that was wrong its minute may wait for up to a quarter of an hour."""

FINAL_MS = 5_000
"""A minute's candle is final so long after its end."""

AWAITED_MS = 9_000
"""By then a minute is settled from trades, or candles are asked for."""

PAIR_STEPS = 24
"""Cycles of two collectors that run all the time."""

LONG_MS = 2 * MINUTE
"""A longer pause is one in which no collector runs; in shorter ones those with streams write a price each second."""

RUNS = ("same", "same", "same", "new", "new", "both", "both", "nobody")
"""Who does the cycle of a step: the first collector, a new one in its place, two at the same time, or nobody."""


@dataclass
class Step:
    """So long after the step before it some troubles end, others begin, and then somebody does a cycle."""

    after_ms: int
    runs: str
    ends: list[Trouble] = field(default_factory=list)
    begins: list[Trouble] = field(default_factory=list)


@dataclass(frozen=True)
class Schedule:
    """All that a seed stands for; `rest_ms` is the time from the last step to the cycle that heals."""

    setting: Setting
    steps: tuple[Step, ...]
    rest_ms: int
    healer: str

    @property
    def seed(self) -> int:
        """The number that stands for it."""
        return self.setting.seed

    @property
    def moments(self) -> list[int]:
        """When the steps are, and the healing cycle last."""
        pauses = (*(each.after_ms for each in self.steps), self.rest_ms)
        return [self.setting.begin_ms + passed for passed in accumulate(pauses)]

    @property
    def kinds(self) -> Counter[str]:
        """Count how often each kind of trouble begins."""
        return Counter(each.kind for step in self.steps for each in step.begins)

    def calm(self) -> "Schedule":
        """The same without its troubles."""
        return replace(self, steps=tuple(Step(each.after_ms, each.runs) for each in self.steps))

    def poll(self) -> "Schedule":
        """The same without streams."""
        return replace(self, setting=self.setting._replace(streaming=()))

    def __str__(self) -> str:
        _, names, _, durable, streaming, seed, _ = self.setting
        disk = "always" if durable else "everysec"
        lines = [f"seed {seed}: {self.setting.market} market, {', '.join(names)}; appendfsync {disk}"]
        lines += [f"  streams of collectors {streaming}"] if streaming else []
        for step in self.steps:
            lines.append(f"  +{step.after_ms / 1000:.0f} s")
            lines += [f"      ends    {each.words}" for each in step.ends]
            lines += [f"      begins  {each.words}" for each in step.begins]
            lines.append(f"      cycle   {step.runs}")
        return "\n".join((*lines, f"  +{self.rest_ms / 1000:.0f} s: all ends, the healing cycle ({self.healer})"))


def draw(seed: int) -> Schedule:
    """The schedule of a seed."""
    return draw_streamed(seed) if seed >= STREAMED else draw_polled(seed)


def draw_polled(seed: int) -> Schedule:
    """The schedule of a seed without streams."""
    chance = Random(seed)
    names = tuple(chance.sample(EXCHANGES, chance.choices((1, 2, 3, 5), (8, 17, 66, 9))[0]))
    steps = tuple(Step(_pause_ms(chance), chance.choice(RUNS)) for _ in range(chance.randrange(4, 13)))
    lanes = Lanes(chance, steps)
    lanes.fill(names)
    begin_ms = MIDNIGHT + chance.randrange(12 * HOUR)
    market, durable = chance.choice(("busy", "busy", "busy", "thin")), chance.random() < 0.5
    rest_ms = _rest_ms(chance, begin_ms + lanes.times[-1], lanes)
    setting = Setting(market, names, begin_ms, durable, seed=seed)
    return Schedule(setting, steps, rest_ms, healer=chance.choice(("same", "same", "new")))


def draw_streamed(seed: int) -> Schedule:
    """The schedule of a seed with streams: shorter steps, and more providers."""
    chance = Random(seed)
    names = tuple(chance.sample(EXCHANGES, chance.choices((1, 2, 3, 4, 5), (2, 4, 24, 20, 50))[0]))
    steps = tuple(_draw_steps(chance) if chance.random() < 0.9 else _draw_pair(chance))
    lanes = Lanes(chance, steps)
    if chance.random() < 0.6:
        lanes.fill(names)
    lanes.fill_streams(names)
    begin_ms = MIDNIGHT + chance.randrange(12 * HOUR)
    rest_ms = _rest_ms(chance, begin_ms + lanes.times[-1], lanes)
    rest_ms += max(0, AWAITED_MS - (begin_ms + lanes.times[-1] + rest_ms) % MINUTE)
    market, durable = chance.choice(("busy", "busy", "busy", "thin")), chance.random() < 0.5
    healer, streaming = chance.choice(("same", "same", "new")), chance.choice(((0,), (0,), (1,), (0, 1)))
    setting = Setting(market, names, begin_ms, durable, streaming, seed, truthful=_is_truthful(steps))
    return Schedule(setting, steps, rest_ms, healer)


def _is_truthful(steps: Sequence[Step]) -> bool:
    """Tell whether no exchange tells anything wrong, or late by more than it may."""
    begun = [trouble for step in steps for trouble in step.begins]
    return not any(trouble.lies or trouble.kind in ("stream inexact", "stream 4900 ms late") for trouble in begun)


def _draw_steps(chance: Random) -> Iterator[Step]:
    for _ in range(chance.randrange(5, 13)):
        yield Step(_short_pause_ms(chance), chance.choice((*RUNS, "same", "both", "both")))


def _draw_pair(chance: Random) -> Iterator[Step]:
    """Two collectors that run all the time, one of which is restarted each minute."""
    for number in range(PAIR_STEPS):
        yield Step(10_000, "new" if number % 6 == 5 else "both")


def _short_pause_ms(chance: Random) -> int:
    """Some seconds, seldom minutes."""
    return chance.randrange(LONG_MS, 10 * MINUTE) if chance.random() < 0.06 else chance.randrange(4_000, 24_000)


def _pause_ms(chance: Random) -> int:
    """Seconds, minutes or, seldom, hours."""
    kind = chance.choices(("seconds", "minutes", "hours"), (6, 3, 1))[0]
    if kind == "seconds":
        return chance.randrange(10_000, 70_000)
    return chance.randrange(2 * MINUTE, 25 * MINUTE) if kind == "minutes" else chance.randrange(HOUR, 5 * HOUR)


def _rest_ms(chance: Random, last_ms: int, lanes: "Lanes") -> int:
    """A minute or so, or until the last ban is over; a quarter of an hour where answers were wrong."""
    interval_ms = FALSIFIED_MS if lanes.lies else MINUTE
    rest_ms = max(interval_ms, lanes.banned_until - lanes.times[-1]) + chance.randrange(1_000, 15_000)
    return rest_ms + max(0, FINAL_MS - (last_ms + rest_ms) % MINUTE)


class Lanes:
    """Puts troubles into steps; `times` are those of the steps (ms from the begin)."""

    def __init__(self, chance: Random, steps: Sequence[Step]) -> None:
        self.chance = chance
        self.times = list(accumulate(each.after_ms for each in steps))
        self.lies = False
        self.banned_until = 0
        self._steps = steps

    def fill(self, names: Sequence[str]) -> None:
        """Draw the troubles of all lanes."""
        chance = self.chance
        wrong = self._lane(wrong_clock, 0.12, set()) if len(names) > 1 and chance.random() < 0.3 else set()
        busy = self._lane(self._one_of(REDIS), chance.choice((0.0, 0.2, 0.4)), set())
        busy |= self._lane(self._one_of(WIRE), chance.choice((0.0, 0.1, 0.3)), busy)
        idle = {number for number, step in enumerate(self._steps) if step.runs == "nobody"}
        self._lane(self._one_of(EVENTS), chance.choice((0.0, 0.3, 0.6)), busy | idle, longest=1)
        elsewhere = {step for step in range(len(self._steps)) if step in busy or step - 1 not in busy}
        self._lane(no_spool, chance.choice((0.0, 0.5)), elsewhere, longest=1)
        self._lane(no_spool, chance.choice((0.0, 0.0, 0.1)), set(range(len(self._steps))) - elsewhere)
        wrong |= self._lane(self._one_of(NETWORK), chance.choice((0.0, 0.0, 0.15)), wrong, longest=7)
        liar, anchor = self._liar_and_anchor(names)
        for name in names:
            if name != anchor:
                lies = [LIES(name)] * len(PROVIDER) if name == liar else []
                kinds = [*(each(name) for each in PROVIDER), *lies]
                self._lane(self._one_of(kinds), 0.3 if lies else chance.choice((0.0, 0.15, 0.3)), wrong)

    def fill_streams(self, names: Sequence[str]) -> None:
        """Draw the troubles of streams; at most one of three or more is inexact."""
        chance = self.chance
        liar = chance.choice((*names, None, None)) if len(names) > 2 else None
        for name in names:
            kinds = [draw(name) for draw in STREAM if draw is not lying or name == liar]
            self._lane(self._one_of(kinds), chance.choice((0.0, 0.2, 0.4)), set(), longest=3)

    def _liar_and_anchor(self, names: Sequence[str]) -> tuple[str | None, str | None]:
        """One that may lie, and one that is honest then."""
        anchors = [name for name in names if name in UNBOUNDED]
        if len(names) < 2 or not anchors or self.chance.random() < 0.5:
            return None, None
        anchor = self.chance.choice(anchors)
        return self.chance.choice([name for name in names if name != anchor]), anchor

    def _one_of(self, draws: Sequence[Draw]) -> Draw:
        return lambda chance: chance.choice(draws)(chance)

    def _lane(self, draw: Draw, chance: float, taken: set[int], *, longest: int = 4) -> set[int]:
        """Let troubles begin with this chance where no step is taken; the steps they take."""
        mine: set[int] = set()
        at = 0
        while at < len(self._steps):
            length = self.chance.randrange(1, longest + 1)
            trouble = draw(self.chance)
            over = min(at + length, len(self._steps))
            away = {step for step in range(at, len(self._steps)) if step < over or self._banned(trouble, over, step)}
            if self.chance.random() >= chance or away & taken:
                at += 1
                continue
            self._put(trouble, at, over)
            mine |= away
            at = max(away) + 1
        return mine

    def _put(self, trouble: Trouble, at: int, over: int) -> None:
        self._steps[at].begins.append(trouble)
        if over < len(self._steps):
            self._steps[over].ends.append(trouble)
        self.lies |= trouble.lies
        self.banned_until = max(self.banned_until, self.times[over - 1] + trouble.ban_ms)

    def _banned(self, trouble: Trouble, over: int, step: int) -> bool:
        """Tell whether the trouble still keeps a provider away in that step."""
        return self.times[step] <= self.times[over - 1] + trouble.ban_ms
