"""Rules about the price: their measure of a tick, their thresholds, and their syntax (pure).

A rule is a trigger with hysteresis: when armed, it fires on the first tick whose measure is at least `fires_at`; it is
armed again by a tick whose measure is less than `rearms_below`.
"""

import re
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import ClassVar, NamedTuple, Protocol

from btcts.domain.model import HOUR_MS, MINUTE_MS, Tick, is_price
from btcts.errors import ConfigError

HYSTERESIS_PERCENT = 0.1

REARMING_SHARE = 0.8
"""Share of its percentage below which a move must fall before it can be reported again."""

MAX_SPAN_MS = 24 * HOUR_MS
MAX_PERCENT = 1000.0

_UNITS_MS = {"h": HOUR_MS, "min": MINUTE_MS, "m": MINUTE_MS, "s": 1000}

_NUMBER = r"\d+(?:\.\d+)?"
_PRICE = re.compile(_NUMBER, re.ASCII)
_MOVE = re.compile(rf"([+-]?)({_NUMBER})%?/(\d{{1,9}})({'|'.join(_UNITS_MS)})", re.ASCII)


class Measure(NamedTuple):
    """The measure of a tick by a rule, with the reference it is measured against."""

    tick: Tick
    value: float
    reference: float
    reference_ms: int | None


class Rule(Protocol):
    """A trigger on the measure of ticks, which may depend on the ticks of the preceding `span_ms`."""

    @property
    def name(self) -> str:
        """Canonical name: the same for the same rule, however it was written."""
        ...

    @property
    def kind(self) -> str:
        """Kind of its alerts."""
        ...

    @property
    def span_ms(self) -> int:
        """Time for which a tick influences later ones."""
        ...

    @property
    def fires_at(self) -> float:
        """Smallest measure that fires the rule."""
        ...

    @property
    def rearms_below(self) -> float:
        """Measure below which the rule is armed again; never above `fires_at`."""
        ...

    def measure(self, ticks: Sequence[Tick]) -> Iterator[Measure]:
        """Measure the ticks, which ascend."""
        ...


@dataclass(frozen=True, slots=True)
class Level:
    """The price is at `price` or beyond; `sign` is 1 for above and -1 for below.

    Armed again when the price is back by more than `hysteresis`, a share of the level.
    """

    sign: int
    price: float
    hysteresis: float = HYSTERESIS_PERCENT / 100
    span_ms: ClassVar[int] = 0

    @property
    def kind(self) -> str:
        """Above or below."""
        return "above" if self.sign > 0 else "below"

    @property
    def name(self) -> str:
        """Such as `above 100000`."""
        return f"{self.kind} {_format_number(self.price)}"

    @property
    def fires_at(self) -> float:
        """The level."""
        return self.sign * self.price

    @property
    def rearms_below(self) -> float:
        """The level less the hysteresis."""
        return self.sign * self.price * (1 - self.sign * self.hysteresis)

    def measure(self, ticks: Sequence[Tick]) -> Iterator[Measure]:
        """Measure the price, in the direction of the rule."""
        return (Measure(tick, self.sign * tick.price, self.price, None) for tick in ticks)


@dataclass(frozen=True, slots=True)
class MoveRule:
    """The price has moved by `percent` within `span_ms`, up (`sign` 1) or down (-1).

    Measured against the lowest price within the span for a rise, the highest for a fall: against the first price, a
    fall and rise within the span would cancel out.
    """

    sign: int
    percent: float
    span_ms: int

    @property
    def kind(self) -> str:
        """Rise or fall."""
        return "rise" if self.sign > 0 else "fall"

    @property
    def name(self) -> str:
        """Such as `move +5/1h`."""
        return f"move {'+' if self.sign > 0 else '-'}{_format_number(self.percent)}/{_format_span(self.span_ms)}"

    @property
    def fires_at(self) -> float:
        """The percentage."""
        return self.percent

    @property
    def rearms_below(self) -> float:
        """Share of the percentage below which the move is over."""
        return REARMING_SHARE * self.percent

    def measure(self, ticks: Sequence[Tick]) -> Iterator[Measure]:
        """Measure the move from the extreme of the span to a tick, in per cent."""
        extremes: deque[Tick] = deque()  # monotonic queue: the first is the extreme of the span
        for tick in ticks:
            while extremes and self.sign * (extremes[-1].price - tick.price) > 0:
                extremes.pop()
            extremes.append(tick)
            while extremes[0].time_ms < tick.time_ms - self.span_ms:
                extremes.popleft()
            time_ms, price = extremes[0]
            yield Measure(tick, 100 * self.sign * (tick.price - price) / price, price, time_ms)


def parse_above(text: str, hysteresis_percent: float = HYSTERESIS_PERCENT) -> Level:
    """Parse the rule of `--above`.

    Raises:
        ConfigError: the text is not a price.
    """
    return Level(1, _parse_price("--above", text), hysteresis_percent / 100)


def parse_below(text: str, hysteresis_percent: float = HYSTERESIS_PERCENT) -> Level:
    """Parse the rule of `--below`.

    Raises:
        ConfigError: the text is not a price.
    """
    return Level(-1, _parse_price("--below", text), hysteresis_percent / 100)


def parse_moves(text: str) -> tuple[MoveRule, ...]:
    """Parse the rules of `--move`: without a sign there are two, for a rise and for a fall.

    Raises:
        ConfigError: the text is not a move.
    """
    found = _MOVE.fullmatch(text)
    if not found:
        raise ConfigError(f"--move {text!r} is not a move; write it like 5/1h, +2.5/15min or -3/90s")
    sign, percent, count, unit = found[1], float(found[2]), int(found[3]), found[4]
    span_ms = count * _UNITS_MS[unit]
    if not 0 < span_ms <= MAX_SPAN_MS:
        raise ConfigError(
            f"--move {text!r} has a span that prices are not kept for; use one from 1s to 24h, as in 5/1h"
        )
    limit = MAX_PERCENT if sign == "+" else 100.0
    if not 0 < percent < limit:
        raise ConfigError(f"--move {text!r} can never happen; use more than 0 and less than {limit:g} %, as in 5/1h")
    signs = {"+": (1,), "-": (-1,), "": (1, -1)}[sign]
    return tuple(MoveRule(direction, percent, span_ms) for direction in signs)


def _parse_price(option: str, text: str) -> float:
    if not _PRICE.fullmatch(text) or not is_price(float(text)):
        raise ConfigError(f"{option} {text!r} is no price; write it like {option} 100000")
    return float(text)


def _format_number(value: float) -> str:
    """Format a number without an exponent, and without a fraction if it is whole."""
    return f"{Decimal(repr(value)):f}".removesuffix(".0")


def _format_span(span_ms: int) -> str:
    """Format a span in the largest unit that divides it."""
    unit = next(unit for unit, size in _UNITS_MS.items() if span_ms % size == 0)
    return f"{span_ms // _UNITS_MS[unit]}{unit}"
