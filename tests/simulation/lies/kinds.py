"""The twelve kinds of lies."""

from collections.abc import Callable
from dataclasses import dataclass

from btcts.domain.model import Candle
from btcts.errors import ProviderError
from simulation.lies.venues import Venue
from support.series import DAY, HOUR, MINUTE


@dataclass(frozen=True)
class Scaled:
    """All prices times so much."""

    factor: float

    def price(self, venue: Venue, time_ms: int) -> float:
        """The price times that."""
        return venue.price(time_ms) * self.factor

    def candle(self, venue: Venue, minute_ms: int) -> Candle | None:
        """The candle times that."""
        true = venue.candle(minute_ms)
        return true and _moved(true, minute_ms, self.factor)


@dataclass(frozen=True)
class Shifted:
    """The truth of so long ago."""

    ago_ms: int

    def price(self, venue: Venue, time_ms: int) -> float:
        """The price of then."""
        return venue.price(time_ms - self.ago_ms)

    def candle(self, venue: Venue, minute_ms: int) -> Candle | None:
        """The candle of then under the time of now."""
        then = venue.candle(minute_ms - self.ago_ms)
        return then and _moved(then, minute_ms)


@dataclass(frozen=True)
class Frozen:
    """The price of a moment for all that came after it."""

    since_ms: int

    def price(self, venue: Venue, time_ms: int) -> float:
        """The price of that moment."""
        return venue.price(self.since_ms)

    def candle(self, venue: Venue, minute_ms: int) -> Candle | None:
        """Flat candles from then on."""
        if minute_ms < self.since_ms:
            return venue.candle(minute_ms)
        price = venue.price(self.since_ms)
        return Candle(minute_ms, price, price, price, price)


@dataclass(frozen=True)
class Swapped:
    """High and low stand in each other's place, which no adapter lets pass."""

    def price(self, venue: Venue, time_ms: int) -> float:
        """The true price."""
        return venue.price(time_ms)

    def candle(self, venue: Venue, minute_ms: int) -> Candle | None:
        """Nothing but a failure."""
        raise ProviderError(venue.name, "a candle leaves its own range")


@dataclass(frozen=True)
class Silent:
    """Minutes without any trade; `priceless` without a price as well."""

    priceless: bool

    def price(self, venue: Venue, time_ms: int) -> float:
        """The true price, or none."""
        if self.priceless:
            raise ProviderError(venue.name, "answered in an unexpected shape: []")
        return venue.price(time_ms)

    def candle(self, venue: Venue, minute_ms: int) -> Candle | None:
        """No trades."""
        return None


@dataclass(frozen=True)
class Camp:
    """The price of another venue than its own, 4 % higher: all who lie so say the very same."""

    factor: float = 1.04

    def price(self, venue: Venue, time_ms: int) -> float:
        """The price that the camp agrees on."""
        return venue.market.price(time_ms) * self.factor

    def candle(self, venue: Venue, minute_ms: int) -> Candle | None:
        """The candle that the camp agrees on."""
        row = venue.market.row(minute_ms)
        return Candle(minute_ms, *(price * self.factor for price in row))


Make = Callable[[int, float], Scaled | Shifted | Frozen | Swapped | Silent | Camp]
"""Makes a lie that begins at a time, by chance (from 0 to 1) where it leaves room for it."""

KINDS: dict[str, Make] = {
    "x100": lambda begin_ms, chance: Scaled(100),
    "x1.5": lambda begin_ms, chance: Scaled(1.5),
    "+3%": lambda begin_ms, chance: Scaled(1.03),
    "frozen": lambda begin_ms, chance: Frozen(begin_ms),
    "yesterday": lambda begin_ms, chance: Shifted(DAY),
    "swapped": lambda begin_ms, chance: Swapped(),
    "minute": lambda begin_ms, chance: Shifted(MINUTE),
    "hour": lambda begin_ms, chance: Shifted(HOUR),
    "zero": lambda begin_ms, chance: Silent(priceless=False),
    "usdt": lambda begin_ms, chance: Scaled(0.985 if chance < 0.3 else 1.01 + 0.01 * chance),
    "empty": lambda begin_ms, chance: Silent(priceless=True),
    "camp": lambda begin_ms, chance: Camp(),
}


def _moved(candle: Candle, minute_ms: int, factor: float = 1.0) -> Candle:
    prices = (candle.open, candle.high, candle.low, candle.close)
    return Candle(minute_ms, *(price * factor for price in prices))
