"""`status`: check that prices are fresh and complete, and report on their store."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from btcts.domain.candle_agreement import Reach
from btcts.domain.layout import FUTURE_SLACK_MS, can_be_true, window
from btcts.domain.model import LOOKS, MOST_CHANGES, THIN, Gap, ProviderState, Slot, Span, Tick
from btcts.domain.skew import MAX_SKEW_MS
from btcts.providers import pacing
from btcts.providers.base import iso

if TYPE_CHECKING:
    from btcts.store import Facts, Inspection, Snapshot, State, Store

MIN_SILENCE_S = 20.0
"""Shortest silence that counts as a missing collector: a cycle of a little over 5 s also misses its next beat."""

NEARLY_FULL = 0.9
"""Share of maxmemory in use above which a warning is given."""

PROVIDERS_DOWN = "providers_down"

UNSETTLED = {
    "no_trades": "without trades",
    "not_reached": "further back than the providers that answer reach",
    "disagree": "whose candles too few providers agree on",
    "polls_only": "with polls alone, for no provider that is configured has candles",
}
"""Wording for closed minutes that are not settled although providers answer."""


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
    refused: Tick | None = None
    thin: Thin = Thin()
    restless: int = 0

    @property
    def age_s(self) -> float | None:
        """Seconds since the newest price, 0 when it is stamped ahead of `now_ms`; None without a price."""
        return None if self.newest is None else self._measure_age_s(self.newest.time_ms)

    @property
    def silence_s(self) -> float | None:
        """Seconds since the last collector cycle recorded in Redis; None when there was none."""
        return None if self.state.last_cycle_ms is None else self._measure_age_s(self.state.last_cycle_ms)

    @property
    def healthy(self) -> bool:
        """True when nothing is wrong with the stored prices and the collection of new ones."""
        return not self.reasons

    @property
    def reasons(self) -> tuple[str, ...]:
        """Problems that make the store unhealthy."""
        return tuple(_find_reasons(self))

    @property
    def warnings(self) -> tuple[str, ...]:
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
    inspection = store.inspect_at_rest()
    snapshot = store.snapshot()
    gaps = {} if store.layout.gaps in inspection.foreign else store.gaps()
    newest, state = snapshot.newest, snapshot.state
    believed = newest is not None and can_be_true(newest, snapshot.now_ms)
    return Status(
        where=store.where,
        now_ms=snapshot.now_ms,
        newest=newest if believed else None,
        max_age_s=state.max_age_s if max_age_s is None else max_age_s,
        max_silence_s=max(MIN_SILENCE_S, 2 * (state.cadence_s or 0), max_age_s or 0),
        completeness={name: _count_slots(slots) for name, slots in snapshot.slots.items()},
        minutes=_count_minutes(store, snapshot, gaps),
        state=state,
        inspection=inspection,
        facts=store.facts(),
        spooled=spooled,
        refused=None if believed else newest,
        thin=_summarize_thin(gaps, state, snapshot.now_ms),
        restless=sum(gap.reason in LOOKS and gap.changes >= MOST_CHANGES for gap in gaps.values()),
    )


def _summarize_thin(gaps: Mapping[int, Gap], state: "State", now_ms: int) -> Thin:
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


def _count_slots(slots: tuple[Slot, ...]) -> Completeness:
    closed = [slot for slot in slots if slot.closed]
    return Completeness(
        expected=len(closed),
        present=sum(not slot.missing for slot in closed),
        settled=sum(slot.settled for slot in closed),
        gaps=Counter(slot.reason for slot in closed if slot.reason),
    )


def _count_minutes(store: "Store", snapshot: "Snapshot", gaps: Mapping[int, Gap]) -> Completeness:
    running = snapshot.slots["minute"][-1]
    minutes = Span(window(snapshot.now_ms).start_ms, running.start_ms).minutes()
    unsettled = frozenset(minutes) - store.settled(minutes)
    return Completeness(
        expected=len(minutes),
        present=sum(slot.minutes for slot in snapshot.slots["hour"]) - running.minutes,
        settled=len(minutes) - len(unsettled),
        gaps=Counter(gap.reason for minute, gap in gaps.items() if minute in unsettled),
    )


def _find_reasons(status: Status) -> Iterator[str]:
    for key in status.inspection.foreign:
        yield f"{key} was not made by btcts; rename it, or run btcts init-keys --adopt"
    if _is_full(status.facts):
        used, most = (f"{count or 0:,}" for count in (status.facts.used_bytes, status.facts.max_bytes))
        yield f"Redis is full and refuses prices, it uses {used} of {most} bytes; raise its maxmemory"
    if status.inspection.empty:
        yield "nothing is stored; run btcts collect --once"
    else:
        yield from _check_layout(status.inspection)
        yield from _check_price(status)
        yield from _check_collectors(status)


def _check_layout(inspection: "Inspection") -> Iterator[str]:
    for fault in inspection.faults:
        if fault.key not in inspection.foreign:
            yield f"{fault}; the next collect puts it right, or run btcts init-keys"
    if inspection.poisoned and inspection.newest:
        ahead_s = (inspection.newest.time_ms - inspection.now_ms) / 1000
        yield f"the newest price is {ahead_s:.0f} s in the future and hides the others; run btcts prune"


def _check_price(status: Status) -> Iterator[str]:
    step = "" if _is_full(status.facts) else "; run btcts collect --once"
    if status.refused:
        if not status.inspection.poisoned:
            yield f"the newest price, {status.refused.price:g}, is no price; run btcts verify --repair"
    elif status.age_s is None:
        yield f"there is no price{step}"
    elif status.age_s > status.max_age_s:
        yield f"the newest price is {status.age_s:.0f} s old, the limit is {status.max_age_s:g} s{step}"


def _check_collectors(status: Status) -> Iterator[str]:
    """Check the collectors' silence, and the problems of their last cycle."""
    state, asked = status.state, _find_asked(status.state).values()
    if status.silence_s is not None and status.silence_s > status.max_silence_s:
        every = f", one came every {state.cadence_s:g} s" if state.cadence_s else ""
        step = "" if _is_full(status.facts) else "; run btcts collect --forever"
        yield f"no word from a collector for {status.silence_s:.0f} s{every}{step}"
    if state.problem:
        yield f"the last cycle stored no price ({state.problem}); btcts collect --once -v tells more"
    elif asked and not any(known.answers for known in asked):
        yield "no provider answers, each has failed or has to wait; btcts collect --once -v tells more"
    elif state.ahead_ms is not None and abs(state.ahead_ms) > MAX_SKEW_MS:
        yield f"the providers' clocks are {_format_skew(state.ahead_ms)} the Redis server's; set its clock right"
    if lacking := status.minutes.gaps.get(PROVIDERS_DOWN):
        yield f"closed minutes without a candle, for no provider answered: {lacking}; the next answer settles them"


