"""The stable codes of what documents report, as docs/codes.md lists them; `render` words each."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

Values = Mapping[str, object]
"""The values that the sentence of a code names, by name."""


class FaultCode(StrEnum):
    """Differences of a key from the layout."""

    MISSING = "missing_series"
    WRONG_TYPE = "wrong_type"
    WRONG_ENCODING = "wrong_encoding"
    WRONG_RETENTION = "wrong_retention"
    WRONG_CHUNK_SIZE = "wrong_chunk_size"
    WRONG_POLICY = "wrong_duplicate_policy"
    WRONG_FILTER = "wrong_insertion_filter"
    WRONG_LABELS = "wrong_labels"
    WRONG_RULE = "wrong_rule"
    NO_RULE = "no_rule"
    UNREADABLE_FIELD = "unreadable_field"
    UNREADABLE_FIELDS = "unreadable_fields"
    SURPLUS_FIELDS = "surplus_fields"
    WRONG_CARRIED_END = "wrong_carried_end"
    SWEPT_AHEAD = "swept_ahead"
    FUTURE_TICK = "future_tick"


class FindingCode(StrEnum):
    """Further findings of `verify`: keys of others, bad ticks, damaged candles and wrong buckets."""

    FOREIGN_KEY = "foreign_key"
    IN_FUTURE = "in_future"
    NO_PRICE = "no_price"
    CLOSE_LOST = "close_lost"
    CANDLE_INCOMPLETE = "candle_incomplete"
    OUTSIDE_CANDLE = "outside_candle"
    WRONG_BUCKET = "wrong_bucket"
    BUCKET_WITHOUT_TICKS = "bucket_without_ticks"
    MISSING_BUCKET = "missing_bucket"
    NOT_AGREED = "not_agreed"
    IN_DOUBT = "in_doubt"
    NOT_TRADED = "not_traded"


class RepairCode(StrEnum):
    """Repairs by a cycle of `collect` besides those of faults."""

    LAYOUT_MADE = "layout_made"
    FUTURE_REMOVED = "future_removed"


class ProblemCode(StrEnum):
    """Problems of a cycle of `collect`: why there is no price, and what was refused."""

    TOO_FEW_PRICES = "too_few_prices"
    UNCONFIRMED = "unconfirmed"
    NO_MAJORITY = "no_majority"
    PROVIDER_CLOCKS = "provider_clocks"
    REDIS_CLOCK = "redis_clock"
    REDIS = "redis"
    EMBEDDED = "embedded_redis"
    SPOOL = "spool"
    UNEXPECTED = "unexpected"


class ComparisonCode(StrEnum):
    """Reasons why `verify` could not compare with the providers."""

    PROVIDER_CLOCKS = "provider_clocks"
    NO_ANSWER = "no_answer"
    NO_CANDLES = "no_candles"


class RefusalCode(StrEnum):
    """Reasons why the answer of a provider does not count; the first six are the causes of a `Problem`."""

    NAMES = "names"
    ROUTE = "route"
    REFUSED = "refused"
    CERTIFICATE = "certificate"
    PROXY = "proxy"
    SLOW = "slow"
    BAD_PRICE = "bad_price"
    OLD_PRICE = "old_price"
    FUTURE_PRICE = "future_price"
    WAITING = "waiting"
    FAILED = "failed"


class StreamCode(StrEnum):
    """Reasons why a stream is not connected; the first six are the causes of a `Problem`."""

    NAMES = "names"
    ROUTE = "route"
    REFUSED = "refused"
    CERTIFICATE = "certificate"
    PROXY = "proxy"
    SLOW = "slow"
    REJECTED = "rejected"
    CLOSED = "closed"
    SILENT = "silent"
    UNREADABLE = "unreadable"
    RENEWAL = "renewal"
    FAILED = "failed"


class ReasonCode(StrEnum):
    """Reasons why `status` calls a store unhealthy."""

    FOREIGN_KEY = "foreign_key"
    REDIS_FULL = "redis_full"
    NOTHING_STORED = "nothing_stored"
    LAYOUT_DIFFERS = "layout_differs"
    FUTURE_PRICE = "future_price"
    BAD_PRICE = "bad_price"
    NO_PRICE = "no_price"
    STALE_PRICE = "stale_price"
    COLLECTOR_SILENT = "collector_silent"
    CYCLE_FAILED = "cycle_failed"
    PROVIDERS_SILENT = "providers_silent"
    PROVIDER_CLOCKS = "provider_clocks"
    PROVIDERS_DOWN = "providers_down"


class WarningCode(StrEnum):
    """Conditions that `status` warns of."""

    NO_LOG = "no_log"
    EVICTION = "eviction"
    NEARLY_FULL = "nearly_full"
    OTHER_DATABASE = "other_database"
    LOCAL_CLOCK = "local_clock"
    MISSING_SLOTS = "missing_slots"
    NO_TRADES = "no_trades"
    NOT_REACHED = "not_reached"
    DISAGREE = "disagree"
    POLLS_ONLY = "polls_only"
    PROVIDER_FAILED = "provider_failed"
    DEVIATING = "deviating"
    DISPUTED = "disputed"
    FEW_PROVIDERS = "few_providers"
    THIN_MINUTES = "thin_minutes"
    RESTLESS_MINUTES = "restless_minutes"
    SPOOLED_PRICES = "spooled_prices"
    STREAMS_DOWN = "streams_down"
    CANDLES_DIFFER = "candles_differ"


class CopyCode(StrEnum):
    """Outcomes of `copy`."""

    COPIED = "copied"
    UNCHANGED = "unchanged"
    PLANNED = "planned"


class CopyNote(StrEnum):
    """Conditions that `copy` tells of."""

    SOURCE_COLLECTED = "source_collected"
    SOURCE_CHANGED = "source_changed"


@dataclass(frozen=True, slots=True)
class Remark:
    """A reason or a warning of `status`, with the values that its sentence names."""

    code: ReasonCode | WarningCode
    values: Values = field(default_factory=dict)
