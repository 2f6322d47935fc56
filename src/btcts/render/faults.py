"""The sentences of faults, findings and repairs, by their codes."""

from collections.abc import Mapping

from btcts.domain.codes import FaultCode, FindingCode, RepairCode, Values
from btcts.store import Fault

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
    FindingCode.WRONG_BUCKET: "is not what its ticks make",
    FindingCode.BUCKET_WITHOUT_TICKS: "has no ticks",
    FindingCode.MISSING_BUCKET: "is missing",
    FindingCode.NOT_AGREED: "its {field} is not what the providers agree on",
    FindingCode.IN_DOUBT: "its {field} is not what the providers agree on, which silent ones may explain",
    FindingCode.NOT_TRADED: "is settled, but no provider has trades in it",
}
"""The problem with a key, which stands in front of it."""

REPAIRS: Mapping[RepairCode, str] = {
    RepairCode.LAYOUT_MADE: "made the layout",
    RepairCode.FUTURE_REMOVED: "took out ticks from the future",
}


def describe_problem(code: FaultCode | FindingCode, values: Values) -> str:
    """Describe a fault or a finding, without its key."""
    return PROBLEMS[code].format(**{name: _spell_value(code, value) for name, value in values.items()})


def describe_fault(fault: Fault) -> str:
    """Describe a fault with its key."""
    return f"{fault.key}: {describe_problem(fault.code, fault.values)}"


def describe_repair(repair: Fault | RepairCode) -> str:
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
