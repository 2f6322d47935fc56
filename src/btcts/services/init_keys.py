"""`init-keys`: make Redis match the layout."""

from dataclasses import dataclass

from btcts.domain.codes import FaultCode
from btcts.store import Fault, Store


@dataclass(frozen=True, slots=True)
class Outcome:
    """The deviations from the layout, and what was done about them.

    `created` is set when the store was empty; `ticks` counts those that a rebuild kept, None without a rebuild.
    """

    where: str
    differences: tuple[Fault, ...]
    adopted: tuple[tuple[str, str], ...]
    created: bool
    changed: bool
    ticks: int | None


def init_keys(store: Store, *, dry_run: bool = False, rebuild: bool = False, adopt: bool = False) -> Outcome:
    """Create, alter and repair keys and rules; a second run changes nothing.

    Raises:
        ForeignKey: one of our names belongs to somebody else and `adopt` is not set.
        StoreError: Redis does not answer or refuses a command.
    """
    inspection = store.inspect()
    adopted: tuple[tuple[str, str], ...] = ()
    if inspection.foreign and adopt and not dry_run:
        adopted = store.adopt(inspection)
        inspection = store.inspect()
    store.refuse_foreign(inspection)
    poison = [Fault(store.layout.tick, FaultCode.FUTURE_TICK)] if inspection.poisoned else []
    differences = (*inspection.faults, *poison)
    ticks = None
    if not dry_run:
        if rebuild or inspection.needs_rebuild:
            store.clear(inspection)
            ticks = store.rebuild(inspection).stored
        elif differences:
            store.repair(inspection)
    return Outcome(
        where=store.where,
        differences=differences,
        adopted=adopted,
        created=inspection.empty,
        changed=bool(adopted) or (not dry_run and bool(differences or rebuild)),
        ticks=ticks,
    )
