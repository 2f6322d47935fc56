"""Schedules of failovers: afterwards all is as if there had been none; `benchmarks/exhaustive.py` plays all of them."""

from collections.abc import Callable, Iterator

import pytest

from simulation.chaos.stage import Stage, open_stage
from simulation.failovers import play
from support.samples import take_run
from support.several import Cluster, Sentinels

SCHEDULES = 300
"""So many are played of each kind of a Redis."""

SEEDS = take_run(range(1, 1 + SCHEDULES), 1)

Record = Callable[[str, object], None]


@pytest.fixture(scope="module")
def market_stage() -> Iterator[Stage]:
    """The exchanges of these tests."""
    with open_stage() as opened:
        yield opened


@pytest.mark.parametrize("seed", SEEDS)
def test_after_failovers_of_a_cluster_all_is_as_without(
    seed: int, cluster: Cluster, market_stage: Stage, record_property: Record
) -> None:
    record_property("schedules of failovers", 1)

    assert play(seed, cluster, market_stage) == []


@pytest.mark.parametrize("seed", SEEDS)
def test_after_failovers_under_sentinels_all_is_as_without(
    seed: int, sentinels: Sentinels, market_stage: Stage, record_property: Record
) -> None:
    record_property("schedules of failovers", 1)

    assert play(seed, sentinels, market_stage) == []
