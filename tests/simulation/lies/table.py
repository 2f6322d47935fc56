"""The table of what came of many scenarios."""

import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor

from simulation.lies.play import Ran, play
from simulation.lies.scenario import FAMILIES, PRESENCES, SPEEDS, Scenario
from simulation.lies.stage import open_stage

HEAD = (
    "runs",
    "broken",
    "wrong min.",
    "worst",
    "live",
    "buckets",
    "hidden",
    "outvoted",
    "no candle",
    "disputed",
    "no price",
)


CHUNK = 20
"""So many scenarios share a Redis and are told of together."""


class Table:
    """The runs by family, presence and speed."""

    def __init__(self) -> None:
        self._rows: dict[tuple[str, ...], list[Ran]] = defaultdict(list)

    def add(self, runs: Iterable[Ran]) -> None:
        """Take in more runs."""
        for ran in runs:
            scenario = ran.scenario
            self._rows[scenario.family, scenario.presence, scenario.speed].append(ran)

    @property
    def broken(self) -> list[Ran]:
        """The runs that broke a promise."""
        return [ran for runs in self._rows.values() for ran in runs if ran.broken]

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        yield f"{'':36}" + "".join(f"{title:>11}" for title in HEAD)
        for name, runs in sorted(self._rows.items(), key=_order):
            yield f"{', '.join(name):36}" + "".join(f"{figure:>11}" for figure in _figures(runs))
        for ran in self.broken:
            yield f"broken: {_describe(ran)}"


def _order(row: tuple[tuple[str, ...], list[Ran]]) -> list[int]:
    (family, presence, speed), _ = row
    return [[*FAMILIES].index(family), PRESENCES.index(presence), SPEEDS.index(speed)]


def _figures(runs: Sequence[Ran]) -> tuple[object, ...]:
    return (
        len(runs),
        sum(ran.broken for ran in runs),
        sum(len(ran.wrong) for ran in runs),
        f"{max(ran.worst for ran in runs):.1%}",
        sum(ran.live for ran in runs),
        sum(len(ran.buckets) for ran in runs),
        sum(ran.hidden for ran in runs),
        sum(len(ran.outvoted) for ran in runs),
        sum(ran.without_candle for ran in runs),
        sum(ran.disputed for ran in runs),
        sum(ran.priceless for ran in runs),
    )


def _describe(ran: Ran) -> str:
    said = f"{len(ran.wrong)} minutes, {ran.live} live, {len(ran.buckets)} buckets, {ran.hidden} hidden"
    crash = f", {ran.crash.splitlines()[-1]}" if ran.crash else ""
    return f"{ran.scenario} (liars {'~'.join(ran.scenario.liars)}, {ran.scenario.market}): {said}{crash}"


def play_all(scenarios: Iterable[Scenario]) -> list[Ran]:
    """Play the scenarios on a stage of their own."""
    with open_stage() as stage:
        return [play(scenario, stage) for scenario in scenarios]


def play_in_parallel(scenarios: Sequence[Scenario], jobs: int) -> Table:
    """Play them in so many processes, and tell on stderr how far that is."""
    table, played = Table(), 0
    with ProcessPoolExecutor(jobs) as pool:
        for runs in pool.map(play_all, [scenarios[first : first + CHUNK] for first in range(0, len(scenarios), CHUNK)]):
            table.add(runs)
            played += len(runs)
            broken = "".join(f"; broken: {_describe(ran)}" for ran in runs if ran.broken)
            sys.stderr.write(f"{played} of {len(scenarios)}, up to {runs[-1].scenario}{broken}\n")
    return table
