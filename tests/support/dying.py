"""Processes that end at a chosen step, as kill -9 and power cuts end them: on the disk, each in turn at the next step.

`Steps` is only for a process of its own without threads, which `lives` forks; it replaces functions of `os` in there.
"""

import json
import os
import signal
from collections.abc import Callable, Iterator
from functools import partial, wraps
from pathlib import Path
from typing import Any

from support.samples import count_steps

CALLS = ("open", "write", "fsync", "close", "ftruncate", "mkdir", "replace", "unlink")
"""The calls by which a folder changes, and those that decide how lasting that is."""

Say = Callable[[object], None]


class Steps:
    """Counts the calls that touch `folder`, and kills this process at step `last`.

    A write has two steps: before it, and when half of it is done. What is before a call is behind the one before it.
    `calls` has the names of those that were made; 0 lets them all be.
    """

    def __init__(self, folder: Path, last: int = 0) -> None:
        self.calls: list[str] = []
        self._folder = str(folder)
        self._left = last
        self._mine: set[int] = set()
        for name in CALLS:
            setattr(os, name, self._counted(name, getattr(os, name)))

    def _counted(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(call)
        def counted(first: Any, *others: Any, **options: Any) -> Any:
            if first not in self._mine and not str(first).startswith(self._folder):
                return call(first, *others, **options)
            self._step()
            if name == "write":
                self._step(lambda: call(first, others[0][: len(others[0]) // 2]))
            self.calls.append(name)
            result = call(first, *others, **options)
            if name == "open":
                self._mine.add(result)
            if name == "close":
                self._mine.discard(first)
            return result

        return counted

    def _step(self, last_act: Callable[[], object] = int) -> None:
        self._left -= 1
        if self._left == 0:
            last_act()
            os.kill(os.getpid(), signal.SIGKILL)


def lives(
    folder: Path, live: Callable[[Path, int, Say], None], *, stride: int = 1
) -> Iterator[tuple[int, Path, list[Any]]]:
    """Live again and again, each time in a folder of its own and up to the next step, until one comes to its end.

    Gives the number of each life, its folder, and what it said, which is what it had said before it was killed. With a
    `stride` it lives at a sample of the steps, one of so many.
    """

    def up_to_the_step(number: int, home: Path, say: Say) -> None:
        Steps(home, number)
        live(home, number, say)

    for number in count_steps(stride):
        home = folder / str(number)
        killed, said = life(partial(up_to_the_step, number, home))
        yield number, home, said
        if not killed:
            return


def life(live: Callable[[Say], None]) -> tuple[bool, list[Any]]:
    """Live once, in a process forked for it: whether it was killed, and what it had said by then."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        live(_speaker(writer))
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as heard:
        said = [json.loads(line) for line in heard]
    _, status = os.waitpid(child, 0)
    killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
    assert killed or status == 0, f"a life ended with status {status}"
    return killed, said


def _speaker(descriptor: int) -> Say:
    write = os.write
    return lambda word: write(descriptor, json.dumps(word).encode() + b"\n") and None
