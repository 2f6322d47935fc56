"""The survey at the start of a cycle: of the store, which it puts in order, or of memory while Redis is away."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from btcts.domain import healing
from btcts.domain.candle_agreement import AgreedCandles, Reach
from btcts.domain.candles import candles_of
from btcts.domain.codes import RepairCode
from btcts.domain.healing import Able
from btcts.domain.layout import window
from btcts.domain.model import MINUTE_MS, Gap, Span, Tick
from btcts.domain.revision import Reviser, Revision
from btcts.providers.rounds import Question, ReadTicks
from btcts.services.collect.memory import Memory
from btcts.store import Fault, Inspection, State, Store

if TYPE_CHECKING:
    from btcts.providers.base import Provider


@dataclass(frozen=True, slots=True)
class Survey:
    """The state before a cycle asks the providers; `unsettled` are the closed minutes of the window.

    While Redis is `away` it comes from the collector's memory. `poisoned` is set while a sample from the future hides
    the others: the providers decide whether the sample or the clock is wrong. `reach` has the providers of this
    store's collectors; a `guest` has a different list, and changes nothing that is settled. A store is `crowded` when
    it holds more ticks than its buckets need.
    """

    now_ms: int
    newest: Tick | None
    state: State
    reach: Reach
    gaps: Mapping[int, Gap] = field(default_factory=dict)
    unsettled: frozenset[int] = frozenset()
    repaired: tuple[Fault | RepairCode, ...] = ()
    poisoned: bool = False
    guest: bool = False
    away: bool = False
    crowded: bool = False

    def is_answering(self, provider: str) -> bool:
        """Tell whether the provider answered when it was last asked for a price."""
        known = self.state.providers.get(provider)
        return known is not None and known.answers

    def find_able(self, ready: Iterable["Provider"]) -> dict[str, Able]:
        """Return those of the providers that have candles."""
        return {
            provider.name: Able(provider.reach_ms, self.is_answering(provider.name))
            for provider in ready
            if provider.reach_ms
        }

    def find_answered_ms(self, provider: str) -> int | None:
        """Return the time when the provider last answered for a price."""
        known = self.state.providers.get(provider)
        return known.answered_ms if known else None


def survey_store(store: Store, memory: Memory, own: Reach, *, trusted: bool) -> Survey:
    """Check and repair keys and rules; samples from the future are removed only when the clock is `trusted`.

    `own` is the reach of the collector's own providers.
    """
    now_ms = store.clock.now_ms()  # Redis may say something else, so that further minutes have to be asked for
    minutes = Span(window(now_ms).start_ms, now_ms + MINUTE_MS).minutes()
    inspection = found = store.inspect(minutes)
    repaired = (trusted or not found.poisoned) and bool(found.faults or found.poisoned)
    if repaired:
        store.repair(found)
        inspection = store.inspect(minutes)
    state, newest = memory.merge_untold(inspection.state, inspection.newest)
    closed = frozenset(healing.closed_minutes(inspection.now_ms))
    beyond = closed.difference(minutes)
    settled = inspection.settled | store.settled(beyond) if beyond else inspection.settled
    reach = _find_reach(state, own, inspection.now_ms)
    return Survey(
        now_ms=inspection.now_ms,
        newest=newest,
        state=state,
        gaps=inspection.gaps,
        unsettled=closed - settled,
        repaired=_list_repairs(found) if repaired else (),
        poisoned=inspection.poisoned,
        reach=reach,
        guest=reach.providers.keys() != own.providers.keys(),
        crowded=inspection.needs_thinning,
    )


def survey_memory(state: State, newest: Tick | None, own: Reach, now_ms: int) -> Survey:
    """Return what is known while Redis is away."""
    known = replace(state, accepted=state.accepted or newest)
    return Survey(now_ms, newest, known, own, away=True)


def revise(question: Question, agreed: AgreedCandles, survey: Survey, read_ticks: ReadTicks) -> Revision:
    """Return what the answers to a question change of the settled minutes that it looks at again."""
    looks = question.looks - survey.unsettled
    if not looks:
        return Revision()
    candles = candles_of(read_ticks(Span(min(looks), max(looks) + MINUTE_MS)))
    stored = {minute: candles.get(minute) for minute in looks}
    return Reviser(agreed, stored, survey.gaps, survey.reach, survey.now_ms).revise(looks)


def _find_reach(state: State, own: Reach, now_ms: int) -> Reach:
    """Return the reach of the providers of this store's collectors, by the list that one of them used recently."""
    used_ms = state.configured_ms
    if not state.configured or used_ms is None or not 0 <= now_ms - used_ms <= state.max_age_s * 1000:
        return own
    return Reach(state.configured)


def _list_repairs(repaired: Inspection) -> tuple[Fault | RepairCode, ...]:
    """List what was repaired of the findings of an inspection."""
    if repaired.empty:
        return (RepairCode.LAYOUT_MADE,)
    return (*repaired.faults, *([RepairCode.FUTURE_REMOVED] if repaired.poisoned else []))
