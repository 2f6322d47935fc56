"""The values that modules exchange, validated when created, then frozen; and which prices are near each other (pure).

Times are whole milliseconds since the Unix epoch (UTC) in names ending `_ms`; prices are US dollars for one
bitcoin.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from btcts.errors import Problem

MINUTE_MS = 60_000
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS

CLOSED_FOR_MS = 5_000
"""Delay after the end of a minute before its candle counts as final: exchanges book the last trades late."""

PRICE_CEILING = 1e8
"""Maximum credible price. At 100 million USD all bitcoins together would be worth more than all wealth on earth
(about 5e14 USD); CoinMarketCap published 850 billion on 2021-12-14."""

NEAR = 0.01
"""Two prices are near each other when they differ by no more than this fraction of the smaller one. In the turmoil
of March 2023 four USD markets stayed within 1.14 % of their median, 99 of 100 readings within 0.75 %."""

JUMP = 0.25
"""Without a majority, a larger move than this needs confirmation. One-minute ranges of 11.5 % (2017-11-29) and of
23 % (2017-03-10) were real."""


def is_price(value: float) -> bool:
    """Tell whether `value` can be a price: above 0 and not above `PRICE_CEILING`."""
    return 0 < value <= PRICE_CEILING


def is_near(price: float, reference: float) -> bool:
    """Tell whether two prices differ by no more than `NEAR` of the smaller one."""
    return abs(price - reference) <= NEAR * min(price, reference)


def is_jump(price: float, reference: float) -> bool:
    """Tell whether a price is so far from a reference that it needs confirmation."""
    return abs(price - reference) > JUMP * reference


def find_median(prices: Iterable[float]) -> float:
    """Return the middle price, or the mean of the middle two."""
    ascending = sorted(prices)
    return (ascending[(len(ascending) - 1) // 2] + ascending[len(ascending) // 2]) / 2


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
        """Return the starts of the minutes that lie wholly inside, ascending."""
        first = -(-self.start_ms // MINUTE_MS) * MINUTE_MS
        return range(first, self.end_ms - MINUTE_MS + 1, MINUTE_MS)


class Tick(NamedTuple):
    """One observed price."""

    time_ms: int
    price: float


class Pending(NamedTuple):
    """A price that waits for confirmation: last observed at `time_ms`, in `polls` consecutive polls."""

    time_ms: int
    price: float
    polls: int = 1


class Lean(NamedTuple):
    """A stretch, from `since_ms` to `seen_ms`, in which half or fewer of the price providers answered.

    `members` agreed during all of it.
    """

    since_ms: int
    seen_ms: int
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Candle:
    """The prices of the minute that starts at `start_ms`; low <= open, close <= high."""

    start_ms: int
    open: float
    high: float
    low: float
    close: float

    def __post_init__(self) -> None:
        if self.start_ms % MINUTE_MS:
            raise ValueError(f"a candle starts off the minute: {self.start_ms}")
        if not all(map(is_price, self.prices)):
            raise ValueError(f"a candle has a field that is no price: {self}")
        if not self.low <= min(self.open, self.close) or not max(self.open, self.close) <= self.high:
            raise ValueError(f"a candle leaves its own range: {self}")

    @property
    def prices(self) -> tuple[float, float, float, float]:
        """Open, high, low and close."""
        return self.open, self.high, self.low, self.close


class Candles(NamedTuple):
    """A provider's answer for a span.

    `covered` is the part of the span that the answer covers (None: nothing): a closed minute inside it without a
    candle had no trades there, one outside it is unknown. Ascending, no duplicates, closed minutes only.
    """

    provider: str
    covered: Span | None
    candles: tuple[Candle, ...]


class Reading(NamedTuple):
    """One provider's answer to "what is the price now".

    `observed_ms` is the time of the price (for an exchange that of the answer, for an aggregator the time it states);
    `traded_ms` is the provider's time of the last trade, None if it states none, and reveals a frozen feed; `date_ms`
    is the HTTP Date header. `not_before_ms` is set if the provider must not be called before that time (a credit
    budget), `credits_left` if it counts credits.
    """

    provider: str
    price: float
    observed_ms: int
    traded_ms: int | None = None
    date_ms: int | None = None
    not_before_ms: int | None = None
    credits_left: int | None = None


class Bounds(NamedTuple):
    """The lowest and highest price of an unsettled minute, by the trades that whole streams have received so far."""

    minute_ms: int
    low: float
    high: float


class Slot(NamedTuple):
    """A bucket of a resolution as shown, present or missing.

    `minutes` counts its minutes with a price; `settled` is true if all of those have the agreed candle of the
    exchanges; `reason` tells why minutes are missing or unsettled, if known. `exact` is true if minimum and maximum
    are those of the trades: all of its minutes are settled, had no trades, or are held within the bounds of what whole
    streams have received so far. `open` is its first price.
    """

    start_ms: int
    close: float | None
    min: float | None
    max: float | None
    closed: bool
    settled: bool
    minutes: int
    reason: str | None = None
    exact: bool = False
    open: float | None = None

    @property
    def missing(self) -> bool:
        """True if the bucket holds no price at all."""
        return self.close is None

    def clean(self) -> "Slot":
        """Return it without invalid prices, and then not exact; with an invalid close it counts as missing."""
        if all(value is None or is_price(value) for value in (self.close, self.min, self.max, self.open)):
            return self
        if self.close is None or not is_price(self.close):
            return Slot(self.start_ms, None, None, None, self.closed, settled=False, minutes=0, reason=self.reason)
        bounds = (self.min, self.max, self.open)
        low, high, first = (value if value is not None and is_price(value) else None for value in bounds)
        return self._replace(min=low, max=high, open=first, exact=False)


BUDGET = "budget"
"""Reason for a wait: the provider answered, and the next call is delayed to save credits."""

LONGEST_WAIT_MS = 32 * DAY_MS
"""Longest wait before a provider is asked again, whatever it says: a month, the period of credits, plus a day."""


@dataclass(frozen=True, slots=True)
class ProviderState:
    """State of a provider that collectors share, so that none asks it too early.

    `not_before_ms` and `why` apply until that time (a budget, Retry-After, a ban, a refused key); `key` identifies the
    API key that was refused without revealing it; `error` is the last failure, empty after a success, with `cause` and
    `reason` as in `Problem`. `said_ms` is the time of this state: a state from a clock that was ahead is ignored.
    """

    not_before_ms: int = 0
    why: str = ""
    answered_ms: int | None = None
    error: str = ""
    credits_left: int | None = None
    key: str = ""
    said_ms: int = 0
    cause: str = ""
    reason: str = ""

    @property
    def problem(self) -> Problem:
        """The last failure, with what other providers may share of it."""
        return Problem(self.error, self.cause, self.reason)

    @property
    def answers(self) -> bool:
        """True if the last price request succeeded, even if a clock was set back since."""
        return self.answered_ms is not None and self.answered_ms == self.said_ms


class StreamState(NamedTuple):
    """State of a provider's stream.

    Nothing is missing since `whole_since_ms` (None: it is not whole). A trade takes `lag_ms` to arrive, by the
    exchange's clock. `gap_ms` is the time of the last gap, `reconnects` counts the connections after the first,
    `compared` the minutes whose candle from trades was compared with the one that the provider publishes, `corrected`
    those of them in which they differ; if that is `steady`, its trades settle no minutes. `problem` tells why it is not
    connected, and `problem_code` is its `StreamCode`; empty when it is.
    """

    whole_since_ms: int | None = None
    lag_ms: int | None = None
    gap_ms: int | None = None
    reconnects: int = 0
    compared: int = 0
    corrected: int = 0
    steady: bool = False
    problem: str = ""
    problem_code: str = ""


Waiting = tuple[tuple[str, int, str], ...]
"""The name, end of waiting (ms) and reason of each provider that is not asked."""

NO_TRADES = "no_trades"
DISAGREE = "disagree"

REASONS = (NO_TRADES, "not_reached", DISAGREE, "providers_down", "polls_only")
"""Reasons of unsettled minutes: no trades, no answering provider reaches it, too few agree, no provider answers, or no
configured provider has candles."""

THIN = "thin"
SPARSE = "sparse"
CORRECTED = "corrected"

UNPROVEN = (THIN, SPARSE)
"""Reasons to doubt a settled minute: no majority of the providers supports its candle, since some were not heard (thin)
or since the others saw no trades (sparse)."""

LOOKS = (*UNPROVEN, CORRECTED)
"""Reasons to look at a settled minute again: it is unproven, or its candle changed by more than exchanges usually
correct theirs."""


MOST_CHANGES = 3
"""Maximum number of large changes to the candle of a minute."""


@dataclass(frozen=True, slots=True)
class Gap:
    """An entry of the ledger: a minute that is not settled for one of `REASONS`, or that is settled and in `LOOKS`.

    `tries` counts failed requests, the last at `tried_ms`; for a corrected minute, `tried_ms` is the time of the
    correction and `tries` the number of the next look. `heard` are the providers that answered for it then, ascending;
    others may still serve it. `changes` counts the large changes to its candle.
    """

    reason: str
    tries: int
    tried_ms: int
    heard: tuple[str, ...] = ()
    changes: int = 0
