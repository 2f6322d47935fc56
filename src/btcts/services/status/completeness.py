"""The completeness of a store: its slots and minutes, and the minutes that rest on few providers."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from btcts.domain.candle_agreement import Reach
from btcts.domain.layout import window
from btcts.domain.model import THIN, Gap, Slot, Span

if TYPE_CHECKING:
    from btcts.store import Snapshot, State


@dataclass(frozen=True, slots=True)
class Completeness:
    """Counts of the `expected` closed slots of a resolution, or minutes, and of those `present` and `settled`.

    `gaps` counts the other ones by their known reason.
    """

    expected: int
    present: int
    settled: int
    gaps: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Thin:
    """Settled minutes that rest on few providers: on `least` to `most` of the `reaching` ones that have candles.

    `silent` has the providers that gave no candles for them, with the time of their last answer for a price (None:
    never); those in `priced` still answer.
    """

    minutes: int = 0
    least: int = 0
    most: int = 0
    reaching: int = 0
    silent: Mapping[str, int | None] = field(default_factory=dict)
    priced: frozenset[str] = frozenset()


def summarize_thin(gaps: Mapping[int, Gap], state: "State", now_ms: int) -> Thin:
    """Summarize the entries of the ledger about thin minutes."""
    reach = Reach(state.configured or {})
    heard = {
        minute: reach.find_reaching(minute, now_ms).intersection(gap.heard)
        for minute, gap in gaps.items()
        if gap.reason == THIN
    }
    if not heard:
        return Thin()
    reaching = {minute: reach.find_reaching(minute, now_ms) for minute in heard}
    silent = sorted(set().union(*(reaching[minute] - names for minute, names in heard.items())))
    counts = [len(names) for names in heard.values()]
    answered = {name: known.answered_ms for name, known in state.providers.items()}
    priced = {name for name, known in state.providers.items() if known.answers}
    return Thin(
        minutes=len(heard),
        least=min(counts),
        most=max(counts),
        reaching=max(map(len, reaching.values())),
        silent={name: answered.get(name) for name in silent},
        priced=frozenset(priced.intersection(silent)),
    )


def count_slots(slots: tuple[Slot, ...]) -> Completeness:
    """Count the closed slots of a resolution."""
    closed = [slot for slot in slots if slot.closed]
    return Completeness(
        expected=len(closed),
        present=sum(not slot.missing for slot in closed),
        settled=sum(slot.settled for slot in closed),
        gaps=Counter(slot.reason for slot in closed if slot.reason),
    )


def count_minutes(snapshot: "Snapshot") -> Completeness:
    """Count the closed minutes of the window."""
    running = snapshot.slots["minute"][-1]
    minutes = Span(window(snapshot.now_ms).start_ms, running.start_ms).minutes()
    unsettled = frozenset(minutes) - snapshot.coverage.settled
    return Completeness(
        expected=len(minutes),
        present=sum(slot.minutes for slot in snapshot.slots["hour"]) - running.minutes,
        settled=len(minutes) - len(unsettled),
        gaps=Counter(gap.reason for minute, gap in snapshot.coverage.gaps.items() if minute in unsettled),
    )
