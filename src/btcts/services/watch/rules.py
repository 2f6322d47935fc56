"""Rules about the price: their syntax, their measure of a tick, and the values that judging them gives (pure).

The measure of a tick depends on the ticks of the preceding `span_ms`. It fires an armed rule when it is at least
`fires_at`, and arms it again when it is less than `rearms_below`.
"""

import math
import re
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from hashlib import sha256
from typing import ClassVar, NamedTuple

from btcts.domain.model import DAY_MS, HOUR_MS, MINUTE_MS, Bounds, Tick, is_price
from btcts.errors import ConfigError

KINDS = ("above", "below", "rise", "fall", "stale", "fresh")
"""The kinds of alerts."""

STALE = "stale"
"""The name of the rule about the feed itself."""

REARMING_SHARE = 0.8
"""Share of its percentage below which a move must fall before it can be reported again."""

MAX_SPAN_MS = DAY_MS
MAX_PERCENT = 1000.0

_UNITS_MS = {"h": HOUR_MS, "min": MINUTE_MS, "m": MINUTE_MS, "s": 1000}

_NUMBER = r"\d+(?:\.\d+)?"
_PRICE = re.compile(_NUMBER, re.ASCII)
_MOVE = re.compile(rf"([+-]?)({_NUMBER})%?/(\d{{1,9}})({'|'.join(_UNITS_MS)})", re.ASCII)


class Measure(NamedTuple):
    """The measure of a tick by a rule, with the reference it is measured against.

    A bound was reached after `after_ms` and up to the time of its tick. A `loose` measure may be older than an alert of
    its minute: nobody knows which came first.
    """

    tick: Tick
    value: float
    reference: float
    reference_ms: int | None
    after_ms: int | None = None
    loose: bool = False


@dataclass(frozen=True, slots=True)
class Level:
    """The price is at `price` or beyond; `sign` is 1 for above and -1 for below.

    Armed again when the price is back by more than `hysteresis`, a share of the level.
    """

    sign: int
    price: float
    hysteresis: float = 0.001
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


Rule = Level | MoveRule


def find_possible_starts(ticks: Sequence[Tick]) -> list[Tick]:
    """Return the ticks that a later move can begin at: no lower price follows them, or no higher one."""
    kept: list[Tick] = []
    low, high = math.inf, 0.0
    for tick in reversed(ticks):
        if tick.price <= low or tick.price >= high:
            kept.append(tick)
            low, high = min(low, tick.price), max(high, tick.price)
    return kept[::-1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """An alert of a rule about the price at `time_ms`, found at `found_ms`.

    A price between two ticks was reached after `after_ms` and up to `time_ms`.
    The price is measured against `reference`: the level of above and below, the extreme of a move, which was the price
    at `reference_ms`, or the last price of a stale feed. `span_ms` is that of a move. `already` is set when the
    condition already held when the rule was first checked. A stale feed has no price.
    """

    rule: str
    kind: str
    time_ms: int
    found_ms: int
    price: float | None = None
    reference: float | None = None
    reference_ms: int | None = None
    span_ms: int | None = None
    already: bool = False
    simulated: bool = False
    after_ms: int | None = None

    @property
    def id(self) -> str:
        """Identifier: the same for the same alert, however often it is found or delivered."""
        return sha256(f"{self.rule} {self.kind} {self.time_ms}".encode()).hexdigest()[:16]

    @property
    def change(self) -> float | None:
        """Size of a move, as a share of its extreme; None for other alerts, or when it is not finite."""
        if self.kind not in ("rise", "fall") or self.price is None or not self.reference:
            return None
        change = (self.price - self.reference) / self.reference
        return change if math.isfinite(change) else None


@dataclass(frozen=True, slots=True)
class Standing:
    """The standing of a rule: whether it is armed, and the time of the last tick it has judged (None: none yet).

    `seen` has the lowest and the highest judged price of that tick's minute and of the minute before, ascending.
    """

    armed: bool = True
    since_ms: int | None = None
    seen: tuple[Bounds, ...] = ()


def parse_level(kind: str, text: str, hysteresis_percent: float) -> Level:
    """Parse the rule of `--above` or `--below`.

    Raises:
        ConfigError: the text is not a price.
    """
    if not _PRICE.fullmatch(text) or not is_price(float(text)):
        raise ConfigError(f"--{kind} {text!r} is no price; write it like --{kind} 100000")
    return Level(1 if kind == "above" else -1, float(text), hysteresis_percent / 100)


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
    if not sign and 100 <= percent < MAX_PERCENT:
        raise ConfigError(f"--move {text!r} is more than any fall; for rises alone write +{text}")
    limit = MAX_PERCENT if sign == "+" else 100.0
    if not 0 < percent < limit:
        raise ConfigError(f"--move {text!r} can never happen; use more than 0 and less than {limit:g} %, as in 5/1h")
    signs = {"+": (1,), "-": (-1,), "": (1, -1)}[sign]
    return tuple(MoveRule(direction, percent, span_ms) for direction in signs)


def _format_number(value: float) -> str:
    """Format a number without an exponent, and without a fraction if it is whole."""
    return f"{Decimal(repr(value)):f}".removesuffix(".0")


def _format_span(span_ms: int) -> str:
    """Format a span in the largest unit that divides it."""
    unit = next(unit for unit, size in _UNITS_MS.items() if span_ms % size == 0)
    return f"{span_ms // _UNITS_MS[unit]}{unit}"
