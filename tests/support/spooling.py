"""The work of separate processes on a spool: `python -m spooling live|trace|share|fill FOLDER`."""

import json
import sys
from pathlib import Path

from btcts.domain.model import Tick
from btcts.errors import SpoolError
from btcts.services.collect.spool import Spool
from support.dying import Say, Steps, lives

NOW = 1_767_270_896_789
"""1 January 2026, 12:34:56.789 UTC."""

CHANGES = ("write", "replace", "fsync")


def some(count: int) -> list[Tick]:
    """Ticks of the time before `NOW`, ascending."""
    return [Tick(NOW - 1000 * (count - number), 60_000.125 + number) for number in range(count)]


def live_once(home: Path, number: int, say: Say) -> None:
    """Keep four prices and take out the first three, as collectors do it."""
    spool = Spool(home / "state" / "spool")
    first, second, third, fourth = some(4)
    for tick in (first, second):
        spool.keep(tick)
        say(["kept", tick])
    held = spool.read(NOW)
    spool.keep(third)
    say(["kept", third])
    for written in (held, spool.read(NOW)):
        for tick in written.ticks:
            say(["written", tick])
        spool.drop(written)
    spool.keep(fourth)
    say(["kept", fourth])


def live(folder: Path) -> None:
    """Do that again and again, killed at each step in turn; a line about each life."""
    for _, home, said in lives(folder, live_once):
        print(json.dumps([str(home), said]))  # noqa: T201 -- how it reports to the test


def trace(folder: Path) -> None:
    """Tell the calls that change the disk, of keeping a price and of taking out the one before it."""
    first, second = some(2)
    spool = Spool(folder / "spool")
    spool.keep(first)
    held = spool.read(NOW)
    steps = Steps(folder)
    spool.keep(second)
    kept = len(steps.calls)
    spool.drop(held)
    lasting = [[each for each in calls if each in CHANGES] for calls in (steps.calls[:kept], steps.calls[kept:])]
    print(json.dumps(lasting))  # noqa: T201 -- how it reports to the test


def share(folder: Path, first: int, count: int, step: int) -> None:
    """Keep every `step`th of so many prices, while others do the same."""
    spool = Spool(folder, patience_s=30)
    for tick in some(count)[first::step]:
        spool.keep(tick)


def fill(folder: Path) -> None:
    """Keep prices until the disk is full; then take them out and keep one more."""
    spool = Spool(folder / "spool")
    kept: list[Tick] = []
    refusal = ""
    for tick in some(3600):
        try:
            spool.keep(tick)
        except SpoolError as exc:
            refusal = str(exc)
            break
        kept.append(tick)
    held = spool.read(NOW)
    spool.drop(held)
    spool.keep(Tick(NOW, 1.5))
    found = [refusal, len(kept), held.ticks == tuple(kept), held.torn, spool.read(NOW).ticks]
    print(json.dumps(found))  # noqa: T201 -- how it reports to the test


if __name__ == "__main__":
    what, where, *numbers = sys.argv[1:]
    {"live": live, "trace": trace, "share": share, "fill": fill}[what](Path(where), *map(int, numbers))
