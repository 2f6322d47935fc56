"""Runs schedules, one or many, and tells which failed."""

import sys
import time
import traceback
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field

import redis

from btcts.errors import StoreError
from btcts.services.collect.cycle import Cycle
from simulation.chaos.judge import judge
from simulation.chaos.said import Account
from simulation.chaos.schedule import UNBOUNDED, Schedule, Step, draw
from simulation.chaos.stage import COLLECTORS, Stage, open_stage
from simulation.chaos.world import World, open_world, raw_ticks
from support.series import COMPACTIONS, MINUTE, samples

DOUBT_MS = 10_000
"""While the clock is further from the providers' than this, nothing is written."""


@dataclass(frozen=True)
class Ran:
    """The outcome of a schedule: `problems` are empty when all is as it would be without its faults."""

    schedule: Schedule
    problems: tuple[str, ...]
    cycles: tuple[Account, ...]
    buckets: Mapping[str, Mapping[int, float]]


@dataclass
class Total:
    """The outcome of many schedules."""

    count: int = 0
    failed: dict[int, tuple[str, ...]] = field(default_factory=dict)
    kinds: Counter[str] = field(default_factory=Counter)
    cycles: int = 0
    seconds: float = 0.0

    def add(self, ran: Ran) -> None:
        """Count one more."""
        self.count += 1
        self.kinds += ran.schedule.kinds
        self.cycles += len(ran.cycles)
        if ran.problems:
            self.failed[ran.schedule.seed] = ran.problems

    def merge(self, other: "Total") -> None:
        """Count those of another process."""
        self.count += other.count
        self.kinds += other.kinds
        self.cycles += other.cycles
        self.failed |= other.failed

    def __str__(self) -> str:
        lines = [f"{count:6} {kind}" for kind, count in self.kinds.most_common()]
        lines += [f"seed {seed}: {'; '.join(problems[:3])}" for seed, problems in sorted(self.failed.items())]
        seeds = " ".join(map(str, sorted(self.failed))) or "none"
        lines.append(f"{self.count} schedules, {self.cycles} cycles, {self.kinds.total()} faults, {self.seconds:.1f} s")
        return "\n".join((*lines, f"seeds that fail: {seeds}"))


def play(schedule: Schedule, stage: Stage) -> Ran:
    """Play a schedule to its end, and judge what is stored then."""
    with open_world(
        stage, schedule.market, schedule.names, begin_ms=schedule.begin_ms, durable=schedule.durable
    ) as world:
        problems: list[str] = []
        try:
            for step, moment in zip(schedule.steps, schedule.moments, strict=False):
                world.go_to(moment)
                problems += _take(world, step)
            healed = _heal(world, schedule)
            problems += [str(healed)] if isinstance(healed, StoreError) else judge(world, healed)
            buckets = {key: samples(world.admin, key, latest=True) for key in COMPACTIONS}
        except Exception:  # noqa: BLE001 - whatever it is, the seed that brings it about is to be told
            problems.append(traceback.format_exc())
            buckets = {}
        return Ran(schedule, tuple(problems), tuple(world.cycles), buckets)


def _take(world: World, step: Step) -> Iterator[str]:
    """One step; what was done in it that may not be done."""
    for trouble in step.ends:
        trouble.end(world)
    for trouble in step.begins:
        trouble.begin(world)
    if step.runs == "new":
        world.renew(0)
    accounts = world.run(*{"both": range(COLLECTORS), "nobody": ()}.get(step.runs, (0,)))
    if abs(world.clock.wrong_ms) > DOUBT_MS:
        yield from (f"{each} was written under a wrong clock" for each in accounts if _wrote(each))
    if not set(world.names) & set(UNBOUNDED) and world.alive and not world.strange:
        _note_settled(world)


def _wrote(account: Account) -> bool:
    return isinstance(account, Cycle) and bool(
        account.stored or account.spooled or account.settled or account.corrected
    )


def _note_settled(world: World) -> None:
    """Remember which minutes are settled: they must stay so."""
    try:
        world.said.settled |= {stamp - MINUTE + 1 for stamp in raw_ticks(world.admin) if stamp % MINUTE == MINUTE - 1}
    except redis.RedisError:
        return


def _heal(world: World, schedule: Schedule) -> Account:
    """End all troubles and do one cycle; and one of the other collector if prices wait on its disk."""
    begun = [each for step in schedule.steps for each in step.begins]
    ended = [each for step in schedule.steps for each in step.ends]
    for trouble in begun:
        if not any(trouble is each for each in ended):
            trouble.end(world)
    world.go_to(schedule.moments[-1])
    if schedule.healer == "new":
        world.renew(0)
    (account,) = world.run(0, patient=True)
    if world.waiting(1):
        world.run(1, patient=True)
    return account


def play_all(seeds: Iterable[int]) -> Total:
    """Play the schedules of the seeds on a stage of their own, and say at once which of them fail."""
    total, began = Total(), time.perf_counter()
    with open_stage() as stage:
        for seed in seeds:
            ran = play(draw(seed), stage)
            total.add(ran)
            if ran.problems:
                sys.stderr.write(f"seed {seed} fails\n")
    total.seconds = time.perf_counter() - began
    return total


def play_in_parallel(seeds: range, jobs: int) -> Total:
    """The same in several processes."""
    total, began = Total(), time.perf_counter()
    with ProcessPoolExecutor(jobs) as pool:
        for each in pool.map(play_all, [seeds[job::jobs] for job in range(jobs)]):
            total.merge(each)
    total.seconds = time.perf_counter() - began
    return total
