"""The sentences of codes: faults, findings and repairs, reasons and warnings of `status`, failures of providers.

A cause that several providers share is explained once, with the next step; other failures keep their own words.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from btcts.domain.codes import FaultCode, FindingCode, ReasonCode, RefusalCode, Remark, RepairCode, Values, WarningCode
from btcts.errors import Problem
from btcts.render.figures import duration, iso

if TYPE_CHECKING:
    from btcts.services.status import Thin
    from btcts.store import Fault, Lag

PROBLEMS: Mapping[FaultCode | FindingCode, str] = {
    FaultCode.MISSING: "is missing",
    FaultCode.WRONG_TYPE: "holds another type of value",
    FaultCode.WRONG_ENCODING: "is {found}, not {wanted}",
    FaultCode.WRONG_RETENTION: "retention is {found} ms, not {wanted}",
    FaultCode.WRONG_CHUNK_SIZE: "chunk size is {found}, not {wanted}",
    FaultCode.WRONG_POLICY: "duplicate policy is {found}, not {wanted}",
    FaultCode.WRONG_FILTER: "drops samples within {found[0]} ms and {found[1]:g} of the newest, not none",
    FaultCode.WRONG_LABELS: "labels are {found}, not {wanted}",
    FaultCode.WRONG_RULE: "its rule is {found}, not {wanted}",
    FaultCode.NO_RULE: "has no compaction rule from {source}",
    FaultCode.UNREADABLE_FIELD: "{name} cannot be read ({why})",
    FaultCode.UNREADABLE_FIELDS: "{count} more fields cannot be read",
    FaultCode.SURPLUS_FIELDS: "has {count} fields that nobody reads",
    FaultCode.WRONG_CARRIED_END: "{name} is {found}, not {wanted}",
    FaultCode.SWEPT_AHEAD: "says that buckets were removed by a clock that was {ahead_s} s ahead of this one",
    FaultCode.FUTURE_TICK: "its newest tick lies in the future",
    FindingCode.FOREIGN_KEY: "was not made by btcts",
    FindingCode.IN_FUTURE: "lies in the future",
    FindingCode.NO_PRICE: "is no price",
    FindingCode.CLOSE_LOST: "its candle has lost its close",
    FindingCode.CANDLE_INCOMPLETE: "is settled, but its candle has lost its {lost}",
    FindingCode.OUTSIDE_CANDLE: (
        "is settled, but its low {low} and high {high} do not hold the prices at {offsets_ms} ms"
    ),
    FindingCode.WRONG_BUCKET: "does not agree with its ticks",
    FindingCode.BUCKET_WITHOUT_TICKS: "has no ticks",
    FindingCode.MISSING_BUCKET: "is missing",
    FindingCode.NOT_AGREED: "its {field} is not what the providers agree on",
    FindingCode.IN_DOUBT: "its {field} is not what the providers agree on, perhaps because some do not answer",
    FindingCode.NOT_TRADED: "is settled, but no provider has trades in it",
}
"""The problem with a key, which stands in front of it."""

REPAIRS: Mapping[RepairCode, str] = {
    RepairCode.LAYOUT_MADE: "made the layout",
    RepairCode.FUTURE_REMOVED: "took out ticks from the future",
}

REMARKS: Mapping[ReasonCode | WarningCode, str] = {
    ReasonCode.FOREIGN_KEY: "{key} was not made by btcts; rename it, or run btcts init-keys --adopt",
    ReasonCode.REDIS_FULL: (
        "Redis is full and refuses prices, it uses {used_bytes:,} of {max_bytes:,} bytes; raise its maxmemory"
    ),
    ReasonCode.NOTHING_STORED: "nothing is stored; run btcts collect --once",
    ReasonCode.LAYOUT_DIFFERS: "{fault}; the next collect repairs it, or run btcts init-keys",
    ReasonCode.FUTURE_PRICE: "the newest price is {ahead_s:.0f} s in the future and hides the others; run btcts prune",
    ReasonCode.BAD_PRICE: "the newest price, {price:g}, is not a price; run btcts verify --repair",
    ReasonCode.NO_PRICE: "there is no price; run btcts collect --once",
    ReasonCode.STALE_PRICE: (
        "the newest price is {age_s:.0f} s old, the limit is {limit_s:g} s; run btcts collect --once"
    ),
    ReasonCode.COLLECTOR_SILENT: (
        "no word from a collector for {silence_s:.0f} s{cadence_s}; run btcts collect --forever"
    ),
    ReasonCode.CYCLE_FAILED: "the last cycle stored no price ({problem}); btcts collect --once -v tells more",
    ReasonCode.PROVIDERS_SILENT: (
        "no provider answers: each failed or has to wait; btcts collect --once -v tells more"
    ),
    ReasonCode.PROVIDER_CLOCKS: "the providers' clocks are {ahead_ms} the Redis server's; correct its clock",
    ReasonCode.PROVIDERS_DOWN: (
        "closed minutes without a candle because no provider answered: {minutes}; the next answer settles them"
    ),
    WarningCode.NO_LOG: "Redis has no log on disk, a crash loses {save}; set appendonly yes",
    WarningCode.EVICTION: "Redis may evict our series (maxmemory-policy {policy}); set it to noeviction",
    WarningCode.NEARLY_FULL: (
        "Redis has {fill:.0%} of its maxmemory in use and refuses prices when it is full; raise it"
    ),
    WarningCode.OTHER_DATABASE: (
        "RedisTimeSeries reads LATEST correctly in database 0 alone, not in {database}; use database 0"
    ),
    WarningCode.LOCAL_CLOCK: "this machine's clock is {ahead_ms} the Redis server's",
    WarningCode.MISSING_SLOTS: "closed slots without a price: {slots}",
    WarningCode.NO_TRADES: "closed minutes without trades: {minutes}",
    WarningCode.NOT_REACHED: "closed minutes further back than the providers that answer reach: {minutes}",
    WarningCode.DISAGREE: "closed minutes whose candles too few providers agree on: {minutes}",
    WarningCode.POLLS_ONLY: (
        "closed minutes with polled prices alone, as no configured provider has candles: {minutes}"
    ),
    WarningCode.PROVIDER_FAILED: "{provider}: {error}",
    WarningCode.DEVIATING: "{provider} is {ratio} the last price",
    WarningCode.DISPUTED: "the last price is disputed: {members} alone is near the price before it",
    WarningCode.FEW_PROVIDERS: "the last price rests on {count} of {asked} providers: {members}",
    WarningCode.THIN_MINUTES: "{thin}",
    WarningCode.RESTLESS_MINUTES: (
        "minutes whose candle the providers kept changing, left as most of them had it: {minutes}"
    ),
    WarningCode.SPOOLED_PRICES: "{prices} prices wait on this machine for Redis; the next collect writes them",
    WarningCode.STREAMS_DOWN: "no stream of trades is connected, prices are polled instead: {streams}",
    WarningCode.CANDLES_DIFFER: (
        "the candles of {provider} keep differing from its stream of trades, in {corrected} of {compared} minutes; "
        "its stream settles no more minutes"
    ),
}

USELESS_WHEN_FULL = (ReasonCode.NO_PRICE, ReasonCode.STALE_PRICE, ReasonCode.COLLECTOR_SILENT)
"""Reasons that a collect does not mend while Redis is full."""

STEPS = {
    "names": "their names are not resolved ({why}); check the network and its name servers",
    "route": "the network is not reached ({why}); check it",
    "refused": "{why}; check the network, its firewall and the url settings",
    "certificate": "{why}; check the clock, or put the authority that signs for this network into SSL_CERT_FILE",
    "proxy": "{why}; correct or unset that variable",
    "slow": "{why}; check the network, its firewall and its proxy",
}
"""Explanation of the cause of a `Problem` that many providers share, by that cause."""

FAULTS_SHOWN = 2
"""So many faults, or repairs, are described unless all are asked for: where rules are gone, all ten are."""

SHARED = 3
"""Providers that must fail alike for one explanation to replace their own words."""


def describe_problem(code: FaultCode | FindingCode, values: Values) -> str:
    """Describe a fault or a finding, without its key."""
    return PROBLEMS[code].format(**{name: _spell_value(code, value) for name, value in values.items()})


def describe_fault(fault: "Fault") -> str:
    """Describe a fault with its key."""
    return f"{fault.key}: {describe_problem(fault.code, fault.values)}"


def describe_repair(repair: "Fault | RepairCode") -> str:
    """Describe the fault that was repaired, or the repair."""
    return REPAIRS[repair] if isinstance(repair, RepairCode) else describe_fault(repair)


def _spell_value(code: FaultCode | FindingCode, value: object) -> object:
    """Spell labels, rules, lists and a missing setting; other values as they are."""
    match code, value:
        case _, None:
            return "not set"
        case _, Mapping():
            return " ".join(f"{name}={label}" for name, label in sorted(value.items())) or "none"
        case FaultCode.WRONG_RULE, (bucket_ms, aggregator, align_ms):
            return f"{aggregator} of {bucket_ms} ms" + (f" aligned to {align_ms}" if align_ms else "")
        case FindingCode.CANDLE_INCOMPLETE, [*names]:
            return " and ".join(map(str, names))
        case FindingCode.OUTSIDE_CANDLE, [*offsets]:
            return ", ".join(f"+{offset}" for offset in offsets)
    return value


def describe_remarks(remarks: Sequence[Remark]) -> Iterator[str]:
    """Describe each remark in one line; where one says that Redis is full, none advises to collect."""
    full = any(remark.code == ReasonCode.REDIS_FULL for remark in remarks)
    for remark in remarks:
        values = {name: SPELLINGS[name](value) if name in SPELLINGS else value for name, value in remark.values.items()}
        sentence = REMARKS[remark.code].format(**values)
        yield sentence.partition("; ")[0] if full and remark.code in USELESS_WHEN_FULL else sentence


def _describe_loss(save: str) -> str:
    return f"what came since the last snapshot (save {save})" if save else "all of it"


def _format_skew(ahead_ms: int) -> str:
    return f"{abs(ahead_ms) / 1000:.0f} s {'ahead of' if ahead_ms > 0 else 'behind'}"


def _describe_thin(thin: "Thin") -> str:
    count = f"{thin.least}" if thin.least == thin.most else f"{thin.least} to {thin.most}"
    minutes, them = (f"{thin.minutes} minutes rest", "them") if thin.minutes > 1 else ("1 minute rests", "it")
    silence = [_describe_silence(name, thin.silent[name]) for name in thin.silent if name not in thin.priced]
    if thin.priced:
        *names, last = sorted(thin.priced)
        priced = f"{', '.join(names)} and {last} were" if names else f"{last} was"
        silence.append(f"{priced} not heard for {them}")
    return f"{minutes} on {count} of {thin.reaching} providers; {', '.join(silence)}"


def _describe_silence(name: str, answered_ms: int | None) -> str:
    return f"{name} has not answered since {iso(answered_ms)}" if answered_ms else f"{name} has never answered"


SPELLINGS: Mapping[str, Callable[[Any], object]] = {
    "fault": describe_fault,
    "cadence_s": lambda cadence_s: f", one came every {cadence_s:g} s" if cadence_s else "",
    "ahead_ms": _format_skew,
    "save": _describe_loss,
    "slots": lambda slots: ", ".join(f"{name} {count}" for name, count in slots.items()),
    "members": ", ".join,
    "ratio": lambda ratio: f"{abs(ratio):,.1%} {'above' if ratio > 0 else 'below'}",
    "thin": _describe_thin,
    "streams": ", ".join,
}
"""Spellings of values in sentences, by their name; others stand as they are."""


def group_reasons(reasons: Mapping[str, str], *, verbose: bool = False) -> dict[str, str]:
    """Return reasons by providers, which share one where three or more have the same cause, unless `verbose`."""
    causes = {provider: why.cause if isinstance(why, Problem) else "" for provider, why in reasons.items()}
    counts = Counter(causes.values())
    groups: dict[str, list[str]] = {}
    for provider, cause in causes.items():
        together = cause in STEPS and counts[cause] >= SHARED and not verbose
        groups.setdefault(cause if together else provider, []).append(provider)
    return {", ".join(group): _explain([reasons[provider] for provider in group]) for group in groups.values()}


def find_code(why: str) -> str:
    """Return the code of a failure; that of one without a known cause is `failed`."""
    return why.cause if isinstance(why, Problem) and why.cause in [*RefusalCode] else RefusalCode.FAILED


def list_reasons(reasons: Mapping[str, str], *, verbose: bool = False) -> str:
    """Join the reasons of `group_reasons` into one text."""
    return ", ".join(f"{providers} ({why})" for providers, why in group_reasons(reasons, verbose=verbose).items())


def _explain(reasons: list[str]) -> str:
    first = reasons[0]
    if len(reasons) == 1 or not isinstance(first, Problem):
        return first
    return f"{STEPS[first.cause].format(why=first.why)} (-v names each)"


def describe_lag(lag: "Lag | None") -> str:
    """Describe how far a replica is behind its primary."""
    if lag is None:
        return "it is no replica now, or does not tell"
    if not lag.linked:
        since = f" for {duration(lag.behind_s)}" if lag.behind_s >= 0 else ""
        return f"without its primary{since}, what was written since is missing"
    return f"at most {duration(lag.behind_s)} behind its primary"
