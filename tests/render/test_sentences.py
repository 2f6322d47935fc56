"""The sentences of faults, remarks and reasons."""

import pytest

from btcts.domain.codes import FaultCode, FindingCode, ReasonCode, Remark, RepairCode, WarningCode
from btcts.errors import Problem
from btcts.render.sentences import (
    STEPS,
    describe_fault,
    describe_problem,
    describe_remarks,
    describe_repair,
    group_reasons,
    list_reasons,
)
from btcts.services.status import Thin
from btcts.store import Fault
from render.snapshot import assert_as_stored
from support.series import HOUR, NOW

LABELS = {"asset": "btc", "app": "btcts"}

PROBLEM_VALUES: dict[FaultCode | FindingCode, list[dict[str, object]]] = {
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
"""Values for the sentences of faults and findings that name some."""

FAULT = Fault("btc:price:hour", FaultCode.WRONG_RETENTION, {"found": 5, "wanted": 82_800_000})
FULL = Remark(ReasonCode.REDIS_FULL, {"used_bytes": 1_234_567, "max_bytes": 1_234_567})
MANY = Thin(90, 2, 3, 5, {"bitstamp": NOW - HOUR, "gemini": None, "kraken": NOW}, frozenset({"kraken"}))
UNHEARD = Thin(1, 1, 1, 3, {"bitstamp": NOW, "kraken": NOW}, frozenset({"bitstamp", "kraken"}))

REMARK_VALUES: dict[ReasonCode | WarningCode, list[dict[str, object]]] = {
    ReasonCode.FOREIGN_KEY: [{"key": "btc:price:hour"}],
    ReasonCode.REDIS_FULL: [{"used_bytes": 1_234_567, "max_bytes": 1_234_567}],
    ReasonCode.LAYOUT_DIFFERS: [{"fault": FAULT}],
    ReasonCode.FUTURE_PRICE: [{"ahead_s": 3600.0}],
    ReasonCode.BAD_PRICE: [{"price": -4.0}, {"price": 0.0}, {"price": 1e300}],
    ReasonCode.STALE_PRICE: [{"age_s": 150.001, "limit_s": 150.0}],
    ReasonCode.COLLECTOR_SILENT: [{"silence_s": 120.0, "cadence_s": 10.0}, {"silence_s": 120.0, "cadence_s": None}],
    ReasonCode.CYCLE_FAILED: [{"problem": "usable prices: 0, needed: 1"}],
    ReasonCode.PROVIDER_CLOCKS: [{"ahead_ms": 20_000}, {"ahead_ms": -20_000}],
    ReasonCode.PROVIDERS_DOWN: [{"minutes": 7}],
    WarningCode.NO_LOG: [{"save": "3600 1"}, {"save": ""}],
    WarningCode.EVICTION: [{"policy": "allkeys-lru"}],
    WarningCode.NEARLY_FULL: [{"fill": 0.9}],
    WarningCode.OTHER_DATABASE: [{"database": 1}],
    WarningCode.LOCAL_CLOCK: [{"ahead_ms": 3_600_000}, {"ahead_ms": -60_000}],
    WarningCode.MISSING_SLOTS: [{"slots": {"minute": 19, "5min": 3}}],
    WarningCode.NO_TRADES: [{"minutes": 2}],
    WarningCode.NOT_REACHED: [{"minutes": 2}],
    WarningCode.DISAGREE: [{"minutes": 2}],
    WarningCode.POLLS_ONLY: [{"minutes": 2}],
    WarningCode.PROVIDER_FAILED: [{"provider": "kraken", "error": "HTTP 503"}],
    WarningCode.DEVIATING: [{"provider": "kraken", "ratio": 99.0}, {"provider": "kraken", "ratio": -0.0123}],
    WarningCode.DISPUTED: [{"members": ("kraken",)}],
    WarningCode.STREAMS_DOWN: [{"streams": ["bitstamp", "kraken"]}],
    WarningCode.CANDLES_DIFFER: [{"provider": "gemini", "corrected": 40, "compared": 60}],
    WarningCode.FEW_PROVIDERS: [{"members": ("kraken", "gemini"), "count": 2, "asked": 5}],
    WarningCode.THIN_MINUTES: [
        {"thin": Thin(1, 2, 2, 5, {"bitstamp": NOW}, frozenset())},
        {"thin": MANY},
        {"thin": UNHEARD},
    ],
    WarningCode.RESTLESS_MINUTES: [{"minutes": 2}],
    WarningCode.SPOOLED_PRICES: [{"prices": 3}],
}
"""Values for the sentences of remarks that name some."""


def test_every_fault_finding_and_repair_has_its_sentence() -> None:
    problems = [
        f"{code}: {describe_problem(code, values)}"
        for kind in (FaultCode, FindingCode)
        for code in kind
        for values in PROBLEM_VALUES.get(code, [{}])
    ]
    repairs = [f"{repair}: {describe_repair(repair)}" for repair in RepairCode]

    assert_as_stored("faults", "\n".join([*problems, *repairs, ""]))


def test_a_fault_is_named_by_its_key_whether_it_is_repaired_or_not() -> None:
    fault = Fault("btc:price:hour", FaultCode.MISSING)

    assert describe_fault(fault) == describe_repair(fault) == "btc:price:hour: is missing"


def test_every_reason_and_warning_of_status_has_its_sentence() -> None:
    remarks = [
        Remark(code, values)
        for kind in (ReasonCode, WarningCode)
        for code in kind
        for values in REMARK_VALUES.get(code, [{}])
    ]

    lines = [f"{remark.code}: {line}" for remark in remarks for line in describe_remarks([remark])]

    assert_as_stored("remarks", "\n".join([*lines, ""]))


def test_while_redis_is_full_no_collect_is_advised() -> None:
    reasons = [Remark(code, values) for code in ReasonCode for values in REMARK_VALUES.get(code, [{}])]

    lines = [line for line in describe_remarks(reasons) if "run btcts collect" in line]

    assert lines == [*describe_remarks([Remark(ReasonCode.NOTHING_STORED)])]


def fail(*names: str, cause: str) -> dict[str, str]:
    return {name: Problem(f"no answer from {name}", cause, f"the cause {cause}") for name in names}


@pytest.mark.parametrize("cause", STEPS)
def test_three_that_fail_alike_share_one_reason_with_the_next_step(cause: str) -> None:
    ((names, reason),) = group_reasons(fail("a", "b", "c", cause=cause)).items()

    assert names == "a, b, c"
    assert f"the cause {cause}" in reason
    assert not any(f"from {name}" in reason for name in "abc")


def test_two_that_fail_alike_keep_their_own_words() -> None:
    failed = fail("a", "b", cause="names")

    assert group_reasons(failed) == failed


def test_each_keeps_its_own_words_when_asked_for_more() -> None:
    assert [*group_reasons(fail("a", "b", "c", cause="names"), verbose=True)] == ["a", "b", "c"]


def test_causes_are_told_apart_and_plain_reasons_belong_to_nobody_else() -> None:
    reasons = (
        fail("a", "b", "c", cause="names") | fail("d", "e", "f", cause="proxy") | {"g": "HTTP 500", "h": "HTTP 500"}
    )

    assert [*group_reasons(reasons)] == ["a, b, c", "d, e, f", "g", "h"]


def test_reasons_stand_behind_their_providers_on_one_line() -> None:
    assert list_reasons({"a": "HTTP 500", "b": "late"}) == "a (HTTP 500), b (late)"
    assert list_reasons({}) == ""
