"""`show`: what is stored, as slots by the clock, once or again and again."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from btcts.domain.clock import Clock, find_next_beat
from btcts.domain.layout import RESOLUTIONS, Resolution, can_be_true, window
from btcts.domain.model import MINUTE_MS, Slot, Span, Tick, is_price
from btcts.errors import StoreError

if TYPE_CHECKING:
    from btcts.store import Store


@dataclass(frozen=True, slots=True)
class Shown:
    """The slots of one resolution, ascending: the newest last.

    So many of them are `spoiled`: they hold what is no price, which is left out.
    """

    resolution: Resolution
    slots: tuple[Slot, ...]
    spoiled: int = 0


@dataclass(frozen=True, slots=True)
class View:
    """What there is to show at `now_ms`: one resolution, or all of them for the overview.

    A newest price older than `max_age_s` makes the view stale; `simulated` prices must be labelled wherever they
    are shown. `members` are the providers that agreed on the newest price, none where that is not known; `flag` and
    `deviating` are what was wrong with that. It is
    `silent_ms` since `now_ms` that Redis answered last: the price is so much older, the slots are those of then.

    A newest tick that is stamped too far ahead, or has no price, is `refused`, and there is no newest price then.
    Where none is kept of the time that was asked for, `oldest_ms` is when the oldest one was observed.

    A collector last ran at `last_cycle_ms`, and `problem` says why it stored no price then.
    """

    now_ms: int
    newest: Tick | None
    max_age_s: float
    simulated: bool
    shown: tuple[Shown, ...]
    members: tuple[str, ...] = ()
    flag: str | None = None
    deviating: tuple[tuple[str, float], ...] = ()
    silent_ms: int = 0
    refused: Tick | None = None
    oldest_ms: int | None = None
    last_cycle_ms: int | None = None
    problem: str | None = None

    @property
    def collected(self) -> bool:
        """Whether a collector runs, as far as can be told: its last cycle is no older than a fresh price."""
        return self.last_cycle_ms is not None and 0 <= self.now_ms - self.last_cycle_ms <= 1000 * self.max_age_s

    @property
    def age_s(self) -> float | None:
        """Seconds since the newest price, 0 when it is stamped slightly ahead of `now_ms`; None without a price."""
        if self.newest is None:
            return None
        return max(0, self.now_ms + self.silent_ms - self.newest.time_ms) / 1000

    @property
    def stale(self) -> bool:
        """Whether the newest price is too old, or there is none."""
        return self.age_s is None or self.age_s > self.max_age_s


@dataclass(frozen=True, slots=True)
class Which:
    """Which of the kept slots are wanted: those from the one that `since_ms` lies in, the newest `limit` of them.

    The open slot counts as one, unless only closed ones are wanted.
    """

    since_ms: int | None = None
    limit: int | None = None
    closed_only: bool = False

    def pick(self, slots: Sequence[Slot], resolution: Resolution) -> tuple[Slot, ...]:
        """The wanted ones of these."""
        first_ms = 0 if self.since_ms is None else resolution.start_of(self.since_ms)
        wanted = [slot for slot in slots if slot.start_ms >= first_ms and (slot.closed or not self.closed_only)]
        return tuple(wanted if self.limit is None else wanted[-self.limit :])


ALL = Which()


def show(
    store: "Store",
    names: Sequence[str] = (),
    *,
    at_ms: int | None = None,
    which: Which = ALL,
    max_age_s: float | None = None,
) -> View:
    """The slots of the named resolutions (default: all four) at `at_ms` (default: now by the server's clock).

    Without `max_age_s` the collectors' cadence decides what is stale.

    Raises:
        StoreError: Redis does not answer.
    """
    snapshot = store.snapshot(*names, at_ms=at_ms)
    now_ms, stored, state = snapshot.now_ms, snapshot.newest, snapshot.state
    kept = ((RESOLUTIONS[name], slots) for name, slots in snapshot.slots.items())
    past = at_ms is not None and stored is not None and stored.time_ms >= at_ms
    newest = _find_newest_before(store, now_ms) if past else stored
    believed = newest is not None and can_be_true(newest, now_ms)
    current = believed and not past
    return View(
        now_ms=now_ms,
        newest=newest if believed else None,
        max_age_s=state.max_age_s if max_age_s is None else max_age_s,
        simulated=bool(state.simulated),
        shown=tuple(_build_shown(resolution, which.pick(slots, resolution)) for resolution, slots in kept),
        members=state.members if current else (),
        flag=state.flag if current else None,
        deviating=tuple(sorted(state.deviating.items())) if current else (),
        refused=None if believed else newest,
        oldest_ms=_find_oldest_ms(store, stored) if stored and newest is None else None,
        last_cycle_ms=state.last_cycle_ms,
        problem=state.problem,
    )


def _build_shown(resolution: Resolution, slots: tuple[Slot, ...]) -> Shown:
    sound = tuple(map(_clean_slot, slots))
    return Shown(
        resolution, sound, spoiled=sum(after is not before for after, before in zip(sound, slots, strict=True))
    )


def _clean_slot(slot: Slot) -> Slot:
    """The slot without what is no price; where its close is none, it counts as missing."""
    if all(value is None or is_price(value) for value in (slot.close, slot.min, slot.max)):
        return slot
    if slot.close is None or not is_price(slot.close):
        return replace(slot, close=None, min=None, max=None, settled=False, minutes=0)
    low, high = (value if value is not None and is_price(value) else None for value in (slot.min, slot.max))
    return replace(slot, min=low, max=high)


def _find_oldest_ms(store: "Store", newest: Tick) -> int:
    """When the oldest tick was observed, of those up to the newest."""
    return next(iter(store.ticks(Span(0, newest.time_ms + 1))), newest).time_ms


def _find_newest_before(store: "Store", at_ms: int) -> Tick | None:
    """The tick that was the newest one then, or that hides it; None when it is not kept any more, or there was none."""
    if ticks := store.ticks(window(at_ms)):
        return ticks[-1]
    inspection = store.inspect()
    return inspection.newest if inspection.poisoned else None


def find_newest_ms(store: "Store") -> int | None:
    """The end of the newest tick's ms, at which a minute that ends with it is over; None on an empty store.

    By it an old store can be looked at.
    """
    newest = store.latest()
    return newest.time_ms + 1 if newest else None


def follow(store: "Store", look: Callable[[], View], clock: Clock, *, interval_s: float) -> Iterator[View | StoreError]:
    """What there is to show, at once and then at every multiple of the interval since the epoch, without an end.

    `look` is asked for it when there is a new price, and once a minute, when slots close; else one small read does.
    While Redis does not answer, what it failed with.
    """
    interval_ms = round(interval_s * 1000)
    seen: View | None = None
    while True:
        try:
            seen = (seen and _keep_if_unchanged(seen, store, clock)) or look()
        except StoreError as exc:
            yield exc
        else:
            yield seen
        now_ms = clock.now_ms()
        clock.sleep((find_next_beat(now_ms, interval_ms, 0) - now_ms) / 1000)


def _keep_if_unchanged(seen: View, store: "Store", clock: Clock) -> View | None:
    """The same as of now; None when there is a new price, or slots may have closed."""
    if store.latest() != (seen.newest or seen.refused):
        return None
    now_ms = clock.now_ms()
    return replace(seen, now_ms=now_ms) if now_ms // MINUTE_MS == seen.now_ms // MINUTE_MS else None


@dataclass(frozen=True, slots=True)
class Sight:
    """The last view that Redis gave, and what it failed with since; None when it answers."""

    view: View
    away: StoreError | None = None

    def at(self, now_ms: int) -> View:
        """What there is to show then."""
        return replace(self.view, silent_ms=max(0, now_ms - self.view.now_ms)) if self.away else self.view
