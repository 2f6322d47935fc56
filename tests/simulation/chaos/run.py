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
from simulation.chaos.schedule import LONG_MS, UNBOUNDED, Schedule, Step, draw
from simulation.chaos.stage import COLLECTORS, Stage, open_stage
from simulation.chaos.world import DOUBT_MS, World, open_world, raw_ticks
from support.series import COMPACTIONS, MINUTE, samples

SETTLING_IN_MS = 2_000
"""Every other step its troubles meet the streams before a cycle."""

RUN_MS = 20_000
"""After a stretch without collectors they run for so long before somebody does a cycle."""


@dataclass(frozen=True)
class Ran:
    """The outcome of a schedule: `problems` are empty when all is as it would be without its faults."""

    schedule: Schedule
    problems: tuple[str, ...]
    cycles: tuple[Account, ...]
    buckets: Mapping[str, Mapping[int, float]]
    claims: int = 0
    """Minutes within bounds of slots that were called exact."""


@dataclass
class Total:
    """The outcome of many schedules."""

    count: int = 0
    failed: dict[int, tuple[str, ...]] = field(default_factory=dict)
    kinds: Counter[str] = field(default_factory=Counter)
    cycles: int = 0
    claims: int = 0
    seconds: float = 0.0

    def add(self, ran: Ran) -> None:
        """Count one more."""
        self.count += 1
        self.kinds += ran.schedule.kinds
        self.cycles += len(ran.cycles)
        self.claims += ran.claims
        if ran.problems:
            self.failed[ran.schedule.seed] = ran.problems

    def merge(self, other: "Total") -> None:
        """Count those of another process."""
        self.count += other.count
        self.kinds += other.kinds
        self.cycles += other.cycles
        self.claims += other.claims
        self.failed |= other.failed

    def __str__(self) -> str:
        lines = [f"{count:6} {kind}" for kind, count in self.kinds.most_common()]
        lines += [f"seed {seed}: {'; '.join(problems[:3])}" for seed, problems in sorted(self.failed.items())]
        seeds = " ".join(map(str, sorted(self.failed))) or "none"
        counts = f"{self.cycles} cycles, {self.kinds.total()} faults, {self.claims} exact minutes"
        lines.append(f"{self.count} schedules, {counts}, {self.seconds:.1f} s")
        return "\n".join((*lines, f"seeds that fail: {seeds}"))


def play(schedule: Schedule, stage: Stage) -> Ran:
    """Play a schedule to its end, and judge what is stored then."""
    with open_world(stage, schedule.setting) as world:
        problems: list[str] = []
        try:
            for step, moment in zip(schedule.steps, schedule.moments, strict=False):
                _go_to(world, moment)
                problems += _take(world, step)
            healed = _heal(world, schedule)
            problems += world.lies
            problems += [str(healed)] if isinstance(healed, StoreError) else judge(world, healed)
            buckets = {key: samples(world.admin, key, latest=True) for key in COMPACTIONS}
        except Exception:  # noqa: BLE001 - whatever it is, the seed that brings it about is to be told
            problems.append(traceback.format_exc())
            buckets = {}
        return Ran(schedule, tuple(problems), tuple(world.cycles), buckets, world.claims.checked)


def _take(world: World, step: Step) -> Iterator[str]:
    """One step; what was done in it that may not be done."""
    for trouble in step.ends:
        trouble.end(world)
    for trouble in step.begins:
        trouble.begin(world)
    stepped = any(each.kind == "clock step" for each in (*step.begins, *step.ends))
    if world.streaming and (stepped or step.after_ms % 2 == 0):
        world.live_to(world.true.now_ms() + SETTLING_IN_MS)
    if step.runs == "new":
        world.renew(0)
    accounts = world.run(*{"both": range(COLLECTORS), "nobody": ()}.get(step.runs, (0,)))
    if world.streaming:
        world.look()
    if abs(world.clock.wrong_ms) > DOUBT_MS:
        yield from (f"{each} was written under a wrong clock" for each in accounts if _wrote(world, each))
    if not set(world.names) & set(UNBOUNDED) and world.alive and not world.strange:
        _note_settled(world)


def _go_to(world: World, moment_ms: int, long_ms: int = LONG_MS) -> None:
    """Let time pass; after a long stretch without collectors, these run for the last seconds of it."""
    if not world.streaming:
        world.go_to(moment_ms)
        return
    if moment_ms - world.true.now_ms() >= long_ms:
        world.jump_to(moment_ms - RUN_MS)
    world.live_to(moment_ms)


def _wrote(world: World, account: Account) -> bool:
    """Tell whether a cycle has written; with streams it counts as settled what was settled before it began."""
    return isinstance(account, Cycle) and bool(
        account.stored or account.spooled or (account.settled and not world.streaming) or account.corrected
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
    _go_to(world, schedule.moments[-1], LONG_MS if schedule.seed % 3 else MINUTE)
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
                sys.stderr.write(f"seed {seed} fails: {ran.problems[0]}\n")
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
