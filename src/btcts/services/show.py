"""`show` and `price`: the stored prices as slots by the clock, once or repeatedly, and the newest one alone."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from btcts.domain.clock import follow_beats
from btcts.domain.codes import ReasonCode, Remark
from btcts.domain.layout import FUTURE_SLACK_MS, RESOLUTIONS, TICK_RETENTION_MS, Market, Resolution, can_be_true
from btcts.domain.model import MINUTE_MS, Slot, Span, Tick, is_price
from btcts.errors import StoreError

if TYPE_CHECKING:
    from btcts.store import Snapshot, Store


@dataclass(frozen=True, slots=True)
class Shown:
    """The slots of one resolution, ascending: the newest last.

    `spoiled` counts the slots with an invalid price, which is left out.
    """

    resolution: Resolution
    slots: tuple[Slot, ...]
    spoiled: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceView:
    """The newest price at `now_ms`, and what is known about it.

    A newest price older than `max_age_s` makes the view stale; `simulated` prices must be labelled wherever they are
    shown. `members` are the providers that agreed on the newest price, empty when unknown; `flag` and `deviating` tell
    what was wrong with the agreement. Redis last answered at `now_ms`, which is `silent_ms` ago: the price is that much
    older, and the slots are from then.

    A newest tick that is stamped too far ahead, or has no valid price, is `refused`, and there is no newest price then.
    When no price is kept for the requested time, `oldest_ms` is the time of the oldest one.

    A collector last ran at `last_cycle_ms`, and `problem` says why it stored no price then.
    """

    market: Market
    now_ms: int
    newest: Tick | None
    max_age_s: float
    simulated: bool
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
        """True when a collector appears to run: its last cycle is no older than a fresh price may be."""
        return self.last_cycle_ms is not None and 0 <= self.now_ms - self.last_cycle_ms <= 1000 * self.max_age_s

    @property
    def age_s(self) -> float | None:
        """Seconds since the newest price, 0 when it is stamped slightly ahead of `now_ms`; None without a price."""
        if self.newest is None:
            return None
        return max(0, self.now_ms + self.silent_ms - self.newest.time_ms) / 1000

    @property
    def stale(self) -> bool:
        """True when the newest price is too old, or there is none."""
        return self.age_s is None or self.age_s > self.max_age_s

    @property
    def lack(self) -> Remark | None:
        """The reason why there is no fresh price, as `status` gives it; None when there is one."""
        if self.refused:
            ahead_ms = self.refused.time_ms - self.now_ms
            if ahead_ms > FUTURE_SLACK_MS or is_price(self.refused.price):
                return Remark(ReasonCode.FUTURE_PRICE, {"ahead_s": ahead_ms / 1000})
            return Remark(ReasonCode.BAD_PRICE, {"price": self.refused.price})
        if self.age_s is None:
            return Remark(ReasonCode.NO_PRICE)
        return Remark(ReasonCode.STALE_PRICE, {"age_s": self.age_s, "limit_s": self.max_age_s}) if self.stale else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview(PriceView):
    """The newest price, and the slots of every resolution; they are `halted` while no rules derive them."""

    resolutions: tuple[Shown, ...]
    halted: bool = False

    @property
    def parts(self) -> tuple[Shown, ...]:
        """The slots of every resolution in this view."""
        return self.resolutions

    def pick(self, name: str) -> "SlotsView":
        """Return the view of one resolution."""
        shown = next(shown for shown in self.resolutions if shown.resolution.name == name)
        return SlotsView(
            **{field.name: getattr(self, field.name) for field in fields(PriceView)}, shown=shown, halted=self.halted
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotsView(PriceView):
    """The newest price, and the slots of one resolution; they are `halted` while no rules derive them."""

    shown: Shown
    halted: bool = False

    @property
    def parts(self) -> tuple[Shown, ...]:
        """The slots of every resolution in this view."""
        return (self.shown,)


View = Overview | SlotsView


class Which(NamedTuple):
    """Selection of slots: those from the one that contains `since_ms`, and of these the newest `limit`.

    The open slot counts as well, unless only closed ones are wanted.
    """

    since_ms: int | None = None
    limit: int | None = None
    closed_only: bool = False

    def pick(self, slots: Sequence[Slot], resolution: Resolution) -> tuple[Slot, ...]:
        """Return the selected ones of the slots."""
        first_ms = 0 if self.since_ms is None else resolution.start_of(self.since_ms)
        wanted = [slot for slot in slots if slot.start_ms >= first_ms and (slot.closed or not self.closed_only)]
        return tuple(wanted if self.limit is None else wanted[-self.limit :])


ALL = Which()


def show_price(store: "Store", *, max_age_s: float | None = None) -> PriceView:
    """Return the newest price alone, in one round trip; without `max_age_s` the collectors' cadence decides.

    Raises:
        StoreError: Redis does not answer.
    """
    return PriceView(**_describe_price(store, store.price(), None, max_age_s))


def show_slots(
    store: "Store", name: str, *, at_ms: int | None = None, which: Which = ALL, max_age_s: float | None = None
) -> SlotsView:
    """Return the slots of the resolution `name` at `at_ms` (default: now by the server's clock).

    Without `max_age_s` the collectors' cadence decides when a price is stale.

    Raises:
        StoreError: Redis does not answer.
    """
    snapshot = store.snapshot(name, at_ms=at_ms)
    (shown,) = _build_parts(snapshot, which)
    described = _describe_price(store, snapshot, at_ms, max_age_s)
    return SlotsView(**described, shown=shown, halted=snapshot.halted)


def show_overview(
    store: "Store", *, at_ms: int | None = None, which: Which = ALL, max_age_s: float | None = None
) -> Overview:
    """Return the slots of all resolutions, as `show_slots` does those of one.

    Raises:
        StoreError: Redis does not answer.
    """
    snapshot = store.snapshot(at_ms=at_ms)
    described = _describe_price(store, snapshot, at_ms, max_age_s)
    return Overview(**described, resolutions=tuple(_build_parts(snapshot, which)), halted=snapshot.halted)


def _describe_price(store: "Store", snapshot: "Snapshot", at_ms: int | None, max_age_s: float | None) -> dict[str, Any]:
    """Return the fields of a `PriceView`."""
    now_ms, stored, state = snapshot.now_ms, snapshot.newest, snapshot.state
    past = at_ms is not None and stored is not None and stored.time_ms > at_ms
    newest = _find_newest_before(store, now_ms) if past else stored
    believed = newest is not None and can_be_true(newest, now_ms)
    current = believed and not past
    return {
        "market": store.market,
        "now_ms": now_ms,
        "newest": newest if believed else None,
        "max_age_s": state.max_age_s if max_age_s is None else max_age_s,
        "simulated": bool(state.simulated),
        "members": state.members if current else (),
        "flag": state.flag if current else None,
        "deviating": tuple(sorted(state.deviating.items())) if current else (),
        "refused": None if believed else newest,
        "oldest_ms": _find_oldest_ms(store, stored) if stored and newest is None else None,
        "last_cycle_ms": state.last_cycle_ms,
        "problem": state.problem,
    }


def _build_parts(snapshot: "Snapshot", which: Which) -> Iterator[Shown]:
    for name, slots in snapshot.slots.items():
        wanted = which.pick(slots, RESOLUTIONS[name])
        sound = tuple(slot.clean() for slot in wanted)
        spoiled = sum(after is not before for after, before in zip(sound, wanted, strict=True))
        yield Shown(RESOLUTIONS[name], sound, spoiled)


def _find_oldest_ms(store: "Store", newest: Tick) -> int:
    """Return the time of the oldest tick up to the newest."""
    return next(iter(store.ticks(Span(0, newest.time_ms + 1))), newest).time_ms


def _find_newest_before(store: "Store", at_ms: int) -> Tick | None:
    """Return the newest tick up to that time, or the one that hides it; None when it is not kept or never was."""
    if ticks := store.ticks(Span(at_ms - TICK_RETENTION_MS, at_ms + 1)):
        return ticks[-1]
    inspection = store.inspect()
    return inspection.newest if inspection.poisoned else None


def find_newest_ms(store: "Store") -> int | None:
    """Return the end of the newest tick's ms, when a minute that ends with it is over; None on an empty store.

    Used as the present for viewing an old store.
    """
    newest = store.latest()
    return newest.time_ms + 1 if newest else None


def follow(store: "Store", look: Callable[[], View], *, interval_s: float) -> Iterator[View | StoreError]:
    """Yield views at once and then at every multiple of the interval since the epoch, forever.

    `look` makes a new view when there is a new price, and once a minute, when slots close; otherwise one small read
    suffices. While Redis does not answer, its error is yielded.
    """
    seen: View | None = None
    for _ in follow_beats(store.clock, interval_s=interval_s):
        try:
            seen = (seen and _keep_if_unchanged(seen, store)) or look()
        except StoreError as exc:
            yield exc
        else:
            yield seen


def _keep_if_unchanged(seen: View, store: "Store") -> View | None:
    """Return the same view as of now; None when there is a new price, or time alone may have changed something else.

    With time slots close, a price of the future becomes that of now, and a slot that is not settled is exact no more.
    """
    if store.latest() != (seen.newest or seen.refused):
        return None
    now_ms = store.clock.now_ms()
    due = seen.refused is not None and can_be_true(seen.refused, now_ms)
    claimed = any(slot.exact and not slot.settled for shown in seen.parts for slot in shown.slots)
    same = now_ms // MINUTE_MS == seen.now_ms // MINUTE_MS and not due and not claimed
    return replace(seen, now_ms=now_ms) if same else None


@dataclass(frozen=True, slots=True)
class Sight:
    """The last view from Redis, and its error since then; None while it answers."""

    view: View
    away: StoreError | None = None

    def at(self, now_ms: int) -> View:
        """Return the view at that time."""
        return replace(self.view, silent_ms=max(0, now_ms - self.view.now_ms)) if self.away else self.view
