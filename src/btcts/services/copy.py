"""`copy`: copy all keys of a market from one Redis to another, and compare both afterwards."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from btcts.domain.codes import CopyCode, CopyNote
from btcts.domain.layout import FUTURE_SLACK_MS
from btcts.errors import ConfigError, StoreError

if TYPE_CHECKING:
    from btcts.store import Inspection, Store
    from btcts.store.contents import Contents

LONGEST_DOUBT_S = 150
"""Longest time after a cycle in which a collector counts as running."""


@dataclass(frozen=True, slots=True)
class CopiedPart:
    """A key of the source and its copy.

    `entries` are the samples or fields that the source had, `before` those that the target had. `differing` of them
    are not the same in the end; None where nothing was written.
    """

    source_key: str
    key: str
    entries: int
    before: int
    differing: int | None


@dataclass(frozen=True, slots=True)
class Copied:
    """The result: the parts as the source had them at `now_ms`, the ticks first, then buckets, ledger and state."""

    source: str
    target: str
    now_ms: int
    code: CopyCode
    parts: tuple[CopiedPart, ...]
    notes: tuple[CopyNote, ...]

    @property
    def differing(self) -> int:
        """The samples and fields that are not the same in the end."""
        return sum(part.differing or 0 for part in self.parts)


def copy(source: "Store", target: "Store", *, replace: bool = False, dry_run: bool = False) -> Copied:
    """Copy all keys of the market; prices that the target has give way only with `replace`.

    Collectors may go on at the source: the copy is of one moment. A second run finds the same and writes nothing. A run
    that is killed leaves at the target what was there before, or all of the copy.

    Raises:
        ConfigError: source and target are the same keys of the same server.
        ForeignKey: one of our names belongs to somebody else, at either end.
        StoreError: a store does not answer, the source has nothing that can be copied, or the target must not be
            written.
    """
    _refuse_same(source, target)
    origin = source.inspect()
    source.refuse_foreign(origin)
    given = source.contents()
    _refuse_unsound(source, origin, given)
    there = target.inspect()
    held = target.contents()
    target.refuse_foreign(there._replace(foreign=(*there.foreign, *held.find_foreign_hashes())))
    if same := not there.faults and not any(given.count_differences(held).values()):
        code = CopyCode.UNCHANGED
    else:
        code = CopyCode.PLANNED if dry_run else CopyCode.COPIED
        _refuse_target(target, origin, there, given)
        _refuse_loss(target, given, held, replace=replace or given == held)
    after: Mapping[str, int] = {}
    if written := not (same or dry_run):
        target.replace_contents(given, held=held, inspection=there)
        after = given.count_differences(target.contents())
    return Copied(
        source=source.where,
        target=target.where,
        now_ms=given.now_ms,
        code=code,
        parts=tuple(_list_parts(given, held, after)),
        notes=tuple(_find_notes(source, origin, given, written=written)),
    )


def _refuse_same(source: "Store", target: "Store") -> None:
    """Refuse a target that is the source, or a replica of it, by whatever address."""
    here, there = source.facts(), target.facts()
    ids = here.replication_id, there.replication_id
    same_server = ids[0] == ids[1] if all(ids) else source.where == target.where
    if same_server and (here.database, source.layout) == (there.database, target.layout):
        raise ConfigError(f"{target.where} is the Redis that is copied, or a replica of it; name another one")


def _refuse_unsound(source: "Store", origin: "Inspection", given: "Contents") -> None:
    """Refuse a source that has nothing to copy, or what no other Redis would hold in the same way."""
    if given.empty:
        raise StoreError(f"{source.where} holds nothing that could be copied; run btcts collect --once")
    if origin.poisoned:
        raise StoreError(f"{source.where} holds prices from the future; run btcts prune there first")
    if origin.faults:
        keys = ", ".join(sorted({fault.key for fault in origin.faults}))
        raise StoreError(f"{source.where} differs from the layout ({keys}); run btcts init-keys there first")
    if count := given.count_unusable():
        raise StoreError(f"{source.where} holds {count} samples that are no prices; run btcts verify --repair there")


def _refuse_target(target: "Store", origin: "Inspection", there: "Inspection", given: "Contents") -> None:
    """Refuse a target whose clock is behind, that holds prices of the other kind, or that a collector writes to.

    A collector leaves a newest price of its own; an earlier copy leaves one that the source has too.
    """
    behind_ms = given.now_ms - there.now_ms
    if behind_ms > FUTURE_SLACK_MS:
        raise StoreError(
            f"the clock of {target.where} is {behind_ms // 1000} s behind, so that prices would lie in its future; "
            "set it right"
        )
    if origin.state.simulated is not None:
        target.refuse_mixture(there.newest, there.state, simulated=origin.state.simulated)
    copied = there.newest is not None and there.newest.time_ms in given.ticks
    left_s = _measure_doubt_s(there)
    if left_s > 0 and not copied:
        raise StoreError(f"a collector of {target.where} was at work lately; end it, and copy again in {left_s:.0f} s")


def _refuse_loss(target: "Store", given: "Contents", held: "Contents", *, replace: bool) -> None:
    """Refuse to replace prices without being asked to."""
    if replace or held.empty:
        return
    ages = [max(contents.ticks, default=0) for contents in (given, held)]
    than = "as old as" if ages[0] == ages[1] else "older than" if ages[0] > ages[1] else "newer than"
    raise StoreError(
        f"{target.where} holds {len(held.ticks)} prices already, the newest {than} that of the source; "
        "nothing was changed, name an empty Redis, or replace them with --replace"
    )


def _measure_doubt_s(inspection: "Inspection") -> float:
    """Return the seconds for which a collector still counts as running after its last cycle; 0 or less when none does.

    Two of its cadences, within limits: a collector that runs every few minutes finds the copy at its next run.
    """
    last_ms = inspection.state.last_cycle_ms
    if last_ms is None:
        return 0
    return min(inspection.state.max_silence_s, LONGEST_DOUBT_S) - (inspection.now_ms - last_ms) / 1000


def _list_parts(given: "Contents", held: "Contents", after: Mapping[str, int]) -> Iterator[CopiedPart]:
    for name, part in given.parts.items():
        source_key, key = (f"{contents.layout.prefix}:{name}" for contents in (given, held))
        yield CopiedPart(source_key, key, len(part), len(held.parts[name]), after.get(name))


def _find_notes(source: "Store", origin: "Inspection", given: "Contents", *, written: bool) -> Iterator[CopyNote]:
    if _measure_doubt_s(origin) > 0:
        yield CopyNote.SOURCE_COLLECTED
    if written and any(given.count_differences(source.contents()).values()):
        yield CopyNote.SOURCE_CHANGED
