"""What every provider is, and how the values in its answers are read; free of httpx."""

import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Protocol

from btcts.errors import ProviderError
from btcts.model import Candles, Reading, Span, is_price

GENESIS_MS = 1_231_006_505_000
"""The first block, 2009-01-03: no bitcoin was traded before, so an earlier time has the wrong unit."""

END_MS = 4_102_444_800_000
"""The year 2100: a later time has the wrong unit."""

UNBOUNDED_MS = 3650 * 86_400_000
"""The reach of a provider that keeps its candles for years."""

SHAPE_ERRORS = (KeyError, IndexError, TypeError, ValueError, AttributeError)
"""What reading a JSON value of another shape than expected raises."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SHOWN = 60
_NUMBERS = (str, int, float, Decimal)


class Provider(Protocol):
    """An adapter to one price API for the market BTC-USD."""

    name: str

    reach_ms: int
    """How far back from now `candles` can answer; 0 where it has none."""

    page_minutes: int
    """The most minutes that it answers for in one request; 0 where it has no candles."""

    @property
    def key_id(self) -> str:
        """Tells one API key from another without revealing it; empty where none is used."""
        ...

    def latest(self) -> Reading:
        """The price now.

        Raises: ProviderError, ProviderLimited, ProviderStopped.
        """
        ...

    def candles(self, span: Span) -> Candles:
        """The candles of the closed minutes of `span`, whole or not at all.

        Raises: ProviderError, ProviderLimited, ProviderStopped.
        """
        ...


def parse_price(provider: str, value: object) -> float:
    """The price that `value` (text or a number) spells.

    Raises: ProviderError for what is missing, not finite, not above 0 or above the price ceiling.
    """
    price = _number(value)
    if not is_price(price):
        raise ProviderError(provider, f"{quoted(value)} is not a price")
    return price


def parse_amount(provider: str, value: object) -> float:
    """The traded amount, or number of trades, that `value` spells: finite and at least 0."""
    amount = _number(value)
    if not (math.isfinite(amount) and amount >= 0):
        raise ProviderError(provider, f"{quoted(value)} is not a traded amount")
    return amount


def parse_ms(provider: str, value: object, *, unit_ms: int = 1) -> int:
    """The time that `value`, counted in `unit_ms` since the epoch, spells; fractions of a ms are dropped.

    Raises: ProviderError for what is no number and for a time before the first block or after 2100.
    """
    try:
        time_ms = (value if type(value) is int else Decimal(str(value))) * unit_ms
        if GENESIS_MS <= time_ms < END_MS:
            return int(time_ms)
    except ArithmeticError:
        pass
    raise ProviderError(provider, f"{quoted(value)} is not a time")


def parse_iso_ms(provider: str, value: object) -> int:
    """The time that an ISO 8601 text with its offset spells; without the offset it would be a guess."""
    try:
        time_ms = (datetime.fromisoformat(str(value)) - _EPOCH) // timedelta(milliseconds=1)
    except (ValueError, TypeError) as exc:  # no time, or one without an offset
        raise ProviderError(provider, f"{quoted(value)} is not a time") from exc
    return parse_ms(provider, time_ms)


def iso(time_ms: int) -> str:
    """A time as `2026-01-01T00:00:00Z`, fractions of a second dropped."""
    return (_EPOCH + timedelta(milliseconds=time_ms)).strftime("%Y-%m-%dT%H:%M:%SZ")


def quoted(value: object) -> str:
    """A value from an answer in one short line of ASCII, fit for an error message."""
    try:
        text = json.dumps(value, default=str)
    except (RecursionError, ValueError):
        text = "a value beyond measure"
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "..."


@contextmanager
def shape_of(provider: str, payload: Any) -> Iterator[Any]:
    """Read `payload` inside; a missing or misplaced field of it becomes one clear error."""
    try:
        yield payload
    except SHAPE_ERRORS as exc:
        raise ProviderError(provider, f"answered in an unexpected shape: {quoted(payload)}") from exc


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, _NUMBERS):
        return math.nan
    try:
        return float(value)
    except (ValueError, OverflowError):
        return math.nan
