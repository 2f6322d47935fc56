"""Revise settled minutes: replace candles, reopen minutes and update their ledger entries (pure).

The first providers to answer get no preference: a minute supported by few is unproven, and its ledger entry names who
was heard. It is agreed on again once those and more are heard, or have changed their word. A minute supported by a
majority changes only by another majority.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from btcts.domain.candle_agreement import AgreedCandles, Backing, Reach, is_near_candle
from btcts.domain.healing import LOOK_AFTER_MS, is_look_due, is_quarter_over
from btcts.domain.model import CORRECTED, DISAGREE, LOOKS, MOST_CHANGES, NO_TRADES, SPARSE, THIN, UNPROVEN, Candle, Gap

CHANGE = 0.005
"""A candle that changes by more than this fraction was wrong; late trades at exchanges stay within it."""


@dataclass(slots=True)
class Revision:
    """The changes that follow from a look at settled minutes.

    `candles` replace the stored ones. `entries` are written to the ledger before them; afterwards the minutes in
    `reopened` lose their candle and enter the ledger, and those in `forgotten` leave it. `inconclusive` are minutes
    supported by a majority for which no majority was heard now.
    """

    candles: dict[int, Candle] = field(default_factory=dict)
    entries: dict[int, Gap] = field(default_factory=dict)
    reopened: dict[int, Gap] = field(default_factory=dict)
    forgotten: set[int] = field(default_factory=set)
    inconclusive: set[int] = field(default_factory=set)

    def absorb(self, later: "Revision") -> None:
        """Add the changes of a later look, which win for minutes in both."""
        self.candles |= later.candles
        self.entries |= later.entries
        self.reopened |= later.reopened
        self.forgotten |= later.forgotten
        self.inconclusive |= later.inconclusive
        for minute in self.reopened:
            self.candles.pop(minute, None)


@dataclass(frozen=True, slots=True)
class Reviser:
    """Compares what providers agree on at `now_ms` with the `stored` candles of settled minutes (None: damaged)."""

    agreed: AgreedCandles
    stored: Mapping[int, Candle | None]
    ledger: Mapping[int, Gap]
    reach: Reach
    now_ms: int

    def revise(self, minutes: Iterable[int]) -> Revision:
        """Revise those of the minutes that are settled."""
        revision = Revision()
        for minute in sorted(self.stored.keys() & minutes):
            entry = self.ledger.get(minute)
            entry = entry if entry and entry.reason in LOOKS else None
            backing = self.agreed.backing.get(minute, Backing(frozenset()))
            unproven = entry is not None and entry.reason in UNPROVEN
            if not unproven and not self.reach.has_majority(backing.heard, minute, self.now_ms):
                revision.inconclusive.add(minute)
            judged = self._can_judge(minute, entry, backing)
            if judged and minute in self.agreed.candles:
                self._compare(revision, minute, entry, backing)
            elif judged and entry and unproven:
                reason = DISAGREE if minute in self.agreed.disputed else NO_TRADES
                revision.reopened[minute] = Gap(reason, 1, self.now_ms, tuple(sorted(backing.heard)), entry.changes)
            else:
                self._count_look(revision, minute, entry, backing)
        return revision

    def _can_judge(self, minute: int, entry: Gap | None, backing: Backing) -> bool:
        """Tell whether the answers outweigh the stored candle.

        They do if a majority agrees. They also outweigh an unproven minute if all its providers were heard again. Else
        what all that reach it agree on replaces a candle that is not near, and a majority that has none reopens a thin
        minute.
        """
        if not backing.heard:
            return False
        agreed, doubt = minute in self.agreed.candles, self.reach.find_doubt(backing, minute, self.now_ms)
        if agreed and doubt is None:
            return True
        if entry is None or entry.reason not in UNPROVEN:
            return False
        if backing.heard.issuperset(entry.heard):
            return True
        if not agreed:
            return entry.reason == THIN and self.reach.has_majority(backing.heard, minute, self.now_ms)
        stored = self.stored[minute]
        return doubt == SPARSE and (stored is None or not is_near_candle(self.agreed.candles[minute], stored))

    def _compare(self, revision: Revision, minute: int, entry: Gap | None, backing: Backing) -> None:
        """Take the agreed candle if it differs, and record whether the minute stays unproven or changed too much."""
        stored, candle = self.stored[minute], self.agreed.candles[minute]
        changes = entry.changes if entry else 0
        moved = stored is not None and measure_move(stored, candle) > CHANGE
        doubt = self.reach.find_doubt(backing, minute, self.now_ms)
        if moved and entry and changes + 1 >= MOST_CHANGES and len(backing.near) <= len(entry.heard):
            revision.entries[minute] = replace(entry, tries=len(LOOK_AFTER_MS) + 1, changes=MOST_CHANGES)
            return
        if candle != stored:
            revision.candles[minute] = candle
        if doubt:
            heard = tuple(sorted(backing.heard))
            counted = self._count_try(replace(entry or Gap(doubt, 0, 0), reason=doubt), backing)
            revision.entries[minute] = replace(counted, heard=heard, changes=changes + moved)
        elif moved:
            near = tuple(sorted(backing.near))
            revision.entries[minute] = Gap(CORRECTED, 1, self.now_ms, near, changes + 1)
        elif entry and entry.reason in UNPROVEN:
            revision.forgotten.add(minute)
        else:
            self._count_look(revision, minute, entry, backing)

    def _count_look(self, revision: Revision, minute: int, entry: Gap | None, backing: Backing) -> None:
        """Count a look without result; after the last one forget the minute, unless it changed too often."""
        if entry is None:
            return
        if entry.reason in UNPROVEN:
            revision.entries[minute] = self._count_try(entry, backing)
        elif is_look_due(entry, self.now_ms):
            if entry.tries < len(LOOK_AFTER_MS) or entry.changes >= MOST_CHANGES:
                revision.entries[minute] = replace(entry, tries=entry.tries + 1)
            else:
                revision.forgotten.add(minute)

    def _count_try(self, entry: Gap, backing: Backing) -> Gap:
        """Return the entry of an unproven minute after a look.

        For a sparse one at most one per quarter of an hour counts, and none that missed somebody who was heard before:
        the wait would double although nothing was learned.
        """
        again = backing.heard.issuperset(entry.heard) and is_quarter_over(entry, self.now_ms)
        counts = entry.reason == THIN or again
        return replace(entry, tries=max(1, entry.tries + counts), tried_ms=self.now_ms)


def measure_move(before: Candle, after: Candle) -> float:
    """Return the largest relative difference between the fields of two candles: 0.02 is 2 %."""
    return max(abs(new / old - 1) for old, new in zip(before.prices, after.prices, strict=True))
