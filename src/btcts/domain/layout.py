"""The layout of a market in Redis: the table of series and rules, the window, and slots by the clock (pure).

Retention counts back from the newest sample, inclusively, so (entries - 1) x bucket keeps exactly `entries` closed
buckets. A late tick recomputes its buckets from the retained ticks, so the tick series must outlast the window by the
longest bucket.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from btcts.domain.model import HOUR_MS, MINUTE_MS, Span, Tick, is_price
from btcts.errors import ConfigError, did_you_mean

FUTURE_SLACK_MS = 10_000
"""Maximum distance of a tick ahead of `now`; a sample in the far future would hide all others."""

DUPLICATE_POLICY = "last"

IGNORE = (0, 0)
"""The insertion filter, off. It would silently drop samples this near the newest one, in ms and in value."""

TICK_RETENTION_MS = 26 * HOUR_MS
TICK_CHUNK_SIZE = 4096
COMPACTION_CHUNK_SIZE = 128


class Market(NamedTuple):
    """An asset, and the currency that it is paid in.

    `prefix` begins the names of its keys in Redis, `file_suffix` ends those of its own files and folders. Its prices
    are shown with `decimals` from 10 upward.
    """

    asset: str
    currency: str
    prefix: str
    file_suffix: str
    decimals: int

    @property
    def name(self) -> str:
        """The name in documents and on pages, such as `ETH-EUR`."""
        return f"{self.asset}-{self.currency}"

    def with_hash_tag(self) -> "Market":
        """Return the market with a prefix that keeps all its keys in one slot of a cluster: `{prefix}`."""
        return self if "{" in self.prefix else self._replace(prefix=f"{{{self.prefix}}}")

    def make_labels(self, resolution: str, field: str) -> dict[str, str]:
        """Return the labels of one of its series."""
        pair = {"asset": self.asset.lower(), "quote": self.currency.lower()}
        return {"app": "btcts", **pair, "resolution": resolution, "field": field}


class Resolution(NamedTuple):
    """One row of the table: buckets of `bucket_ms`, of which `entries` closed ones are kept."""

    name: str
    bucket_ms: int
    entries: int
    fields: tuple[str, ...]

    @property
    def retention_ms(self) -> int:
        """The retention that keeps exactly `entries` closed buckets."""
        return (self.entries - 1) * self.bucket_ms

    def start_of(self, time_ms: int) -> int:
        """Return the start of the bucket that contains `time_ms`."""
        return time_ms - time_ms % self.bucket_ms

    def closed(self, now_ms: int) -> Span:
        """Return the span of the closed buckets that are kept at `now_ms`."""
        open_ms = self.start_of(now_ms)
        return Span(open_ms - self.entries * self.bucket_ms, open_ms)

    def slots(self, now_ms: int) -> range:
        """Return the starts of the kept closed buckets and of the open one, ascending."""
        return range(self.closed(now_ms).start_ms, now_ms + 1, self.bucket_ms)


MINUTE = Resolution("minute", MINUTE_MS, 60, ("close",))
FIVE_MINUTES = Resolution("5min", 5 * MINUTE_MS, 12, ("close", "min", "max"))
FIFTEEN_MINUTES = Resolution("15min", 15 * MINUTE_MS, 4, ("close", "min", "max"))
HOUR = Resolution("hour", HOUR_MS, 24, ("close", "min", "max"))

RESOLUTIONS = {resolution.name: resolution for resolution in (MINUTE, FIVE_MINUTES, FIFTEEN_MINUTES, HOUR)}

AGGREGATORS = {"close": "last", "min": "min", "max": "max"}
"""The aggregator, as Redis spells it, that makes each field."""


class Definition(NamedTuple):
    """The options with which one series is created."""

    key: str
    retention_ms: int
    encoding: str
    chunk_size: int
    labels: dict[str, str]


class Compaction(NamedTuple):
    """A series that Redis keeps as the aggregation of the ticks."""

    key: str
    resolution: Resolution
    field: str
    market: Market

    @property
    def aggregator(self) -> str:
        """The aggregator as Redis spells it."""
        return AGGREGATORS[self.field]

    @property
    def definition(self) -> Definition:
        """The options of the series; uncompressed, as module versions before 1.12.6 crash otherwise."""
        labels = self.market.make_labels(self.resolution.name, self.field)
        return Definition(self.key, self.resolution.retention_ms, "uncompressed", COMPACTION_CHUNK_SIZE, labels)


@dataclass(frozen=True)
class Layout:
    """The names of a market's keys, and the definition of each series."""

    market: Market

    @property
    def prefix(self) -> str:
        """The beginning of each key; it may hold colons itself."""
        return self.market.prefix

    @property
    def has_hash_tag(self) -> bool:
        """True if the keys stay together in a cluster, as they are meant to be in one."""
        return "{" in self.prefix

    @cached_property
    def tick(self) -> str:
        """The source series; the only truth."""
        return f"{self.prefix}:tick"

    @cached_property
    def compactions(self) -> tuple[Compaction, ...]:
        """The ten compactions, finest resolution first."""
        return tuple(
            Compaction(self._make_key(resolution, field), resolution, field, self.market)
            for resolution in RESOLUTIONS.values()
            for field in resolution.fields
        )

    @cached_property
    def definitions(self) -> tuple[Definition, ...]:
        """The eleven series, the source first."""
        labels = self.market.make_labels("tick", "price")
        source = Definition(self.tick, TICK_RETENTION_MS, "compressed", TICK_CHUNK_SIZE, labels)
        return (source, *(compaction.definition for compaction in self.compactions))

    @cached_property
    def series(self) -> tuple[str, ...]:
        """The eleven keys, the source first."""
        return tuple(definition.key for definition in self.definitions)

    @cached_property
    def gaps(self) -> str:
        """The hash of unsettled minutes and of minutes to look at again."""
        return f"{self.prefix}:gaps"

    @cached_property
    def state(self) -> str:
        """The hash of state shared between collectors."""
        return f"{self.prefix}:state"

    def list_compactions(self, resolution: Resolution) -> Iterator[Compaction]:
        """Return the compactions of one resolution."""
        return (compaction for compaction in self.compactions if compaction.resolution is resolution)

    def _make_key(self, resolution: Resolution, field: str) -> str:
        return f"{self.prefix}:{resolution.name}" + ("" if field == "close" else f":{field}")


def find_resolutions(names: Sequence[str]) -> list[Resolution]:
    """Return the resolutions of these names, or all of them where none is named.

    Raises:
        ConfigError: a name is unknown.
    """
    for name in names:
        if name not in RESOLUTIONS:
            known = ", ".join(RESOLUTIONS)
            raise ConfigError(f"{name!r} is not one of {known}{did_you_mean(name, RESOLUTIONS)}")
    return [RESOLUTIONS[name] for name in names or RESOLUTIONS]


def can_be_true(tick: Tick, now_ms: int) -> bool:
    """Tell whether a tick has a valid price and is at most `FUTURE_SLACK_MS` ahead of `now_ms`."""
    return is_price(tick.price) and tick.time_ms <= now_ms + FUTURE_SLACK_MS


def window(now_ms: int) -> Span:
    """Return the span from the start of the oldest kept closed hour to `now_ms`: at most 25 h."""
    return Span(HOUR.closed(now_ms).start_ms, now_ms)
