"""`prune`: remove what the clock says is not kept, and name the keys that are not of the layout."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from btcts.store import Excess, Store


@dataclass(frozen=True, slots=True)
class Pruned:
    """What was removed, or would be: buckets of compactions, and the ticks of the future when `poisoned`.

    `unknown` keys have our prefix and are not of the layout; they are never touched.
    """

    where: str
    tick_key: str
    removed: tuple["Excess", ...]
    poisoned: bool
    unknown: tuple[str, ...]


def prune(store: "Store", *, dry_run: bool = False) -> Pruned:
    """Remove buckets outside the kept closed ones, and future samples; with `dry_run` only say which.

    Ticks from the future are left out by a rebuild. What a future bucket has hidden is looked at once it is gone.

    Raises:
        ForeignKey: one of our names belongs to somebody else.
        StoreError: Redis does not answer or refuses a command.
    """
    inspection = store.inspect()
    store.refuse_foreign(inspection)
    removed = found = store.excess()
    if not dry_run:
        if inspection.poisoned:
            store.rebuild(inspection)
        else:
            store.remove(found)
        while hidden := store.excess():
            store.remove(hidden)
            removed += hidden
    return Pruned(store.where, store.layout.tick, removed, inspection.poisoned, store.find_unknown_keys())
