"""The values that pass between the modules; checked when they are made, frozen afterwards.

Times are whole milliseconds since the Unix epoch (UTC) in names ending `_ms`; prices are US dollars for one
bitcoin.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

MINUTE_MS = 60_000
HOUR_MS = 3_600_000

CLOSED_FOR_MS = 5_000
"""How long a minute must be over before its candle counts as final: an exchange needs a moment to book its last
trades."""

PRICE_CEILING = 1e8
"""No price above this is believed. At 100 million USD all bitcoins together would be worth more than all
wealth on earth (about 5e14 USD); CoinMarketCap published 850 billion on 2021-12-14."""


def is_price(value: float) -> bool:
    """Whether `value` can be a price: finite, above 0 and not above `PRICE_CEILING`."""
    return math.isfinite(value) and 0 < value <= PRICE_CEILING


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """The half-open stretch of time `[start_ms, end_ms)`."""

    start_ms: int
    end_ms: int

    def __post_init__(self) -> None:
        if self.end_ms < self.start_ms:
            raise ValueError(f"a span ends before it starts: {self.start_ms} .. {self.end_ms}")

    def __contains__(self, time_ms: int) -> bool:
        return self.start_ms <= time_ms < self.end_ms

    def minutes(self) -> range:
        """The starts of the minutes that lie wholly inside, ascending."""
        first = -(-self.start_ms // MINUTE_MS) * MINUTE_MS
        return range(first, self.end_ms - MINUTE_MS + 1, MINUTE_MS)


class Tick(NamedTuple):
    """One observed price."""

    time_ms: int
    price: float


class Pending(NamedTuple):
    """A price that waits for confirmation: observed last at `time_ms`, and said by so many polls in a row."""

    time_ms: int
    price: float
    polls: int = 1


class Lean(NamedTuple):
    """A stretch, seen from `since_ms` to `seen_ms`, in which no more than half of the price providers could be heard.

    `members` are those that agreed all that time.
    """

    since_ms: int
    seen_ms: int
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Candle:
    """What the price did in the minute that starts at `start_ms`; low <= open, close <= high."""

    start_ms: int
    open: float
    high: float
    low: float
    close: float

    def __post_init__(self) -> None:
        if self.start_ms % MINUTE_MS:
            raise ValueError(f"a candle starts off the minute: {self.start_ms}")
        if not all(map(is_price, (self.open, self.high, self.low, self.close))):
            raise ValueError(f"a candle has a field that is no price: {self}")
        if not self.low <= min(self.open, self.close) or not max(self.open, self.close) <= self.high:
            raise ValueError(f"a candle leaves its own range: {self}")


@dataclass(frozen=True, slots=True)
class Candles:
    """A provider's answer for a span.

    `covered` is the part of the span that the provider really answered for (None: nothing): a closed minute
    inside it without a candle had no trades there, one outside it is unknown. Ascending, no duplicates, closed
    minutes only.
    """

    provider: str
    covered: Span | None
    candles: tuple[Candle, ...]


@dataclass(frozen=True, slots=True)
class Reading:
    """One provider's answer to "what is the price now".

    `observed_ms` is when the price was true (for an exchange the time of the answer, for an aggregator the time
    it states); `traded_ms` is the provider's own time of the last trade, by which a frozen feed is found out,
    None where it states none; `date_ms` is the HTTP Date header. `not_before_ms` is set where the provider wants
    no further call before that time (a credit budget), `credits_left` where it counts credits.
    """

    provider: str
    price: float
    observed_ms: int
    traded_ms: int | None = None
    date_ms: int | None = None
    not_before_ms: int | None = None
    credits_left: int | None = None


@dataclass(frozen=True, slots=True)
class Slot:
    """A bucket of a resolution as shown, present or missing.

    `minutes` counts the minutes in it that have a price, `settled` says that all of those have the agreed candle
    of the exchanges; `reason` says why minutes of it are missing or unsettled, where that is known.
    """

    start_ms: int
    close: float | None
    min: float | None
    max: float | None
    closed: bool
    settled: bool
    minutes: int
    reason: str | None = None

    @property
    def missing(self) -> bool:
        """Whether the bucket holds no price at all."""
        return self.close is None


@dataclass(frozen=True, slots=True)
class ProviderState:
    """What collectors tell each other about a provider, so that none asks it before its time.

    `not_before_ms` and `why` hold until then (a budget, Retry-After, a ban, a refused key); `key` identifies the
    API key that was refused without revealing it; `error` is the last failure, empty after a success. `said_ms` is
    when this was found out: what a clock said that was ahead does not hold.
    """

    not_before_ms: int = 0
    why: str = ""
    answered_ms: int | None = None
    error: str = ""
    credits_left: int | None = None
    key: str = ""
    said_ms: int = 0

    @property
    def answers(self) -> bool:
        """Whether it answered for a price when it was asked last; a clock may have been set back since."""
        return self.answered_ms is not None and self.answered_ms == self.said_ms


Waiting = tuple[tuple[str, int, str], ...]
"""Of each provider that is not asked: its name, until when (ms), and why."""

DISAGREE = "disagree"

REASONS = ("no_trades", "not_reached", DISAGREE, "providers_down", "polls_only")
"""Why a minute is not settled: it had no trades, no provider that answers reaches back to it, too few agree on it, no
provider answers, or none that is configured has candles."""

THIN = "thin"
CORRECTED = "corrected"

LOOKS = (THIN, CORRECTED)
"""Why a settled minute is looked at again: its candle has no majority of the providers behind it, or it was changed by
more than exchanges usually change theirs."""


MOST_CHANGES = 3
"""How often the candle of a minute may change for good."""


@dataclass(frozen=True, slots=True)
class Gap:
    """An entry of the ledger: a minute that is not settled for one of `REASONS`, or that is settled and in `LOOKS`.

    `tries` requests were in vain, the last at `tried_ms`; a minute that was corrected was so at that time, and `tries`
    is the number of the next look. `heard` are the providers that answered for it then, ascending; others may still
    serve it. `changes` counts how often its candle was changed for good.
    """

    reason: str
    tries: int
    tried_ms: int
    heard: tuple[str, ...] = ()
    changes: int = 0
