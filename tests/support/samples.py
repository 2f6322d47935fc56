"""The sample that a run of the tests takes of what takes long: another one each day, the whole of it by a word.

`python benchmarks/exhaustive.py` runs the whole: all that a sample may be of holds there, so that a day that turns the
tests red tells of a change and not of the calendar.
"""

import os
import time
from collections.abc import Iterator, Sequence
from itertools import count
from typing import TypeVar

VARIABLE = "BTCTS_TEST_SAMPLE"
"""A number, or `all`; test processes have it from the one that has started them."""

CHOSEN = os.environ.setdefault(VARIABLE, str(int(time.time() // 86_400)))

ALL = CHOSEN == "all"
NUMBER = 0 if ALL else int(CHOSEN)

Thing = TypeVar("Thing")


def take_run(things: Sequence[Thing], size: int) -> Sequence[Thing]:
    """Return `size` neighbours: a run after the other from day to day, until all have had their turn."""
    runs = max(1, len(things) // size)
    first = NUMBER % runs * size
    return things if ALL else things[first : first + size]


def take_each(things: Sequence[Thing], stride: int) -> Sequence[Thing]:
    """Return one of so many, from the first to the last; all of them within `stride` days."""
    return things if ALL else things[NUMBER % stride :: stride]


def count_steps(stride: int) -> Iterator[int]:
    """Count from 1 in steps of about that length: the first step, and then others each day."""
    if ALL:
        yield from count(1)
    yield 1
    yield from count(2 + NUMBER % stride, stride)
