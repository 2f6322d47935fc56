"""`status`: whether the stored prices can be relied on, and what to know about their store."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from btcts.layout import FUTURE_SLACK_MS
from btcts.model import Slot, Tick

if TYPE_CHECKING:
    from btcts.store import Facts, Inspection, State, Store


@dataclass(frozen=True, slots=True)
class Completeness:
    """Of the `expected` closed slots of a resolution how many are present and how many settled.

    `gaps` counts the other ones by the reason that is known for them.
    """

    expected: int
    present: int
    settled: int
    gaps: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """The state of a store at `now_ms`: unhealthy for each of `reasons`, worth a look for each of `warnings`.

    `spooled` prices wait for Redis on this machine; None where that is not known.
    """

    where: str
    now_ms: int
    newest: Tick | None
    max_age_s: float
    completeness: Mapping[str, Completeness]
    state: "State"
    inspection: "Inspection"
    facts: "Facts"
    spooled: int | None

    @property
    def age_s(self) -> float | None:
        """Seconds since the newest price, 0 when it is stamped ahead of `now_ms`; None without a price."""
        return None if self.newest is None else max(0, self.now_ms - self.newest.time_ms) / 1000

    @property
    def healthy(self) -> bool:
        """Whether the newest price is fresh and the layout as it should be."""
        return not self.reasons

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why the store is not healthy."""
        return tuple(_reasons(self))

    @property
    def warnings(self) -> tuple[str, ...]:
        """What may do harm later, or did some that is known."""
        return tuple(_warnings(self))


def status(store: "Store", *, max_age_s: float | None = None, spooled: int | None = None) -> Status:
    """The state of the store; a newest price older than `max_age_s` (None: by the collectors' cadence) is stale.

    Raises:
        StoreError: Redis does not answer.
    """
    inspection = store.inspect()
    snapshot = store.snapshot()
    return Status(
        where=store.where,
        now_ms=snapshot.now_ms,
        newest=snapshot.newest,
        max_age_s=snapshot.state.max_age_s if max_age_s is None else max_age_s,
        completeness={name: _completeness(slots) for name, slots in snapshot.slots.items()},
        state=snapshot.state,
        inspection=inspection,
        facts=store.facts(),
        spooled=spooled,
    )


def _completeness(slots: tuple[Slot, ...]) -> Completeness:
    closed = [slot for slot in slots if slot.closed]
    return Completeness(
        expected=len(closed),
        present=sum(not slot.missing for slot in closed),
        settled=sum(slot.settled for slot in closed),
        gaps=Counter(slot.reason for slot in closed if slot.reason),
    )


def _reasons(status: Status) -> Iterator[str]:
    inspection = status.inspection
    for key in inspection.foreign:
        yield f"{key} was not made by btcts; rename it, or run btcts init-keys --adopt"
    if inspection.empty:
        yield "nothing is stored; run btcts collect --once"
        return
    yield from (str(fault) for fault in inspection.faults if fault.key not in inspection.foreign)
    if inspection.poisoned and inspection.newest:
        ahead_s = (inspection.newest.time_ms - inspection.now_ms) / 1000
        yield f"the newest price is {ahead_s:.0f} s in the future and hides the others; run btcts prune"
    if status.age_s is None:
        yield "there is no price; run btcts collect --once"
    elif status.age_s > status.max_age_s:
        yield f"the newest price is {status.age_s:.0f} s old, the limit is {status.max_age_s:g} s"


def _warnings(status: Status) -> Iterator[str]:
    yield from _of_the_server(status.facts)
    for name, each in status.completeness.items():
        if status.newest and each.present < each.expected:
            yield f"{name}: {each.expected - each.present} of {each.expected} closed slots have no price"
    for provider, known in sorted(status.state.providers.items()):
        if known.error:
            yield f"{provider}: {known.error}"
    if status.spooled:
        yield f"{status.spooled} prices wait on this machine for Redis; the next collect writes them"


def _of_the_server(facts: "Facts") -> Iterator[str]:
    parameters = facts.parameters
    if parameters.get("appendonly") == "no" and parameters.get("save") == "":
        yield "Redis keeps nothing on disk, a restart loses all of it; set appendonly yes"
    policy = parameters.get("maxmemory-policy", "noeviction")
    if policy != "noeviction":
        yield f"Redis may evict our series (maxmemory-policy {policy}); set it to noeviction"
    if abs(facts.ahead_ms) > FUTURE_SLACK_MS:
        side = "ahead of" if facts.ahead_ms > 0 else "behind"
        yield f"this machine's clock is {abs(facts.ahead_ms) / 1000:.0f} s {side} the Redis server's"
