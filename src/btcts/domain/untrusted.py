"""Readers of untrusted values: each checks the type and the bounds, or refuses the value (pure).

The side keys in Redis and our own files are untrusted input. A reader returns the typed value or raises `Unreadable`;
callers treat an unreadable value as absent.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from btcts.domain.model import Tick, is_price
from btcts.system.foreign import plain

Reader = Callable[[Any], Any]

GENESIS_MS = 1_231_006_505_000
"""The first block of the chain (3 January 2009), the earliest valid time; an earlier one may be in another unit."""

END_MS = 4_102_444_800_000
"""1 January 2100, UTC; a later time may be in another unit."""

LONGEST_JSON = 1 << 20
LONGEST_TEXT = 1000
MOST_NAMES = 32

NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,39}", re.ASCII)
"""A valid provider name."""

_SHOWN = 40


class Unreadable(ValueError):
    """A value of the wrong type or out of bounds; the message shows it."""


def excerpt(value: object) -> str:
    """Return the beginning of a value in printable ASCII."""
    try:
        text = value if isinstance(value, str) else json.dumps(value)
    except RecursionError:
        text = "a deeply nested value"
    shown = text[:_SHOWN].encode("ascii", "backslashreplace").decode()
    return plain(shown) + "..." * (len(text) > _SHOWN)


def clean(text: str) -> str:
    """Return the text in a form that `read_text` accepts: printable and short enough."""
    return plain(text[:LONGEST_TEXT])


def parse_json(text: str | bytes, longest: int = LONGEST_JSON) -> Any:
    """Return the value of a JSON text, of any type."""
    if len(text) > longest:
        raise Unreadable(f"has {len(text)} characters")
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as exc:
        raise Unreadable(f"{_format_quoted(text)} is not JSON") from exc


def read_int(value: Any, least: int = 0, most: int = END_MS) -> int:
    """Return a whole number within bounds."""
    if type(value) is not int or not least <= value <= most:
        raise Unreadable(f"{excerpt(value)} is not a whole number from {least} to {most}")
    return value


def read_float(value: Any, least: float, most: float) -> float:
    """Return a number within bounds."""
    if type(value) not in (int, float) or not least <= value <= most:
        raise Unreadable(f"{excerpt(value)} is not a number from {least:g} to {most:g}")
    return float(value)


def read_price(value: Any) -> float:
    """Return a valid price."""
    if type(value) not in (int, float) or not is_price(value):
        raise Unreadable(f"{excerpt(value)} is not a price")
    return float(value)


def read_flag(value: Any) -> bool:
    """Return a boolean; other truthy or falsy values are refused."""
    if type(value) is not bool:
        raise Unreadable(f"{excerpt(value)} is neither true nor false")
    return value


def read_text(value: Any) -> str:
    """Return a printable text of at most `LONGEST_TEXT` characters."""
    if not isinstance(value, str) or len(value) > LONGEST_TEXT or not value.isprintable():
        raise Unreadable(f"{excerpt(value)} is not a short printable text")
    return value


def read_name(value: Any) -> str:
    """Return a valid provider name."""
    if not isinstance(value, str) or not NAME.fullmatch(value):
        raise Unreadable(f"{excerpt(value)} is not a name")
    return value


def read_choice(value: Any, choices: Sequence[str]) -> str:
    """Return one of the choices."""
    if not isinstance(value, str) or value not in choices:
        raise Unreadable(f"{excerpt(value)} is not one of {', '.join(choices)}")
    return value


def read_list(value: Any, read: Reader, most: int = MOST_NAMES) -> tuple[Any, ...]:
    """Return a list of at most `most` items, each read by `read`."""
    if not isinstance(value, list) or len(value) > most:
        raise Unreadable(f"{excerpt(value)} is not a list of at most {most}")
    return tuple(map(read, value))


def read_names(value: Any) -> tuple[str, ...]:
    """Return provider names."""
    return read_list(value, read_name)


def read_map(value: Any, read: Reader) -> dict[str, Any]:
    """Return values by provider name, each read by `read`."""
    if not isinstance(value, dict) or len(value) > MOST_NAMES:
        raise Unreadable(f"{excerpt(value)} is not an object of at most {MOST_NAMES} names")
    return {read_name(name): read(item) for name, item in value.items()}


def read_tick(value: Any, until_ms: int) -> Tick:
    """Return a tick with a time up to `until_ms`."""
    if not isinstance(value, list) or len(value) != 2:
        raise Unreadable(f"{excerpt(value)} is not a time with a price")
    return Tick(read_int(value[0], GENESIS_MS, until_ms), read_price(value[1]))


def read_optional(value: Any, read: Reader) -> Any:
    """Return None, or the value as read by `read`."""
    return None if value is None else read(value)


def read_fields(values: Any, readers: Mapping[str, Reader]) -> dict[str, Any]:
    """Return the known fields of an object; missing ones are left out."""
    if not isinstance(values, dict):
        raise Unreadable(f"{excerpt(values)} is not an object")
    return {name: _read_field(name, read, values[name]) for name, read in readers.items() if name in values}


def _read_field(name: str, read: Reader, value: Any) -> Any:
    try:
        return read(value)
    except Unreadable as exc:
        raise Unreadable(f"{name}: {exc}") from exc


def _format_quoted(text: str | bytes) -> str:
    return repr(excerpt(text if isinstance(text, str) else text.decode(errors="replace")))
