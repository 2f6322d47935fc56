"""`prune`: remove expired buckets and future samples, and list keys that are not part of the layout."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from btcts.store import Excess, Store


@dataclass(frozen=True, slots=True)
class Pruned:
    """The result: the buckets that were or would be removed, and the future ticks when `poisoned`.

    `unknown` keys have our prefix but are not part of the layout; they are never touched.
    """

    where: str
    tick_key: str
    removed: tuple["Excess", ...]
    poisoned: bool
    unknown: tuple[str, ...]


def prune(store: "Store", *, dry_run: bool = False) -> Pruned:
    """Remove buckets outside the retained closed ones, and future samples; with `dry_run` only report them.

    A rebuild drops ticks from the future. Buckets hidden by a future bucket are checked once that one is gone.

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
