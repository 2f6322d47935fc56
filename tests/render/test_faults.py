"""The sentence of every fault, finding and repair."""

from btcts.domain.codes import FaultCode, FindingCode, RepairCode
from btcts.render.faults import describe_fault, describe_problem, describe_repair
from btcts.store import Fault
from render.snapshot import assert_as_stored

LABELS = {"asset": "btc", "app": "btcts"}

VALUES: dict[FaultCode | FindingCode, list[dict[str, object]]] = {
    FaultCode.WRONG_ENCODING: [{"found": "uncompressed", "wanted": "compressed"}],
    FaultCode.WRONG_RETENTION: [{"found": 5, "wanted": 82_800_000}],
    FaultCode.WRONG_CHUNK_SIZE: [{"found": 256, "wanted": 4096}],
    FaultCode.WRONG_POLICY: [{"found": "min", "wanted": "last"}, {"found": None, "wanted": "last"}],
    FaultCode.WRONG_FILTER: [{"found": (60_000, 50.0), "wanted": (0, 0.0)}],
    FaultCode.WRONG_LABELS: [{"found": LABELS, "wanted": {"app": "btcts"}}, {"found": {}, "wanted": LABELS}],
    FaultCode.WRONG_RULE: [{"found": (300_000, "avg", 60_000), "wanted": (300_000, "last", 0)}],
    FaultCode.NO_RULE: [{"source": "btc:price:tick"}],
    FaultCode.UNREADABLE_FIELD: [{"name": "'provider:x'", "why": "is no JSON"}],
    FaultCode.UNREADABLE_FIELDS: [{"count": 7}],
    FaultCode.SURPLUS_FIELDS: [{"count": 5000}],
    FaultCode.WRONG_CARRIED_END: [{"name": "carried_until_ms", "found": "'5'", "wanted": 1_767_268_800_000}],
    FaultCode.SWEPT_AHEAD: [{"ahead_s": 3600}],
    FindingCode.CANDLE_INCOMPLETE: [{"lost": ["open"]}, {"lost": ["open", "low", "high"]}],
    FindingCode.OUTSIDE_CANDLE: [
        {"low": 59_990.5, "high": 60_000.0, "offsets_ms": [0]},
        {"low": 59_990.5, "high": 60_000.0, "offsets_ms": [30_001, 59_999]},
    ],
    FindingCode.NOT_AGREED: [{"field": "close"}],
    FindingCode.IN_DOUBT: [{"field": "low"}],
}
"""Values for the sentences that name some."""


def test_every_code_has_its_sentence() -> None:
    problems = [
        f"{code}: {describe_problem(code, values)}"
        for kind in (FaultCode, FindingCode)
        for code in kind
        for values in VALUES.get(code, [{}])
    ]
    repairs = [f"{repair}: {describe_repair(repair)}" for repair in RepairCode]

    assert_as_stored("faults", "\n".join([*problems, *repairs, ""]))


def test_a_fault_is_named_by_its_key_whether_it_is_repaired_or_not() -> None:
    fault = Fault("btc:price:hour", FaultCode.MISSING)

    assert describe_fault(fault) == describe_repair(fault) == "btc:price:hour: is missing"
