"""The market as one provider reports it: at a time, through a fault."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

from btcts.domain.model import MINUTE_MS
from support.exchanges.faults import KEEP, Fault
from support.exchanges.market import Market


class Minute(NamedTuple):
    """A candle as a provider reports it; a flat one has volume 0."""

    start_ms: int
    open: Any
    high: Any
    low: Any
    close: Any
    volume: float


@dataclass(frozen=True, slots=True)
class View:
    """The knowledge of a provider at `now_ms`; `closed` remembers closed minutes of the market from view to view."""

    market: Market
    now_ms: int
    fault: Fault
    closed: dict[int, Minute | None]

    @property
    def known_ms(self) -> int:
        """The time of its knowledge: now, or when it froze."""
        return self.now_ms if self.fault.frozen_ms is None else min(self.now_ms, self.fault.frozen_ms)

    @property
    def running_ms(self) -> int:
        """The start of the minute that is not over."""
        return self.known_ms // MINUTE_MS * MINUTE_MS

    def last(self, time_ms: int | None = None) -> tuple[Any, int]:
        """The last price and when it was traded."""
        asked_ms = self.known_ms if time_ms is None else time_ms
        price, traded_ms = self.market.price(asked_ms), self.market.traded_ms(asked_ms)
        if price is None or traded_ms is None:
            raise LookupError("the market has not opened")
        return self._quoted(price), traded_ms

    def minutes(self, first_ms: int, last_ms: int, *, flat: bool) -> Iterator[Minute]:
        """The minutes from one to the other, both included, ascending; those without trades flat or left out."""
        plain = self.fault.factor == 1.0 and self.fault.price is KEEP
        for start_ms in range(-(-first_ms // MINUTE_MS) * MINUTE_MS, min(last_ms, self.running_ms) + 1, MINUTE_MS):
            if not plain or start_ms == self.running_ms:
                found = self._minute(start_ms)
            elif start_ms in self.closed:
                found = self.closed[start_ms]
            else:
                found = self.closed[start_ms] = self._minute(start_ms)
            if found and (flat or found.volume):
                yield found

    def _minute(self, start_ms: int) -> Minute | None:
        """The minute as far as it is known; without trades the price before it and no volume."""
        candle = self.market.candle(start_ms, self.known_ms)
        if candle is not None:
            *prices, close, volume = candle
            return Minute(start_ms, *map(self._scaled, prices), self._quoted(close), volume)
        price = self.market.price(start_ms - 1)
        return None if price is None else Minute(start_ms, *[self._scaled(price)] * 4, 0.0)

    def _quoted(self, price: float) -> Any:
        return self._scaled(price) if self.fault.price is KEEP else self.fault.price

    def _scaled(self, price: float) -> float:
        return price if self.fault.factor == 1.0 else round(price * self.fault.factor, 8)


def text(value: Any) -> str | None:
    """A price as text; null stays null."""
    return None if value is None else str(value)


def utc(time_ms: int) -> datetime:
    """A time for formatting."""
    return datetime.fromtimestamp(time_ms / 1000, UTC)
