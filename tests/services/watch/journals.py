"""The journal on the disk, written and read past any watch."""

from collections.abc import Collection
from pathlib import Path

from btcts.services.watch.journal import Journal, Kept


def record_state(folder: Path, rule: str, kept: Kept) -> None:
    """Put this state of the rule on the disk, in the place of what is there."""
    journal = Journal(folder, "test", [rule])
    with journal.lock():
        journal.recall(())
        journal.add(rule, kept.standing, kept.waiting)
        for way, until_ms in kept.held.items():
            journal.hold(rule, way, until_ms)
        journal.record(lag_ms=0)


def read_state(folder: Path, rule: str, ways: Collection[str] = ("stdout", "exec", "hook")) -> Kept | None:
    """The state of the rule on the disk, with what is to be delivered by these ways; None when it is damaged."""
    journal = Journal(folder, "test", [rule])
    return None if journal.recall(ways) else journal.find(rule)
