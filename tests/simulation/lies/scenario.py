"""Scenarios of lies (who lies, how, when and how fast): each has a name, and is drawn from its name alone."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations_with_replacement
from typing import NamedTuple

from simulation.lies.kinds import KINDS
from simulation.lies.market import find_markets
from simulation.lies.venues import AGGREGATOR, NAMES

PRESENCES = ("start", "middle", "back")
"""A lie is there from the start of a fresh store, for 90 s in the middle, or first back after an outage."""

SPEEDS = ("level", "honest late", "liars late")
"""Whose candles arrive only after a cycle has stopped to wait for them."""


class Family(NamedTuple):
    """So many of so many venues lie, perhaps beside an honest aggregator that has prices alone.

    `sample` is how many choices of kinds are played (None: all).
    """

    liars: int
    venues: int
    sample: int | None = None
    aggregator: bool = False


FAMILIES = {
    "alone": Family(1, 5),
    "pairs": Family(2, 5),
    "two of four": Family(2, 4),
    "three of six": Family(3, 6, 20),
    "one of four": Family(1, 4),
    "beside an aggregator": Family(2, 5, 10, aggregator=True),
}


@dataclass(frozen=True)
class Scenario:
    """One run: the kinds of lies of as many venues as there are kinds."""

    family: str
    presence: str
    speed: str
    kinds: tuple[str, ...]
    seed: int
    markets: tuple[str, ...]

    def __str__(self) -> str:
        return "/".join((self.family, self.presence, self.speed, "~".join(self.kinds), str(self.seed)))

    @property
    def names(self) -> tuple[str, ...]:
        """All providers."""
        return (*self._venues, AGGREGATOR) if FAMILIES[self.family].aggregator else self._venues

    @property
    def liars(self) -> tuple[str, ...]:
        """The venues that lie, in the order of the kinds."""
        return tuple(self._rng("liars").sample(self._venues, len(self.kinds)))

    @property
    def _venues(self) -> tuple[str, ...]:
        return NAMES[: FAMILIES[self.family].venues]

    @property
    def market(self) -> str:
        """The market that is traded."""
        return self._rng("market").choice(self.markets)

    @property
    def chance(self) -> float:
        """The chance for lies that leave room for it."""
        return self._rng("chance").random()

    def _rng(self, what: str) -> random.Random:
        return random.Random(f"{what} {self}")


def draw(family: str, seed: int, *, markets: tuple[str, ...] | None = None) -> Iterator[Scenario]:
    """All scenarios of a family; another seed has other venues lie on other markets."""
    size = FAMILIES[family]
    chosen = list(combinations_with_replacement(KINDS, size.liars))
    if size.sample is not None:
        chosen = random.Random(seed).sample(chosen, size.sample)
    for kinds in chosen:
        for presence in PRESENCES:
            for speed in SPEEDS if size.liars == 1 else SPEEDS[:2]:
                yield Scenario(family, presence, speed, kinds, seed, markets or find_markets())


def parse(name: str) -> Scenario:
    """The scenario of that name."""
    family, presence, speed, kinds, seed = name.split("/")
    return Scenario(family, presence, speed, tuple(kinds.split("~")), int(seed), find_markets())
