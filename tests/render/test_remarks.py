"""The sentence of every reason and warning of `status`."""

from btcts.domain.codes import FaultCode, ReasonCode, Remark, WarningCode
from btcts.render.remarks import describe_remarks
from btcts.services.status import Thin
from btcts.store import Fault
from render.snapshot import assert_as_stored
from support.series import HOUR, NOW

FAULT = Fault("btc:price:hour", FaultCode.WRONG_RETENTION, {"found": 5, "wanted": 82_800_000})
FULL = Remark(ReasonCode.REDIS_FULL, {"used_bytes": 1_234_567, "max_bytes": 1_234_567})
MANY = Thin(90, 2, 3, 5, {"bitstamp": NOW - HOUR, "gemini": None, "kraken": NOW}, frozenset({"kraken"}))

VALUES: dict[ReasonCode | WarningCode, list[dict[str, object]]] = {
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
    WarningCode.FEW_PROVIDERS: [{"members": ("kraken", "gemini"), "count": 2, "asked": 5}],
    WarningCode.THIN_MINUTES: [{"thin": Thin(1, 2, 2, 5, {"bitstamp": NOW})}, {"thin": MANY}],
    WarningCode.RESTLESS_MINUTES: [{"minutes": 2}],
    WarningCode.SPOOLED_PRICES: [{"prices": 3}],
}
"""Values for the sentences that name some."""


def test_every_code_has_its_sentence() -> None:
    remarks = [
        Remark(code, values) for kind in (ReasonCode, WarningCode) for code in kind for values in VALUES.get(code, [{}])
    ]

    lines = [f"{remark.code}: {line}" for remark in remarks for line in describe_remarks([remark])]

    assert_as_stored("remarks", "\n".join([*lines, ""]))


def test_while_redis_is_full_no_collect_is_advised() -> None:
    reasons = [Remark(code, values) for code in ReasonCode for values in VALUES.get(code, [{}])]

    lines = [line for line in describe_remarks(reasons) if "run btcts collect" in line]

    assert lines == [*describe_remarks([Remark(ReasonCode.NOTHING_STORED)])]
