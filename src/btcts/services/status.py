"""`status`: check that prices are fresh and complete, and report on their store."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from btcts.domain.candle_agreement import Reach
from btcts.domain.clock import MAX_SKEW_MS
from btcts.domain.codes import ReasonCode, Remark, WarningCode
from btcts.domain.layout import FUTURE_SLACK_MS, can_be_true, window
from btcts.domain.model import BUDGET, LOOKS, MOST_CHANGES, THIN, Gap, ProviderState, Slot, Span, StreamState, Tick

if TYPE_CHECKING:
    from btcts.store import Facts, Inspection, Snapshot, State, Store

NEARLY_FULL = 0.9
"""Share of maxmemory in use above which a warning is given."""

UNSETTLED = (WarningCode.NO_TRADES, WarningCode.NOT_REACHED, WarningCode.DISAGREE, WarningCode.POLLS_ONLY)
"""Reasons in the ledger for closed minutes that are not settled although providers answer."""


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

    minutes: int
    least: int
    most: int
    reaching: int
    silent: Mapping[str, int | None]
    priced: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """The state of a store at `now_ms`: `reasons` make it unhealthy, `warnings` deserve attention.

    A newest tick that is stamped too far ahead, or has no valid price, is `refused`, and there is no newest price then.
    A price older than `max_age_s` is stale, and collectors silent for `max_silence_s` count as missing. `minutes`
    covers all closed minutes of the window, `thin` those that rest on few providers, and `restless` counts those whose
    candle was corrected so often that it is left alone. `spooled` prices wait for Redis on this machine (None:
    unknown).
    """

    where: str
    now_ms: int
    newest: Tick | None
    max_age_s: float
    max_silence_s: float
    completeness: Mapping[str, Completeness]
    minutes: Completeness
    state: "State"
    inspection: "Inspection"
    facts: "Facts"
    spooled: int | None
    refused: Tick | None
    thin: Thin
    restless: int

    @property
    def age_s(self) -> float | None:
        """Seconds since the newest price, 0 when it is stamped ahead of `now_ms`; None without a price."""
        return None if self.newest is None else self._measure_age_s(self.newest.time_ms)

    @property
    def silence_s(self) -> float | None:
        """Seconds since the last collector cycle recorded in Redis; None when there was none."""
        return None if self.state.last_cycle_ms is None else self._measure_age_s(self.state.last_cycle_ms)

    @property
    def streams(self) -> Mapping[str, StreamState]:
        """The streams of a running collector."""
        return self.state.find_streams(self.now_ms)

    @property
    def healthy(self) -> bool:
        """True when nothing is wrong with the stored prices and the collection of new ones."""
        return not self.reasons

    @property
    def reasons(self) -> tuple[Remark, ...]:
        """Problems that make the store unhealthy."""
        return tuple(_find_reasons(self))

    @property
    def warnings(self) -> tuple[Remark, ...]:
        """Conditions that may do harm later, or did some that is known."""
        return tuple(_find_warnings(self))

    def _measure_age_s(self, time_ms: int) -> float:
        return max(0, self.now_ms - time_ms) / 1000


def status(store: "Store", *, max_age_s: float | None = None, spooled: int | None = None) -> Status:
    """Return the state of the store; a newest price older than `max_age_s` (None: by the collectors' cadence) is stale.

    Collectors count as missing after two of their cadences, but not before `max_age_s`.

    Raises:
        StoreError: Redis does not answer.
    """
    inspection = store.inspect()
    snapshot = store.snapshot()
    gaps = snapshot.coverage.gaps
    newest, state = snapshot.newest, snapshot.state
    believed = newest is not None and can_be_true(newest, snapshot.now_ms)
    return Status(
        where=store.where,
        now_ms=snapshot.now_ms,
        newest=newest if believed else None,
        max_age_s=state.max_age_s if max_age_s is None else max_age_s,
        max_silence_s=max(state.max_silence_s, max_age_s or 0),
        completeness={name: _count_slots(slots) for name, slots in snapshot.slots.items()},
        minutes=_count_minutes(snapshot),
        state=state,
        inspection=inspection,
        facts=store.facts(),
        spooled=spooled,
        refused=None if believed else newest,
        thin=_summarize_thin(gaps, state, snapshot.now_ms),
        restless=sum(gap.reason in LOOKS and gap.changes >= MOST_CHANGES for gap in gaps.values()),
    )


def _summarize_thin(gaps: Mapping[int, Gap], state: "State", now_ms: int) -> Thin:
    """Summarize the entries of the ledger about thin minutes."""
    reach, known = Reach(state.configured or {}), state.providers
    thin = [minute for minute, gap in gaps.items() if gap.reason == THIN]
    reaching = [reach.find_reaching(minute, now_ms) for minute in thin]
    heard = [names.intersection(gaps[minute].heard) for minute, names in zip(thin, reaching, strict=True)]
    silent = sorted({name for names, answering in zip(reaching, heard, strict=True) for name in names - answering})
    return Thin(
        minutes=len(thin),
        least=min(map(len, heard), default=0),
        most=max(map(len, heard), default=0),
        reaching=max(map(len, reaching), default=0),
        silent={name: known[name].answered_ms if name in known else None for name in silent},
        priced=frozenset(name for name in silent if name in known and known[name].answers),
    )


def _count_slots(slots: tuple[Slot, ...]) -> Completeness:
    """Count the closed slots of a resolution."""
    closed = [slot.clean() for slot in slots if slot.closed]
    return Completeness(
        expected=len(closed),
        present=sum(not slot.missing for slot in closed),
        settled=sum(slot.settled for slot in closed),
        gaps=Counter(slot.reason for slot in closed if slot.reason),
    )


def _count_minutes(snapshot: "Snapshot") -> Completeness:
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


def _find_reasons(status: Status) -> Iterator[Remark]:
    facts = status.facts
    for key in status.inspection.foreign:
        yield Remark(ReasonCode.FOREIGN_KEY, {"key": key})
    makes_room = facts.parameters.get("maxmemory-policy", "").startswith("allkeys")
    if facts.fill >= 1 and not makes_room:
        yield Remark(ReasonCode.REDIS_FULL, {"used_bytes": facts.used_bytes or 0, "max_bytes": facts.max_bytes or 0})
    if status.inspection.empty:
        yield Remark(ReasonCode.NOTHING_STORED)
    else:
        yield from _check_layout(status.inspection)
        yield from _check_price(status)
        yield from _check_collectors(status)


def _check_layout(inspection: "Inspection") -> Iterator[Remark]:
    for fault in inspection.faults:
        if fault.key not in inspection.foreign:
            yield Remark(ReasonCode.LAYOUT_DIFFERS, {"fault": fault})
    if inspection.poisoned and inspection.newest:
        yield Remark(ReasonCode.FUTURE_PRICE, {"ahead_s": (inspection.newest.time_ms - inspection.now_ms) / 1000})


def _check_price(status: Status) -> Iterator[Remark]:
    if status.refused:
        if not status.inspection.poisoned:
            yield Remark(ReasonCode.BAD_PRICE, {"price": status.refused.price})
    elif status.age_s is None:
        yield Remark(ReasonCode.NO_PRICE)
    elif status.age_s > status.max_age_s:
        yield Remark(ReasonCode.STALE_PRICE, {"age_s": status.age_s, "limit_s": status.max_age_s})


def _check_collectors(status: Status) -> Iterator[Remark]:
    """Check the collectors' silence, and the problems of their last cycle."""
    state, asked = status.state, _find_asked(status.state).values()
    if status.silence_s is not None and status.silence_s > status.max_silence_s:
        yield Remark(ReasonCode.COLLECTOR_SILENT, {"silence_s": status.silence_s, "cadence_s": state.cadence_s})
    if state.problem:
        yield Remark(ReasonCode.CYCLE_FAILED, {"problem": state.problem})
    elif asked and not any(known.answers for known in asked):
        yield Remark(ReasonCode.PROVIDERS_SILENT)
    elif state.ahead_ms is not None and abs(state.ahead_ms) > MAX_SKEW_MS:
        yield Remark(ReasonCode.PROVIDER_CLOCKS, {"ahead_ms": state.ahead_ms})
    if lacking := status.minutes.gaps.get(ReasonCode.PROVIDERS_DOWN):
        yield Remark(ReasonCode.PROVIDERS_DOWN, {"minutes": lacking})


def _find_asked(state: "State") -> Mapping[str, ProviderState]:
    """Return the providers that the last cycle asked or that have to wait; others may no longer be configured."""
    last_ms = state.last_cycle_ms or 0
    return {
        name: known for name, known in state.providers.items() if max(known.said_ms, known.not_before_ms) >= last_ms
    }


def _find_warnings(status: Status) -> Iterator[Remark]:
    yield from _check_server(status.facts)
    counts = status.completeness.items()
    slots = {name: lacking for name, count in counts if (lacking := count.expected - count.present)}
    if status.newest and slots:
        yield Remark(WarningCode.MISSING_SLOTS, {"slots": slots})
    for code in UNSETTLED:
        if count := status.minutes.gaps.get(code):
            yield Remark(code, {"minutes": count})
    for provider, known in sorted(_find_asked(status.state).items()):
        if known.error:
            yield Remark(WarningCode.PROVIDER_FAILED, {"provider": provider, "error": known.error})
    yield from _check_agreement(status.state, status.now_ms)
    if status.thin.minutes:
        yield Remark(WarningCode.THIN_MINUTES, {"thin": status.thin})
    if status.restless:
        yield Remark(WarningCode.RESTLESS_MINUTES, {"minutes": status.restless})
    if status.spooled:
        yield Remark(WarningCode.SPOOLED_PRICES, {"prices": status.spooled})
    yield from _check_streams(status.streams)


def _check_agreement(state: "State", now_ms: int) -> Iterator[Remark]:
    """Find weaknesses of the last price: providers that contradict it, or too few that support it."""
    for provider, ratio in sorted(state.deviating.items()):
        yield Remark(WarningCode.DEVIATING, {"provider": provider, "ratio": ratio})
    providers = state.providers.items()
    unpaid = {name for name, known in providers if known.not_before_ms > now_ms and known.why == BUDGET}
    members = state.members
    asked = set(state.configured or {}) - (unpaid - set(members))
    if state.flag == "disputed":
        yield Remark(WarningCode.DISPUTED, {"members": members})
    elif 0 < 2 * len(members) <= len(asked):
        yield Remark(WarningCode.FEW_PROVIDERS, {"members": members, "count": len(members), "asked": len(asked)})


def _check_streams(streams: Mapping[str, StreamState]) -> Iterator[Remark]:
    """Find that none of the streams is connected, and providers whose candles are not those of their trades."""
    if streams and all(stream.problem for stream in streams.values()):
        yield Remark(WarningCode.STREAMS_DOWN, {"streams": sorted(streams)})
    for provider, stream in sorted(streams.items()):
        if stream.steady:
            values = {"provider": provider, "corrected": stream.corrected, "compared": stream.compared}
            yield Remark(WarningCode.CANDLES_DIFFER, values)


def _check_server(facts: "Facts") -> Iterator[Remark]:
    parameters = facts.parameters
    if parameters.get("appendonly") == "no" and (save := parameters.get("save")) is not None:
        yield Remark(WarningCode.NO_LOG, {"save": save})
    policy = parameters.get("maxmemory-policy", "noeviction")
    if policy != "noeviction":
        yield Remark(WarningCode.EVICTION, {"policy": policy})
    if NEARLY_FULL <= facts.fill < 1:
        yield Remark(WarningCode.NEARLY_FULL, {"fill": facts.fill})
    if facts.database:
        yield Remark(WarningCode.OTHER_DATABASE, {"database": facts.database})
    if abs(facts.ahead_ms) > FUTURE_SLACK_MS:
        yield Remark(WarningCode.LOCAL_CLOCK, {"ahead_ms": facts.ahead_ms})
