"""A watch that is killed at each step on the disk in turn: `python -m services.watch.dying_watch FOLDER SOCKET`."""

import json
import sys
from pathlib import Path

from btcts.config import BTC_USD
from btcts.domain.model import Tick
from btcts.services.watch.journal import Journal
from btcts.services.watch.outbox import Outbox
from btcts.services.watch.rules import Alert, Level
from btcts.services.watch.watcher import Watch, once
from btcts.store import Store
from support.clocks import FakeClock
from support.dying import Say, life, lives
from support.series import MINUTE, NOW
from support.servers import connect

RULE = Level(1, 60_000.0)

PRICES = (55_000.0, 60_000.0, 49_000.0, 61_000.0, 55_000.0)
"""One a minute. Nothing fires at the first of them, two alerts lie between that and the last."""


def look(socket: Path, home: Path, count: int, say: Say) -> None:
    """One look of a new run when so many of the prices have come in; what is printed and delivered is said."""
    clock = FakeClock(NOW + count * MINUTE)
    journal = Journal(home / "alerts", "test", [RULE.name])
    outbox = Outbox(journal, {"exec": lambda alert: say(["exec", alert.id])}, lambda: 0.0)
    with connect(socket) as client, journal.lock():
        client.flushall()
        store = Store(client, BTC_USD, clock=clock, where="test")
        store.write([Tick(NOW + number * MINUTE, price) for number, price in enumerate(PRICES[:count])])
        for told in once(Watch(store, [RULE], outbox)):
            say(["stdout", told.id] if isinstance(told, Alert) else ["notice", told.code])


def main(folder: Path, socket: Path) -> None:
    """Live: a look at the first price, and one at all of them; then two runs, which nobody kills, end what it began."""

    def live(home: Path, number: int, say: Say) -> None:
        look(socket, home, 1, say)
        say("begun")
        look(socket, home, len(PRICES), say)

    for number, home, said in lives(folder / "lives", live, stride=4):
        begun = "begun" in said
        if not begun:
            assert life(lambda say, home=home: look(socket, home, 1, say)) == (False, [])
        after = [life(lambda say, home=home: look(socket, home, len(PRICES), say))[1] for _ in range(2)]
        print(json.dumps([number, said[said.index("begun") + 1 :] if begun else [], *after]))  # noqa: T201 -- tells the test


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
