"""The provider protocol, and parsers for the values in answers; independent of HTTP."""

import json
import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import islice
from typing import Any, Protocol

from btcts.domain.model import DAY_MS, Candles, Reading, Span, is_price
from btcts.domain.trades import NS_PER_MS
from btcts.domain.untrusted import END_MS, GENESIS_MS
from btcts.errors import ProviderError
from btcts.system.foreign import cite, redact

UNBOUNDED_MS = 3650 * DAY_MS
"""The reach of a provider that keeps candles for years."""

MOST_DIGITS = 100
"""Most characters a number may have, to keep parsing cheap."""

MOST_EXPONENT = 60
"""Largest decimal exponent of a number, and with a minus sign the smallest of any number but 0."""

MOST_CREDITS = 10**9
"""More credits than any plan has."""

SHAPE_ERRORS = (KeyError, IndexError, TypeError, ValueError, AttributeError)
"""The exceptions raised by reading a JSON value of an unexpected shape."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SHOWN, _SHOWN_TEXT = 60, 80
"""Most characters of a value, and of another text from a server, in an error."""

_READ = 1024
"""Characters of it that are searched for secrets; cutting earlier could leave half a key unrecognised."""

_ZERO = re.compile(r"-?0(\.0+)?([eE].*)?")
_STAMP = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.([0-9]{1,9}))?(Z|[+-][0-9]{2}:[0-9]{2})"
)
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,9})?")


class Provider(Protocol):
    """An adapter to one price API for the market BTC-USD."""

    name: str

    reach_ms: int
    """Reach of `candles` back from now in ms; 0 for a provider without candles."""

    page_minutes: int
    """Most minutes per request; 0 for a provider without candles."""

    bulky: bool
    """True when each answer has a whole day of candles, however few were asked for."""

    @property
    def key_id(self) -> str:
        """A digest that distinguishes API keys without revealing them; empty without a key."""
        ...

    def latest(self) -> Reading:
        """Return the price of the last trade, with the times of the trade and of the answer.

        `Api.fetch_json` gets the payload, `expect_shape` reads it.

        Raises:
            ProviderError: it failed.
            ProviderLimited: it must not be asked before a certain time.
            ProviderStopped: the user has to change something first.
        """
        ...

    def candles(self, span: Span) -> Candles:
        """Return the candles of the closed minutes of `span`, all of them or raise.

        Begins with `find_closed_part`, gets its pages by `read_candles` (`page.end_ms` is exclusive; many APIs include
        their end) and finishes with `drop_unclosed`, all in `pages.py`.

        Raises:
            ProviderError: it failed.
            ProviderLimited: it must not be asked before a certain time.
            ProviderStopped: the user has to change something first.
        """
        ...


def parse_price(provider: str, value: object) -> float:
    """Parse `value` (text or a number) as a price.

    Raises:
        ProviderError: it is missing, not finite, not above 0 or above the price ceiling.
    """
    price = _parse_float(value)
    if not is_price(price):
        raise ProviderError(provider, f"{quoted(value)} is not a price")
    return price


def parse_amount(provider: str, value: object) -> float:
    """Parse `value` as a traded amount or a number of trades: finite and at least 0."""
    amount = _parse_float(value)
    if not amount >= 0:
        raise ProviderError(provider, f"{quoted(value)} is not a traded amount")
    return amount


def parse_ms(provider: str, value: object, *, unit_ms: int = 1) -> int:
    """Parse `value`, counted in `unit_ms` since the epoch, as a time in ms; fractions of a ms are dropped.

    Raises:
        ProviderError: it is not a number, or a time before the first block or after 2100.
    """
    return _parse_time(provider, value, unit_ms, 1)


def parse_ns(provider: str, value: object, *, unit_ns: int = 1) -> int:
    """Parse `value`, counted in `unit_ns` since the epoch, as a time in ns; otherwise as `parse_ms`."""
    return _parse_time(provider, value, unit_ns, NS_PER_MS)


def parse_credits(provider: str, value: object) -> int:
    """Parse `value` as a number of credits; an overdrawn (negative) one counts as 0."""
    number = _parse_number(value)
    if number is None or abs(number) > MOST_CREDITS:
        raise ProviderError(provider, f"{quoted(value)} is not a number of credits")
    return max(0, int(number))


def parse_iso_ms(provider: str, value: object) -> int:
    """Parse an ISO 8601 text with a UTC offset as a time in ms; without the offset it would be a guess."""
    try:
        since = datetime.fromisoformat(value if isinstance(value, str) else "") - _EPOCH
    except (ValueError, TypeError) as exc:  # no time, or one without an offset
        raise ProviderError(provider, f"{quoted(value)} is not a time") from exc
    return parse_ms(provider, since // timedelta(milliseconds=1))


def parse_iso_ns(provider: str, value: object) -> int:
    """Parse an ISO 8601 text with a UTC offset as a time in ns; `datetime` drops the decimals after the sixth."""
    stamp = _STAMP.fullmatch(value) if isinstance(value, str) else None
    if stamp is None:
        raise ProviderError(provider, f"{quoted(value)} is not a time")
    second, decimals, offset = stamp.groups()
    return parse_iso_ms(provider, second + offset) * NS_PER_MS + int((decimals or "").ljust(9, "0"))


def iso(time_ms: int) -> str:
    """Format a time as `2026-01-01T00:00:00Z`, dropping fractions of a second."""
    return (_EPOCH + timedelta(milliseconds=time_ms)).strftime("%Y-%m-%dT%H:%M:%SZ")


def decode_json(text: str | bytes) -> Any:
    """Parse JSON; NaN and Infinity become their text.

    Raises:
        ValueError: it is not JSON, nested too deeply, or has a number out of bounds.
    """
    try:
        return json.loads(text, parse_float=_read_float, parse_int=read_whole, parse_constant=str)
    except RecursionError as exc:
        raise ValueError("nested too deeply") from exc


def _read_float(text: str) -> float:
    number = float(text)
    if len(text) > MOST_DIGITS or (number in (0.0, math.inf, -math.inf) and not _ZERO.fullmatch(text)):
        raise ValueError("a number out of bounds")
    return number


def read_whole(text: str) -> int:
    """Parse a JSON integer.

    Raises:
        ValueError: it has too many digits.
    """
    if len(text) > MOST_DIGITS:
        raise ValueError("a number out of bounds")
    return int(text)


def quoted(value: object) -> str:
    """Format a value from an answer as one short line of ASCII for an error message."""
    return cite(json.dumps(_cut(value)), _SHOWN)


def quote_line(text: bytes) -> str:
    """Format the beginning of a text from a server as one short line, without markup and secrets."""
    line = cite(text[:_READ].decode(errors="replace"), _SHOWN_TEXT)
    return "an HTML page" if line.startswith("<") else line


@contextmanager
def expect_shape(provider: str, payload: Any) -> Iterator[Any]:
    """Read `payload` inside the block; a missing or misplaced field becomes one clear error."""
    try:
        yield payload
    except SHAPE_ERRORS as exc:
        raise ProviderError(provider, f"answered in an unexpected shape: {quoted(payload)}") from exc


def _cut(value: object, depth: int = 3) -> object:
    """Return the part of a value that error messages show."""
    match value:
        case str():
            return redact(value[:_READ])[:_SHOWN]
        case list() if depth:
            return [_cut(item, depth - 1) for item in value[: _SHOWN // 4]]
        case dict() if depth:
            return {_cut(str(key)): _cut(item, depth - 1) for key, item in islice(value.items(), _SHOWN // 8)}
        case list() | dict():
            return "..."
        case None | bool() | float():
            return value
    number = _parse_number(value)
    if number is None:
        return "a value out of bounds"
    return value if isinstance(value, int) else str(number)


def _parse_number(value: object) -> Decimal | None:
    """Parse a text or a number; None when it is not a number, not finite, too large or too small."""
    match value:
        case bool():
            return None
        case int() if value.bit_length() < 4 * MOST_DIGITS:
            number = Decimal(value)
        case float():
            number = Decimal(repr(value))
        case Decimal():
            number = value
        case str() if len(value) <= MOST_DIGITS and _NUMBER.fullmatch(value):
            number = Decimal(value)
        case _:
            return None
    return number if number.is_finite() and abs(number.adjusted()) <= MOST_EXPONENT else None


def _parse_time(provider: str, value: object, unit: int, per_ms: int) -> int:
    number = _parse_number(value)
    if number is not None and GENESIS_MS * per_ms <= number * unit < END_MS * per_ms:
        return int(number * unit)
    raise ProviderError(provider, f"{quoted(value)} is not a time")


def _parse_float(value: object) -> float:
    number = _parse_number(value)
    return math.nan if number is None else float(number)
