"""Compare the keys in Redis with the layout. Finding faults is separate from repairing them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from btcts.domain.layout import DUPLICATE_POLICY, FUTURE_SLACK_MS, IGNORE, Compaction, Definition, Layout
from btcts.domain.model import Gap, Tick
from btcts.domain.untrusted import Unreadable, excerpt, parse_json, read_int
from btcts.store import carried, gaps, lease, state
from btcts.store.carried import CARRIED_FIELD, CARRIED_UNTIL_FIELD
from btcts.store.expire import SWEPT_FIELD
from btcts.store.link import Link, is_missing, is_wrong_type, now_of
from btcts.store.state import State

CompactionRule = tuple[int, str, int]
"""The bucket in ms, the aggregator, and the alignment in ms of a compaction rule."""


MARKS = (SWEPT_FIELD, CARRIED_FIELD, CARRIED_UNTIL_FIELD, lease.LEASE_FIELD)
"""The fields of the state that are no part of `State`."""

MOST_UNKNOWN = 100

MOST_NAMED = 20
"""The most unreadable fields of one hash that are reported one by one."""


@dataclass(frozen=True)
class Fault:
    """One difference from the layout, in words, and whether it takes a rebuild to put right.

    `fields` are those of a side key that cannot be read, and go.
    """

    key: str
    problem: str
    rebuild: bool
    fields: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.key}: {self.problem}"


@dataclass(frozen=True)
class Series:
    """A series of ours as TS.INFO describes it."""

    retention_ms: int
    chunk_size: int
    encoding: str
    policy: str | None
    labels: Mapping[str, str]
    source: str | None
    rules: Mapping[str, CompactionRule]
    ignore: tuple[int, float] = IGNORE

    def find_guests(self, layout: Layout) -> dict[str, CompactionRule]:
        """Return the rules into keys that are not in the layout."""
        return {key: rule for key, rule in self.rules.items() if key not in layout.series}


@dataclass(frozen=True)
class Inspection:
    """The state of our keys at `now_ms`.

    `series` has None for a missing key; `foreign` names keys that are not ours although they have our names;
    `state` and `gaps` are what can be read of the side keys.
    """

    now_ms: int
    newest: Tick | None
    series: Mapping[str, Series | None]
    foreign: tuple[str, ...]
    faults: tuple[Fault, ...]
    state: State = field(default_factory=State)
    gaps: Mapping[int, Gap] = field(default_factory=dict)

    @property
    def poisoned(self) -> bool:
        """True if the newest tick lies in the future and so hides older ones."""
        return self.newest is not None and self.newest.time_ms > self.now_ms + FUTURE_SLACK_MS

    @property
    def lifted(self) -> bool:
        """True if a series has no retention, as during a rebuild."""
        return any(series.retention_ms == 0 for series in self.series.values() if series)

    @property
    def empty(self) -> bool:
        """True if none of our series exists."""
        return not any(self.series.values())

    @property
    def needs_rebuild(self) -> bool:
        """True if a rebuild is due: a fault that needs one, or a tick from the future."""
        return self.poisoned or any(fault.rebuild for fault in self.faults)


def inspect(link: Link) -> Inspection:
    """Compare keys, rules, retention, encoding and labels with the layout, in one round trip; writes nothing.

    Of the side keys, which anybody may have written, each field is read.
    """
    layout = link.layout
    hashes = (layout.state, layout.gaps)
    time, newest, *replies = link.ask_all(
        [
            *(("TIME",), ("TS.GET", layout.tick)),
            *(("TS.INFO", key) for key in layout.series),
            *(("HGETALL", key) for key in hashes),
        ]
    )
    described = dict(zip((*layout.series, *hashes), replies, strict=True))
    series = {key: parse_series(described[key]) for key in layout.series}
    unusable = [key for key, reply in described.items() if is_wrong_type(reply)]
    others = [key for key, found in series.items() if found and not _is_ours(layout, key, series)]
    now_ms = link.clock.observe(now_of(time))
    told, ledger = ({} if key in unusable else described[key] for key in hashes)
    known_state, unreadable = state.examine(told, link.told_ms)
    known_gaps, unreadable_gaps = gaps.examine(ledger, link.told_ms)
    return Inspection(
        now_ms=now_ms,
        newest=Tick(*newest) if newest and not isinstance(newest, Exception) else None,
        series=series,
        foreign=(*unusable, *others),
        faults=(
            *_find_faults(layout, series, unusable),
            *_find_marking_faults(layout, told, now_ms),
            *_find_lease_faults(layout, told, now_of(time)),
            *_find_field_faults(layout.state, unreadable),
            *_find_surplus_faults(layout, told),
            *_find_field_faults(layout.gaps, unreadable_gaps),
        ),
        state=known_state,
        gaps=known_gaps,
    )


def _find_field_faults(key: str, unreadable: Mapping[str, str]) -> Iterator[Fault]:
    """Yield the unreadable fields of a side key, those beyond `MOST_NAMED` as one fault."""
    names = sorted(unreadable)
    for name in names[:MOST_NAMED]:
        problem = f"{excerpt(name)} cannot be read ({unreadable[name]})"
        yield Fault(key, problem, rebuild=False, fields=(name,))
    if rest := tuple(names[MOST_NAMED:]):
        yield Fault(key, f"{len(rest)} more fields cannot be read", rebuild=False, fields=rest)


def _find_surplus_faults(layout: Layout, told: Mapping[str, str]) -> Iterator[Fault]:
    """Report unknown fields of the state; a few are allowed, since a later version may have written them."""
    unknown = tuple(name for name in told if not state.is_known(name) and name not in MARKS)
    if len(unknown) > MOST_UNKNOWN:
        yield Fault(layout.state, f"has {len(unknown)} fields that nobody reads", rebuild=False, fields=unknown)


def _find_marking_faults(layout: Layout, told: Mapping[str, str], now_ms: int) -> Iterator[Fault]:
    """Yield faults in the marks that writers leave for each other; a rebuild resets them."""
    try:
        yield from _find_sweeping_faults(layout, told.get(SWEPT_FIELD), now_ms)
    except Unreadable as exc:
        yield Fault(layout.state, f"{SWEPT_FIELD} cannot be read ({exc})", rebuild=True)
    try:
        end_ms = carried.end_of(layout, carried.parse(layout, told.get(CARRIED_FIELD)))
    except Unreadable as exc:
        yield Fault(layout.state, f"{CARRIED_FIELD} cannot be read ({exc})", rebuild=True)
        return
    if (until := told.get(CARRIED_UNTIL_FIELD, "0")) != str(end_ms):
        yield Fault(layout.state, f"{CARRIED_UNTIL_FIELD} is {excerpt(until)}, not {end_ms}", rebuild=True)


def _find_lease_faults(layout: Layout, told: Mapping[str, str], server_ms: int) -> Iterator[Fault]:
    """Yield a fault for a malformed lease; writers ignore it."""
    try:
        if (text := told.get(lease.LEASE_FIELD)) is not None:
            lease.parse(text, server_ms)
    except Unreadable as exc:
        problem = f"{lease.LEASE_FIELD} cannot be read ({exc})"
        yield Fault(layout.state, problem, rebuild=False, fields=(lease.LEASE_FIELD,))


def _find_sweeping_faults(layout: Layout, swept: str | None, now_ms: int) -> Iterator[Fault]:
    """Yield a fault if buckets were removed that this clock would keep."""
    ahead_ms = 0 if swept is None else read_int(parse_json(swept)) - now_ms
    if ahead_ms > FUTURE_SLACK_MS:
        problem = f"says that buckets were removed by a clock that was {ahead_ms // 1000} s ahead of this one"
        yield Fault(layout.state, problem, rebuild=True)


def parse_series(reply: Any) -> Series | None:
    """Parse the reply to TS.INFO; None where there is no series."""
    if is_missing(reply) or is_wrong_type(reply):
        return None
    rules = {key: (int(rule[0]), str(rule[1]).lower(), int(rule[2])) for key, rule in dict(reply["rules"]).items()}
    policy = reply["duplicatePolicy"]
    return Series(
        retention_ms=int(reply["retentionTime"]),
        chunk_size=int(reply["chunkSize"]),
        encoding=str(reply["chunkType"]),
        policy=policy.lower() if policy else None,
        labels=dict(reply["labels"]),
        source=reply["sourceKey"],
        rules=rules,
        ignore=(int(reply.get("ignoreMaxTimeDiff", 0)), float(reply.get("ignoreMaxValDiff", 0))),  # since 1.12
    )


def _is_ours(layout: Layout, key: str, series: Mapping[str, Series | None]) -> bool:
    """Tell whether the key carries our label, or our rules show that only its label was lost."""
    found = series[key]
    if found is None or found.labels.get("app") == "btcts":
        return True
    kin = found.rules if key == layout.tick else [found.source or ""]
    relatives = [series.get(name) for name in kin]
    return any(relative is not None and relative.labels.get("app") == "btcts" for relative in relatives)


def _find_faults(layout: Layout, series: Mapping[str, Series | None], unusable: Sequence[str]) -> Iterator[Fault]:
    for key in unusable:
        yield Fault(key, "holds another type of value", rebuild=True)
    for definition in layout.definitions:
        if definition.key not in unusable:
            yield from _find_series_faults(definition, series[definition.key], derived=definition.key != layout.tick)
    source = series[layout.tick]
    for compaction in layout.compactions:
        found = series[compaction.key]
        if source and found:
            yield from _find_rule_faults(compaction, source, found, layout.tick)


def _find_series_faults(wanted: Definition, found: Series | None, *, derived: bool) -> Iterator[Fault]:
    """Yield the differences; a compaction with too short a retention has lost buckets and needs a rebuild."""
    key = wanted.key
    if found is None:
        yield Fault(key, "is missing", rebuild=True)
        return
    if found.encoding != wanted.encoding:
        yield Fault(key, f"is {found.encoding}, not {wanted.encoding}", rebuild=True)
    if found.retention_ms != wanted.retention_ms:
        shorter = 0 < found.retention_ms < wanted.retention_ms
        problem = f"retention is {found.retention_ms} ms, not {wanted.retention_ms}"
        yield Fault(key, problem, rebuild=derived and shorter)
    if found.chunk_size != wanted.chunk_size:
        yield Fault(key, f"chunk size is {found.chunk_size}, not {wanted.chunk_size}", rebuild=False)
    if found.policy != DUPLICATE_POLICY:
        problem = f"duplicate policy is {found.policy or 'not set'}, not {DUPLICATE_POLICY}"
        yield Fault(key, problem, rebuild=False)
    if found.ignore != IGNORE:
        near_ms, near = found.ignore
        yield Fault(key, f"drops samples within {near_ms} ms and {near:g} of the newest, not none", rebuild=False)
    if found.labels != wanted.labels:
        problem = f"labels are {_format_labels(found.labels)}, not {_format_labels(wanted.labels)}"
        yield Fault(key, problem, rebuild=False)


def _find_rule_faults(compaction: Compaction, source: Series, found: Series, tick: str) -> Iterator[Fault]:
    wanted = (compaction.resolution.bucket_ms, compaction.aggregator, 0)
    rule = source.rules.get(compaction.key)
    if rule is None or found.source != tick:
        yield Fault(compaction.key, f"has no compaction rule from {tick}", rebuild=True)
    elif rule != wanted:
        yield Fault(compaction.key, f"its rule is {_format_rule(rule)}, not {_format_rule(wanted)}", rebuild=True)


def _format_labels(labels: Mapping[str, str]) -> str:
    return " ".join(f"{name}={value}" for name, value in sorted(labels.items())) or "none"


def _format_rule(rule: tuple[int, str, int]) -> str:
    bucket_ms, aggregator, align_ms = rule
    return f"{aggregator} of {bucket_ms} ms" + (f" aligned to {align_ms}" if align_ms else "")
