"""Venues of one market as providers: each with its own spread, reach and gaps, honest until it is told to lie."""

import math
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Protocol

from btcts.domain.model import Candle, Candles, Reading, Span
from btcts.errors import ProviderError
from simulation.lies.market import Market, open_market
from support.clocks import FakeClock
from support.series import HOUR, MINUTE

FOR_YEARS = 3650 * 24 * HOUR


@dataclass(frozen=True)
class Traits:
    """The traits of a venue.

    It answers `reach_ms` back, in pages of `page_minutes`; in some share of the minutes nobody trades, and it `states`
    the time of its last trade or not.
    """

    reach_ms: int = FOR_YEARS
    page_minutes: int = 1000
    quiet: float = 0.0
    states: bool = False
    bulky: bool = False


TRAITS = {
    "coinbase": Traits(page_minutes=300),
    "kraken": Traits(reach_ms=719 * MINUTE, page_minutes=720, quiet=0.01, states=True),
    "bitstamp": Traits(quiet=0.03),
    "bitfinex": Traits(page_minutes=9500, quiet=0.1, states=True),
    "gemini": Traits(reach_ms=24 * HOUR, page_minutes=1440, quiet=0.3, states=True, bulky=True),
    "sixth": Traits(quiet=0.2),
}
NAMES = tuple(TRAITS)
AGGREGATOR = "aggregator"
"""A provider of prices that has no candles."""


class Venue:
    """One venue, which trades at the market's price with a spread of up to 0.2 %."""

    def __init__(self, market: Market, name: str) -> None:
        self.name = name
        self.traits = TRAITS.get(name, Traits(reach_ms=0, page_minutes=0))
        self.market = market
        self._number = (*NAMES, AGGREGATOR).index(name)
        self.candle = cache(self._candle)

    def price(self, time_ms: int) -> float:
        """The price at that moment."""
        return self.market.price(time_ms) * (1 + self._spread(time_ms))

    def _candle(self, minute_ms: int) -> Candle | None:
        """The candle of a minute, None where nobody traded."""
        if not self.traits.reach_ms or self._chance(minute_ms, 1) < self.traits.quiet:
            return None
        row, spread = self.market.row(minute_ms), 1 + self._spread(minute_ms)
        return Candle(
            minute_ms,
            open=row.open * spread,
            high=row.high * spread * (1 + 0.001 * self._chance(minute_ms, 2)),
            low=row.low * spread * (1 - 0.001 * self._chance(minute_ms, 3)),
            close=row.close * spread,
        )

    def _spread(self, time_ms: int) -> float:
        """Return how far the price is from the market's: constant for a venue, and swinging within hours."""
        swing = math.sin(time_ms / HOUR / (1 + self._number) + self._number)
        return 0.0004 * (self._number - 2.5) + 0.0005 * swing

    def _chance(self, minute_ms: int, what: int) -> float:
        """A number from 0 to 1 that is always the same for that minute."""
        return hash((minute_ms, self._number, what)) % 1_000_003 / 1_000_003


@cache
def open_venue(market: str, name: str) -> Venue:
    """The venue of that name on that market; what it has traded is worked out once."""
    return Venue(open_market(market), name)


class Lie(Protocol):
    """The answer of a provider in place of what was traded."""

    def price(self, venue: Venue, time_ms: int) -> float:
        """The price that it says.

        Raises: ProviderError where it says none.
        """
        ...

    def candle(self, venue: Venue, minute_ms: int) -> Candle | None:
        """The candle that it says, None where it says that nobody traded.

        Raises: ProviderError where its whole answer is refused.
        """
        ...


@dataclass(eq=False)
class Teller:
    """A venue's API.

    While `down` it fails, while `mute` its candles do; they arrive after `delay_s`, and until `final_ms` after the end
    of their minute they lack its last trades.
    `asked` counts the requests, as many for candles as there are pages.
    """

    venue: Venue
    clock: FakeClock
    lie: Lie | None = None
    down: bool = False
    mute: bool = False
    delay_s: float = 0.0
    final_ms: int = 0
    asked: int = 0
    key_id: str = ""
    name: str = field(init=False)
    reach_ms: int = field(init=False)
    page_minutes: int = field(init=False)
    bulky: bool = field(init=False)

    def __post_init__(self) -> None:
        self.name = self.venue.name
        self.reach_ms = self.venue.traits.reach_ms
        self.page_minutes = self.venue.traits.page_minutes
        self.bulky = self.venue.traits.bulky

    def latest(self) -> Reading:
        """The price now, fresh by all that the API says."""
        self.asked += 1
        self._refuse_when(down=self.down)
        now_ms = self.clock.now_ms()
        price = self.lie.price(self.venue, now_ms) if self.lie else self.venue.price(now_ms)
        traded_ms = now_ms - 2000 if self.venue.traits.states else None
        return Reading(self.name, price, now_ms, traded_ms, now_ms // 1000 * 1000)

    def candles(self, span: Span) -> Candles:
        """The candles of the closed minutes that it reaches."""
        now_ms = self.clock.now_ms()
        first_ms = -(-max(span.start_ms, now_ms - self.reach_ms) // MINUTE) * MINUTE
        end_ms = min(span.end_ms, now_ms) // MINUTE * MINUTE
        minutes = range(first_ms, end_ms, MINUTE)
        self.asked += -(-len(minutes) // self.page_minutes)
        self._refuse_when(down=self.down or self.mute)
        if not minutes:
            return Candles(self.name, None, ())
        told = filter(None, (self._tell(minute, now_ms) for minute in minutes))
        return Candles(self.name, Span(first_ms, end_ms), tuple(told))

    def _tell(self, minute_ms: int, now_ms: int) -> Candle | None:
        if self.lie:
            return self.lie.candle(self.venue, minute_ms)
        true = self.venue.candle(minute_ms)
        if true is None or now_ms >= minute_ms + MINUTE + self.final_ms:
            return true
        return replace(true, close=(true.open + true.close) / 2)

    def _refuse_when(self, *, down: bool) -> None:
        if down:
            raise ProviderError(self.name, "answered with http status 503")
