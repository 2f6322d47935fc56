"""Compare the keys in Redis with the layout. Finding faults is separate from repairing them."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from btcts.domain.codes import FaultCode
from btcts.domain.layout import DUPLICATE_POLICY, FUTURE_SLACK_MS, IGNORE, Compaction, Definition, Layout
from btcts.domain.model import Gap, Tick
from btcts.domain.untrusted import Unreadable, excerpt, parse_json, read_int
from btcts.store import carried, gaps, lease, state
from btcts.store.carried import CARRIED_FIELD, CARRIED_UNTIL_FIELD
from btcts.store.coverage import find_settled, query_survey
from btcts.store.expire import SWEPT_FIELD
from btcts.store.link import Command, Link, is_missing, is_wrong_type, now_of
from btcts.store.ranges import read_newest
from btcts.store.state import State

CompactionRule = tuple[int, str, int]
"""The bucket in ms, the aggregator, and the alignment in ms of a compaction rule."""


MARKS = (SWEPT_FIELD, CARRIED_FIELD, CARRIED_UNTIL_FIELD, lease.LEASE_FIELD)
"""The fields of the state that are no part of `State`."""

MOST_UNKNOWN = 100

THINNED_ABOVE = 31_000
"""The ticks that a rebuild leaves of a day with one each second, and three more hours of them."""

MOST_NAMED = 20
"""The most unreadable fields of one hash that are reported one by one."""


class Fault(NamedTuple):
    """One difference from the layout, and whether only a rebuild repairs it.

    `fields` are the unreadable fields of a side key, which a repair removes.
    """

    key: str
    code: FaultCode
    values: Mapping[str, object] = {}
    rebuild: bool = True
    fields: tuple[str, ...] = ()


class Series(NamedTuple):
    """A series of ours as TS.INFO describes it."""

    retention_ms: int
    chunk_size: int
    encoding: str
    policy: str | None
    labels: Mapping[str, str]
    source: str | None
    rules: Mapping[str, CompactionRule]
    samples: int
    ignore: tuple[int, float]

    def find_foreign_rules(self, layout: Layout) -> dict[str, CompactionRule]:
        """Return the rules into keys that are not in the layout."""
        return {key: rule for key, rule in self.rules.items() if key not in layout.series}


class Inspection(NamedTuple):
    """The state of our keys at `now_ms`.

    `series` has None for a missing key; `foreign` names keys that are not ours although they have our names;
    `state` and `gaps` are what can be read of the side keys. `rebuilding` says that another process may be rebuilding,
    so that this may be a state in between. `settled` are those of the minutes asked for that have their whole candle.
    """

    now_ms: int
    newest: Tick | None
    series: Mapping[str, Series | None]
    foreign: tuple[str, ...]
    faults: tuple[Fault, ...]
    state: State = State()
    gaps: Mapping[int, Gap] = {}
    rebuilding: bool = False
    settled: frozenset[int] = frozenset()

    @property
    def poisoned(self) -> bool:
        """True if the newest tick lies in the future and so hides older ones."""
        return self.newest is not None and self.newest.time_ms > self.now_ms + FUTURE_SLACK_MS

    @property
    def empty(self) -> bool:
        """True if none of our series exists."""
        return not any(self.series.values())

    @property
    def needs_rebuild(self) -> bool:
        """True if a rebuild is due: a fault that needs one, or a tick from the future."""
        return self.poisoned or any(fault.rebuild for fault in self.faults)

    @property
    def needs_thinning(self) -> bool:
        """True if there are so many ticks that a rebuild is due before it would hold Redis for long."""
        return any(found.samples > THINNED_ABOVE for found in self.series.values() if found)


def inspect(link: Link, minutes: Collection[int] = ()) -> Inspection:
    """Compare keys, rules, retention, encoding and labels with the layout, in one round trip; writes nothing.

    Of the side keys, which anybody may have written, each field is read. Of `minutes` it tells which ones are settled.
    """
    layout = link.layout
    hashes = (layout.state, layout.gaps)
    questions: list[Command] = [("TS.INFO", key) for key in layout.series] + [("HGETALL", key) for key in hashes]
    questions += [query_survey(layout, minutes)] if minutes else [("TIME",), ("TS.GET", layout.tick)]
    replies = link.ask_all(questions)
    described = dict(zip((*layout.series, *hashes), replies, strict=False))
    time, newest = replies[-1][:2] if minutes else replies[-2:]
    series = {key: parse_series(described[key]) for key in layout.series}
    unusable = [key for key, reply in described.items() if is_wrong_type(reply)]
    others = [key for key, found in series.items() if found and not _is_ours(layout, key, series)]
    now_ms = link.clock.observe(now_of(time))
    fields, ledger = ({} if key in unusable else described[key] for key in hashes)
    known_state, unreadable = state.examine(fields, link.real_now_ms)
    known_gaps, unreadable_gaps = gaps.examine(ledger, link.real_now_ms)
    return Inspection(
        now_ms=now_ms,
        newest=read_newest(newest),
        series=series,
        foreign=(*unusable, *others),
        faults=(
            *_find_faults(layout, series, unusable),
            *_find_marking_faults(layout, fields, now_ms),
            *_find_lease_faults(layout, fields, now_of(time)),
            *_find_field_faults(layout.state, unreadable),
            *_find_surplus_faults(layout, fields),
            *_find_field_faults(layout.gaps, unreadable_gaps),
        ),
        state=known_state,
        gaps=known_gaps,
        rebuilding=_is_lifted(series) or lease.is_held(fields.get(lease.LEASE_FIELD), now_of(time)),
        settled=frozenset(find_settled(minutes, replies[-1]) if minutes else ()),
    )


def _is_lifted(series: Mapping[str, Series | None]) -> bool:
    """Tell whether a series has no retention, as during a rebuild."""
    return any(found.retention_ms == 0 for found in series.values() if found)


def _find_field_faults(key: str, unreadable: Mapping[str, str]) -> Iterator[Fault]:
    """Yield the unreadable fields of a side key, those beyond `MOST_NAMED` as one fault."""
    names = sorted(unreadable)
    for name in names[:MOST_NAMED]:
        yield _build_unreadable(key, name, unreadable[name], rebuild=False)
    if rest := tuple(names[MOST_NAMED:]):
        yield Fault(key, FaultCode.UNREADABLE_FIELDS, {"count": len(rest)}, rebuild=False, fields=rest)


def _build_unreadable(key: str, name: str, why: str, *, rebuild: bool) -> Fault:
    """Build the fault of a field that cannot be read; where it takes no rebuild, the field is removed."""
    values = {"name": excerpt(name), "why": why}
    return Fault(key, FaultCode.UNREADABLE_FIELD, values, rebuild, fields=() if rebuild else (name,))


def is_state_field(name: str) -> bool:
    """Tell whether a field of the state hash is one of ours."""
    return state.is_known(name) or name in MARKS


def _find_surplus_faults(layout: Layout, fields: Mapping[str, str]) -> Iterator[Fault]:
    """Report unknown fields of the state; a few are allowed, since a later version may have written them."""
    unknown = tuple(name for name in fields if not is_state_field(name))
    if len(unknown) > MOST_UNKNOWN:
        values = {"count": len(unknown)}
        yield Fault(layout.state, FaultCode.SURPLUS_FIELDS, values, rebuild=False, fields=unknown)


def _find_marking_faults(layout: Layout, fields: Mapping[str, str], now_ms: int) -> Iterator[Fault]:
    """Yield faults in the marks that writers leave for each other; a rebuild resets them."""
    try:
        yield from _find_sweeping_faults(layout, fields.get(SWEPT_FIELD), now_ms)
    except Unreadable as exc:
        yield _build_unreadable(layout.state, SWEPT_FIELD, str(exc), rebuild=True)
    try:
        end_ms = carried.end_of(layout, carried.parse(layout, fields.get(CARRIED_FIELD)))
    except Unreadable as exc:
        yield _build_unreadable(layout.state, CARRIED_FIELD, str(exc), rebuild=True)
        return
    if (until := fields.get(CARRIED_UNTIL_FIELD, "0")) != str(end_ms):
        values = {"name": CARRIED_UNTIL_FIELD, "found": excerpt(until), "wanted": end_ms}
        yield Fault(layout.state, FaultCode.WRONG_CARRIED_END, values)


def _find_lease_faults(layout: Layout, fields: Mapping[str, str], server_ms: int) -> Iterator[Fault]:
    """Yield a fault for a malformed lease; writers ignore it."""
    try:
        if (text := fields.get(lease.LEASE_FIELD)) is not None:
            lease.parse(text, server_ms)
    except Unreadable as exc:
        yield _build_unreadable(layout.state, lease.LEASE_FIELD, str(exc), rebuild=False)


def _find_sweeping_faults(layout: Layout, swept: str | None, now_ms: int) -> Iterator[Fault]:
    """Yield a fault if buckets were removed that this clock would keep."""
    ahead_ms = 0 if swept is None else read_int(parse_json(swept)) - now_ms
    if ahead_ms > FUTURE_SLACK_MS:
        yield Fault(layout.state, FaultCode.SWEPT_AHEAD, {"ahead_s": ahead_ms // 1000})


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
        samples=int(reply["totalSamples"]),
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
        yield Fault(key, FaultCode.WRONG_TYPE)
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
    if found is None:
        yield Fault(wanted.key, FaultCode.MISSING)
        return
    shorter = 0 < found.retention_ms < wanted.retention_ms
    compared: tuple[tuple[FaultCode, object, object, bool], ...] = (
        (FaultCode.WRONG_ENCODING, found.encoding, wanted.encoding, True),
        (FaultCode.WRONG_RETENTION, found.retention_ms, wanted.retention_ms, derived and shorter),
        (FaultCode.WRONG_CHUNK_SIZE, found.chunk_size, wanted.chunk_size, False),
        (FaultCode.WRONG_POLICY, found.policy, DUPLICATE_POLICY, False),
        (FaultCode.WRONG_FILTER, found.ignore, IGNORE, False),
        (FaultCode.WRONG_LABELS, found.labels, wanted.labels, False),
    )
    for code, actual, right, rebuild in compared:
        if actual != right:
            yield Fault(wanted.key, code, {"found": actual, "wanted": right}, rebuild)


def _find_rule_faults(compaction: Compaction, source: Series, found: Series, tick: str) -> Iterator[Fault]:
    wanted = (compaction.resolution.bucket_ms, compaction.aggregator, 0)
    rule = source.rules.get(compaction.key)
    if rule is None or found.source != tick:
        yield Fault(compaction.key, FaultCode.NO_RULE, {"source": tick})
    elif rule != wanted:
        yield Fault(compaction.key, FaultCode.WRONG_RULE, {"found": rule, "wanted": wanted})
