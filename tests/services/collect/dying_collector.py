"""A collector that is killed at each step on the disk in turn: `python -m services.dying_collector FOLDER SOCKET`."""

import json
import os
import sys
from pathlib import Path

from btcts.config import BTC_USD
from btcts.providers.poller import Poller
from btcts.providers.simulated import Simulated
from btcts.services.collect.collector import Collector
from btcts.services.collect.cycle import Cycle
from btcts.services.collect.spool import Spool
from btcts.store import Store
from support.clocks import FakeClock
from support.dying import Say, lives
from support.servers import connect

BEGIN_MS = 1_767_225_607_000
"""Off the stamps of candles, which in a settled minute are the candle's alone."""

LIFE_MS = 600_000


def cycle(clock: FakeClock, socket: Path, home: Path) -> Cycle:
    """One cycle of a new run."""
    clock.advance(20_000)
    with connect(socket) as client, Poller([Simulated(clock)]) as poller:
        store = Store(client, BTC_USD, clock=clock, where="test")
        return Collector(store, poller, cadence_s=20.0, spool=Spool(home / "spool")).cycle()


def clock_of(number: int) -> FakeClock:
    """Each life has its own ten minutes."""
    return FakeClock(BEGIN_MS + number * LIFE_MS)


def clean_up(number: int, home: Path, socket: Path) -> None:
    """The run after the life, in a process of its own as well, for its threads must not live on in here."""
    child = os.fork()
    if child == 0:
        clock = clock_of(number)
        clock.advance(200_000)
        cycle(clock, socket, home)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert status == 0, f"the run after life {number} failed"


def main(folder: Path, socket: Path) -> None:
    """Live: Redis is away for two cycles, back for one, and away again for one; then another run cleans up."""
    away = folder / "nobody"

    def live(home: Path, number: int, say: Say) -> None:
        clock = clock_of(number)
        for where in (away, away, socket, away):
            told = cycle(clock, where, home)
            say(told.stored or told.spooled)

    for number, home, said in lives(folder / "lives", live, stride=4):
        clean_up(number, home, socket)
        print(json.dumps([number, str(home), said]))  # noqa: T201 -- how it reports to the test


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
