"""The sample that a run of the tests takes of what takes long: another one each day, the whole of it by a word.

`python benchmarks/exhaustive.py` runs the whole: all that a sample may be of holds there, so that a day that turns the
tests red tells of a change and not of the calendar.
"""

import os
import time
from collections.abc import Iterator, Sequence
from itertools import chain, count
from typing import TypeVar

VARIABLE = "BTCTS_TEST_SAMPLE"
"""A number, or `all`; test processes have it from the one that has started them."""

CHOSEN = os.environ.setdefault(VARIABLE, str(int(time.time() // 86_400)))

DAY = None if CHOSEN == "all" else int(CHOSEN)
"""The number of the sample; None takes all."""

ALL = DAY is None

Thing = TypeVar("Thing")


def take_run(things: Sequence[Thing], size: int, *, day: int | None = DAY) -> Sequence[Thing]:
    """Return `size` neighbours: a run after the other from day to day, until all have had their turn."""
    if day is None:
        return things
    first = day % max(1, len(things) // size) * size
    return things[first : first + size]


def take_each(things: Sequence[Thing], stride: int, *, day: int | None = DAY) -> Sequence[Thing]:
    """Return one of so many, from the first to the last; all of them within `stride` days."""
    return things if day is None else things[day % stride :: stride]


def count_steps(stride: int, *, day: int | None = DAY) -> Iterator[int]:
    """Count from 1 in steps of about that length: the first step, and then others each day."""
    if day is None:
        return count(1)
    return chain([1], count(2 + day % stride, stride))
