"""Rules about the price: how they measure a tick, from which measure on they fire, and how they are written (pure).

A rule is a trigger with two thresholds on its measure: armed, it fires on the first tick whose measure is at least
`fires_at`; from then on it waits for one whose measure is less than `rearms_below`, which arms it again.
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
"""The share of its percentage below which a move must have fallen before it can be reported again."""

MAX_SPAN_MS = 24 * HOUR_MS
MAX_PERCENT = 1000.0

_UNITS_MS = {"h": HOUR_MS, "min": MINUTE_MS, "m": MINUTE_MS, "s": 1000}

_NUMBER = r"\d+(?:\.\d+)?"
_PRICE = re.compile(_NUMBER, re.ASCII)
_MOVE = re.compile(rf"([+-]?)({_NUMBER})%?/(\d{{1,9}})({'|'.join(_UNITS_MS)})", re.ASCII)


class Measure(NamedTuple):
    """A tick as a rule sees it: how far it goes, and against what."""

    tick: Tick
    value: float
    reference: float
    reference_ms: int | None


class Rule(Protocol):
    """A trigger on the measure of ticks, each of which may depend on those of the `span_ms` before it."""

    @property
    def name(self) -> str:
        """The same for the same rule, however it was written."""
        ...

    @property
    def kind(self) -> str:
        """What its alerts say."""
        ...

    @property
    def span_ms(self) -> int:
        """How long a tick counts for those behind it."""
        ...

    @property
    def fires_at(self) -> float:
        """The measure from which on it fires."""
        ...

    @property
    def rearms_below(self) -> float:
        """The measure below which it is armed again; never above `fires_at`."""
        ...

    def measure(self, ticks: Sequence[Tick]) -> Iterator[Measure]:
        """The measure of each of the ticks, which ascend."""
        ...


@dataclass(frozen=True, slots=True)
class Level:
    """The price is at `price` or beyond; `sign` is 1 for above and -1 for below.

    Armed again when the price is back by more than the share `hysteresis` of the level.
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
        """The price, in the direction of the rule."""
        return (Measure(tick, self.sign * tick.price, self.price, None) for tick in ticks)


@dataclass(frozen=True, slots=True)
class MoveRule:
    """The price has moved by `percent` within `span_ms`, up (`sign` 1) or down (-1).

    Measured against the lowest price within the span for a rise, the highest for a fall: against the price at its
    beginning, what went down and up again within the span would be no move at all.
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
        """The share of it that counts as gone by."""
        return REARMING_SHARE * self.percent

    def measure(self, ticks: Sequence[Tick]) -> Iterator[Measure]:
        """The move from the extreme up to each tick, in per cent."""
        extremes: deque[Tick] = deque()  # each beyond the ones behind it; the first is that of the span
        for tick in ticks:
            while extremes and self.sign * (extremes[-1].price - tick.price) > 0:
                extremes.pop()
            extremes.append(tick)
            while extremes[0].time_ms < tick.time_ms - self.span_ms:
                extremes.popleft()
            time_ms, price = extremes[0]
            yield Measure(tick, 100 * self.sign * (tick.price - price) / price, price, time_ms)


def parse_above(text: str, hysteresis_percent: float = HYSTERESIS_PERCENT) -> Level:
    """The rule of `--above`.

    Raises: ConfigError when the text is no price.
    """
    return Level(1, _parse_price("--above", text), hysteresis_percent / 100)


def parse_below(text: str, hysteresis_percent: float = HYSTERESIS_PERCENT) -> Level:
    """The rule of `--below`.

    Raises: ConfigError when the text is no price.
    """
    return Level(-1, _parse_price("--below", text), hysteresis_percent / 100)


def parse_moves(text: str) -> tuple[MoveRule, ...]:
    """The rules of `--move`: two of them where it has no sign, for a rise and for a fall.

    Raises: ConfigError when the text is no move.
    """
    found = _MOVE.fullmatch(text)
    if not found:
        raise ConfigError(f"--move {text!r} is no move; write it like 5/1h, +2.5/15min or -3/90s")
    sign, percent, count, unit = found[1], float(found[2]), int(found[3]), found[4]
    span_ms = count * _UNITS_MS[unit]
    if not 0 < span_ms <= MAX_SPAN_MS:
        raise ConfigError(f"--move {text!r} has no span that prices are kept for; take one from 1s to 24h, as in 5/1h")
    limit = MAX_PERCENT if sign == "+" else 100.0
    if not 0 < percent < limit:
        raise ConfigError(f"--move {text!r} can never happen; take more than 0 and less than {limit:g} %, as in 5/1h")
    signs = {"+": (1,), "-": (-1,), "": (1, -1)}[sign]
    return tuple(MoveRule(direction, percent, span_ms) for direction in signs)


def _parse_price(option: str, text: str) -> float:
    if not _PRICE.fullmatch(text) or not is_price(float(text)):
        raise ConfigError(f"{option} {text!r} is no price in USD; write it like {option} 100000")
    return float(text)


def _format_number(value: float) -> str:
    """The number without an exponent, and whole where it is."""
    return f"{Decimal(repr(value)):f}".removesuffix(".0")


def _format_span(span_ms: int) -> str:
    """The span in the largest unit that it is a whole number of."""
    unit = next(unit for unit, size in _UNITS_MS.items() if span_ms % size == 0)
    return f"{span_ms // _UNITS_MS[unit]}{unit}"
