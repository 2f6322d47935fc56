"""Schedules of faults on real parts: after the last fault and one healing cycle all is as if there had been none.

The tests play a sample; `python benchmarks/exhaustive.py` plays all, `python -m simulation.chaos`, in tests/, some.
"""

from collections.abc import Callable, Iterator
from itertools import islice

import pytest

from simulation.chaos.run import Ran, Total, play
from simulation.chaos.schedule import PAIR_STEPS, SCHEDULES, STREAMED, STREAMED_SCHEDULES, UNBOUNDED, Schedule, draw
from simulation.chaos.stage import Stage, open_stage
from support.samples import take_each, take_run

CHUNK = 2
SEEDS = [
    *take_run(range(1, 1 + SCHEDULES), 6),
    *take_run(range(STREAMED, STREAMED + STREAMED_SCHEDULES), 4),
]
CHUNKS = [SEEDS[first : first + CHUNK] for first in range(0, len(SEEDS), CHUNK)]

Record = Callable[[str, object], None]


@pytest.fixture(scope="session")
def stage() -> Iterator[Stage]:
    """The exchanges of this test process."""
    with open_stage() as opened:
        yield opened


@pytest.mark.parametrize("seeds", CHUNKS, ids=lambda seeds: f"{seeds[0]}-{seeds[-1]}")
def test_after_the_last_fault_one_cycle_heals_everything(seeds: range, stage: Stage, record_property: Record) -> None:
    total = Total()

    for seed in seeds:
        total.add(play(draw(seed), stage))

    record_property("schedules of faults", total.count)
    assert not total.failed, f"\n{total}"


def comparable() -> Iterator[Schedule]:
    """Schedules after which there is nothing that no provider could serve."""
    for seed in range(1, 301):
        schedule = draw(seed)
        market, names, *_ = schedule.setting
        if market == "busy" and set(names) & set(UNBOUNDED) and schedule.kinds.total() > 3:
            yield schedule


@pytest.mark.parametrize("schedule", take_each([*islice(comparable(), 12)], 6), ids=lambda schedule: schedule.seed)
def test_every_bucket_is_that_of_a_run_without_the_faults(schedule: Schedule, stage: Stage) -> None:
    faulty = play(schedule, stage)
    calm = play(schedule.calm(), stage)

    assert calm.problems == ()
    assert faulty.buckets == calm.buckets


def test_a_schedule_is_that_of_its_seed() -> None:
    assert str(draw(7)) == str(draw(7))
    assert str(draw(7)) != str(draw(8))


def test_the_schedules_bring_about_every_kind_of_fault() -> None:
    kinds = sum((draw(seed).kinds for seed in range(1, 301)), start=draw(0).kinds)

    assert min(kinds.values()) >= 5
    assert len(kinds) >= 45


def test_the_schedules_with_streams_bring_about_every_kind_of_fault() -> None:
    kinds = sum((draw(seed).kinds for seed in range(STREAMED, STREAMED + 300)), start=draw(0).kinds)

    assert min(kinds.values()) >= 2
    assert sum(kind.startswith("stream ") for kind in kinds) >= 20


def streamed() -> Iterator[Schedule]:
    """Schedules with streams after which there is nothing that no provider could serve."""
    for seed in range(STREAMED, STREAMED + 300):
        schedule = draw(seed)
        market, names, *_ = schedule.setting
        if market == "busy" and set(names) & set(UNBOUNDED) and len(schedule.steps) == PAIR_STEPS:
            yield schedule


@pytest.mark.parametrize("schedule", take_each([*islice(streamed(), 8)], 8), ids=lambda schedule: schedule.seed)
def test_two_collectors_one_with_streams_end_in_the_buckets_of_those_without(schedule: Schedule, stage: Stage) -> None:
    streamed = play(schedule, stage)
    polled = play(schedule.calm().poll(), stage)

    assert streamed.problems == polled.problems == ()
    assert find_closed(streamed) == find_closed(polled)


def find_closed(ran: Ran) -> dict[str, list[tuple[int, float]]]:
    """The buckets but the newest one of each series, which is open."""
    return {key: sorted(buckets.items())[:-1] for key, buckets in ran.buckets.items()}
