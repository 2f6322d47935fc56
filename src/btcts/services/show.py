"""`show`: what is stored, as slots by the clock."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from btcts.layout import RESOLUTIONS, Resolution
from btcts.model import Slot, Tick

if TYPE_CHECKING:
    from btcts.store import Store


@dataclass(frozen=True, slots=True)
class Shown:
    """The slots of one resolution, ascending: the newest last."""

    resolution: Resolution
    slots: tuple[Slot, ...]


@dataclass(frozen=True, slots=True)
class View:
    """What there is to show at `now_ms`: one resolution, or all of them for the overview.

    A newest price older than `max_age_s` makes the view stale; `simulated` prices must be labelled wherever they
    are shown.
    """

    now_ms: int
    newest: Tick | None
    max_age_s: float
    simulated: bool
    shown: tuple[Shown, ...]

    @property
    def age_s(self) -> float | None:
        """Seconds since the newest price, 0 when it is stamped slightly ahead of `now_ms`; None without a price."""
        if self.newest is None:
            return None
        return max(0, self.now_ms - self.newest.time_ms) / 1000

    @property
    def stale(self) -> bool:
        """Whether the newest price is too old, or there is none."""
        return self.age_s is None or self.age_s > self.max_age_s


def show(
    store: "Store",
    names: Sequence[str] = (),
    *,
    at_ms: int | None = None,
    limit: int | None = None,
    closed_only: bool = False,
    max_age_s: float | None = None,
) -> View:
    """The slots of the named resolutions (default: all four) at `at_ms` (default: now by the server's clock).

    `limit` keeps the newest so many slots, the open one counted; without `max_age_s` the collectors' cadence decides
    what is stale.

    Raises:
        StoreError: Redis does not answer.
    """
    snapshot = store.snapshot(*names, at_ms=at_ms)

    def kept(slots: Sequence[Slot]) -> tuple[Slot, ...]:
        wanted = [slot for slot in slots if slot.closed or not closed_only]
        return tuple(wanted if limit is None else wanted[-limit:])

    return View(
        now_ms=snapshot.now_ms,
        newest=snapshot.newest,
        max_age_s=snapshot.state.max_age_s if max_age_s is None else max_age_s,
        simulated=bool(snapshot.state.simulated),
        shown=tuple(Shown(RESOLUTIONS[name], kept(slots)) for name, slots in snapshot.slots.items()),
    )


def newest_ms(store: "Store") -> int | None:
    """The time of the newest tick, by which an old store can be looked at; None on an empty one."""
    newest = store.latest()
    return newest.time_ms if newest else None
