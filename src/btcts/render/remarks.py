"""The sentences of the reasons and warnings of `status`, by their codes."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from btcts.domain.codes import ReasonCode, Remark, WarningCode
from btcts.render.faults import describe_fault
from btcts.render.figures import iso
from btcts.services.status import Thin

SENTENCES: Mapping[ReasonCode | WarningCode, str] = {
    ReasonCode.FOREIGN_KEY: "{key} was not made by btcts; rename it, or run btcts init-keys --adopt",
    ReasonCode.REDIS_FULL: (
        "Redis is full and refuses prices, it uses {used_bytes:,} of {max_bytes:,} bytes; raise its maxmemory"
    ),
    ReasonCode.NOTHING_STORED: "nothing is stored; run btcts collect --once",
    ReasonCode.LAYOUT_DIFFERS: "{fault}; the next collect puts it right, or run btcts init-keys",
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
    ReasonCode.PROVIDER_CLOCKS: "the providers' clocks are {ahead_ms} the Redis server's; set its clock right",
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
    WarningCode.DISPUTED: "the last price is disputed: {members} alone is near the price of before",
    WarningCode.FEW_PROVIDERS: "the last price rests on {count} of {asked} providers: {members}",
    WarningCode.THIN_MINUTES: "{thin}",
    WarningCode.RESTLESS_MINUTES: (
        "minutes whose candle the providers kept changing, left as most of them had it: {minutes}"
    ),
    WarningCode.SPOOLED_PRICES: "{prices} prices wait on this machine for Redis; the next collect writes them",
}

USELESS_WHEN_FULL = (ReasonCode.NO_PRICE, ReasonCode.STALE_PRICE, ReasonCode.COLLECTOR_SILENT)
"""Reasons that a collect does not mend while Redis is full."""


def describe_remarks(remarks: Sequence[Remark]) -> Iterator[str]:
    """Describe each remark in one line; where one says that Redis is full, none advises to collect."""
    full = any(remark.code == ReasonCode.REDIS_FULL for remark in remarks)
    for remark in remarks:
        values = {name: SPELLINGS.get(name, _leave)(value) for name, value in remark.values.items()}
        sentence = SENTENCES[remark.code].format(**values)
        yield sentence.partition("; ")[0] if full and remark.code in USELESS_WHEN_FULL else sentence


def _leave(value: object) -> object:
    return value


def _describe_loss(save: str) -> str:
    return f"what came since the last snapshot (save {save})" if save else "all of it"


def _format_skew(ahead_ms: int) -> str:
    return f"{abs(ahead_ms) / 1000:.0f} s {'ahead of' if ahead_ms > 0 else 'behind'}"


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


SPELLINGS: Mapping[str, Callable[[Any], object]] = {
    "fault": describe_fault,
    "cadence_s": lambda cadence_s: f", one came every {cadence_s:g} s" if cadence_s else "",
    "ahead_ms": _format_skew,
    "save": _describe_loss,
    "slots": lambda slots: ", ".join(f"{name} {count}" for name, count in slots.items()),
    "members": ", ".join,
    "ratio": lambda ratio: f"{abs(ratio):,.1%} {'above' if ratio > 0 else 'below'}",
    "thin": _describe_thin,
}
"""Spellings of values in sentences, by their name; others stand as they are."""