def _is_full(facts: "Facts") -> bool:
    """Tell whether Redis has no memory for another price and cannot evict keys."""
    return facts.fill >= 1 and not facts.parameters.get("maxmemory-policy", "").startswith("allkeys")


def _find_asked(state: "State") -> Mapping[str, ProviderState]:
    """Return the providers that the last cycle asked or that have to wait; others may no longer be configured."""
    last_ms = state.last_cycle_ms or 0
    return {
        name: known for name, known in state.providers.items() if max(known.said_ms, known.not_before_ms) >= last_ms
    }


def _find_warnings(status: Status) -> Iterator[str]:
    yield from _check_server(status.facts)
    missing = {name: slots.expected - slots.present for name, slots in status.completeness.items()}
    if status.newest and any(missing.values()):
        counts = ", ".join(f"{name} {count}" for name, count in missing.items() if count)
        yield f"closed slots without a price: {counts}"
    for reason, words in UNSETTLED.items():
        if count := status.minutes.gaps.get(reason):
            yield f"closed minutes {words}: {count}"
    for provider, known in sorted(_find_asked(status.state).items()):
        if known.error:
            yield f"{provider}: {known.error}"
    yield from _describe_agreement(status.state, status.now_ms)
    if status.thin.minutes:
        yield _describe_thin(status.thin)
    if status.restless:
        yield f"minutes whose candle the providers kept changing, left as most of them had it: {status.restless}"
    if status.spooled:
        yield f"{status.spooled} prices wait on this machine for Redis; the next collect writes them"


def _describe_agreement(state: "State", now_ms: int) -> Iterator[str]:
    """Describe weaknesses of the last price: providers that contradict it, or too few that support it."""
    for provider, ratio in sorted(state.deviating.items()):
        yield f"{provider} is {abs(ratio):,.1%} {'above' if ratio > 0 else 'below'} the last price"
    providers = state.providers.items()
    unpaid = {name for name, known in providers if known.not_before_ms > now_ms and known.why == pacing.BUDGET}
    asked = set(state.configured or {}) - (unpaid - set(state.members))
    if state.flag == "disputed":
        yield f"the last price is disputed: {', '.join(state.members)} alone is near the price of before"
    elif 0 < 2 * len(state.members) <= len(asked):
        yield f"the last price rests on {len(state.members)} of {len(asked)} providers: {', '.join(state.members)}"


def _describe_thin(thin: Thin) -> str:
    count = f"{thin.least}" if thin.least == thin.most else f"{thin.least} to {thin.most}"
    minutes = f"{thin.minutes} minutes rest" if thin.minutes > 1 else "1 minute rests"
    since = ", ".join(_describe_silence(thin, name) for name in thin.silent)
    return f"{minutes} on {count} of {thin.reaching} providers, {since}"


def _describe_silence(thin: Thin, name: str) -> str:
    answered_ms = thin.silent[name]
    if name in thin.priced:
        return f"{name} gave no candles of them"
    return f"{name} has not answered since {iso(answered_ms)}" if answered_ms else f"{name} has never answered"


def _check_server(facts: "Facts") -> Iterator[str]:
    parameters = facts.parameters
    if parameters.get("appendonly") == "no" and (save := parameters.get("save")) is not None:
        lost = f"what came since the last snapshot (save {save})" if save else "all of it"
        yield f"Redis has no log on disk, a crash loses {lost}; set appendonly yes"
    policy = parameters.get("maxmemory-policy", "noeviction")
    if policy != "noeviction":
        yield f"Redis may evict our series (maxmemory-policy {policy}); set it to noeviction"
    if NEARLY_FULL <= facts.fill < 1:
        yield f"Redis has {facts.fill:.0%} of its maxmemory in use and refuses prices when it is full; raise it"
    if facts.database:
        yield f"only btcts reads database {facts.database} right, for the module looks back in 0 alone; use database 0"
    if abs(facts.ahead_ms) > FUTURE_SLACK_MS:
        yield f"this machine's clock is {_format_skew(facts.ahead_ms)} the Redis server's"


def _format_skew(ahead_ms: int) -> str:
    return f"{abs(ahead_ms) / 1000:.0f} s {'ahead of' if ahead_ms > 0 else 'behind'}"
