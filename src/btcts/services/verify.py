"""`verify`: recompute every bucket from the ticks, compare, and put right what differs."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from btcts import auditing
from btcts.auditing import Finding

if TYPE_CHECKING:
    from btcts.store import Inspection, Store


@dataclass(frozen=True, slots=True)
class Verified:
    """What was wrong at `now_ms`, and what of it is left: all of it unless it was `repaired`.

    `ticks` is how many of them were read.
    """

    where: str
    now_ms: int
    ticks: int
    findings: tuple[Finding, ...]
    repaired: bool
    left: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class _Examined:
    inspection: "Inspection"
    now_ms: int
    ticks: int
    layout: tuple[Finding, ...]
    contents: tuple[Finding, ...]

    @property
    def findings(self) -> tuple[Finding, ...]:
        return (*self.layout, *self.contents)


def verify(store: "Store", *, repair: bool = False) -> Verified:
    """Compare what is stored with the layout and with the ticks; a repair is followed by another look.

    Raises:
        ForeignKey: a repair is wanted, and one of our names belongs to somebody else.
        StoreError: Redis does not answer or refuses a command.
    """
    first = _examine(store)
    mended = repair and bool(first.findings)
    left = _mend(store, first) if mended else first.findings
    return Verified(store.where, first.now_ms, first.ticks, first.findings, mended, left)


def _mend(store: "Store", found: _Examined) -> tuple[Finding, ...]:
    """Repair the layout first, for it may hide ticks and buckets, then what these hold; what is left."""
    if found.layout:
        store.repair(found.inspection)
        found = _examine(store)
    if found.contents:
        stamps = {stamp for each in found.contents for stamp in each.dropped}
        store.rebuild(found.inspection, dropped=stamps)
        found = _examine(store)
    return found.findings


def _examine(store: "Store") -> _Examined:
    inspection = store.inspect()
    audit = store.audit(inspection)
    foreign = (Finding(key, "was not made by btcts") for key in inspection.foreign)
    faults = (Finding(fault.key, fault.problem) for fault in inspection.faults)
    return _Examined(
        inspection=inspection,
        now_ms=audit.now_ms,
        ticks=len(audit.ticks),
        layout=(*foreign, *faults),
        contents=auditing.findings(audit),
    )
