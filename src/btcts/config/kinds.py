"""The kinds of values a setting may have: each parses text and refuses bad values.

A check gets a value as TOML gives it and returns it as `Settings` holds it, or raises a ValueError whose text
completes "<where>: ". It repeats the value, except where that could give away a secret.
"""

import re
from collections.abc import Callable, Collection
from pathlib import Path
from typing import NamedTuple

from btcts.config.urls import check_base_url, parse_redis_address
from btcts.config.values import Secret
from btcts.errors import did_you_mean

LONGEST_SHOWN = 200
"""Most characters of a value that a message repeats."""

QUOTES = "'\""
"""The quotes that an env file may leave around a value; no key contains them."""


class Kind(NamedTuple):
    """A kind of setting.

    `read` turns the text of an environment variable into what TOML would give, or leaves it to be refused; `check`
    returns the checked value.
    """

    read: Callable[[str], object]
    check: Callable[[object], object]


def number(wanted: str, fits: Callable[[float], bool]) -> Kind:
    """A finite number, whole or not."""

    def check(value: object) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not fits(value):
            raise _make_refusal(value, wanted)
        return float(value)

    return Kind(_pass_junk(float), check)


def whole(wanted: str, fits: Callable[[int], bool]) -> Kind:
    """A whole number."""

    def check(value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not fits(value):
            raise _make_refusal(value, wanted)
        return value

    return Kind(_pass_junk(int), check)


def switch() -> Kind:
    """True or false."""
    words = {"0": False, "false": False, "no": False, "off": False, "1": True, "true": True, "yes": True, "on": True}

    def check(value: object) -> bool:
        if not isinstance(value, bool):
            raise _make_refusal(value, "true or false")
        return value

    return Kind(lambda text: words.get(text.strip().lower(), text), check)


def path() -> Kind:
    """A path; the reader makes it absolute."""

    def check(value: object) -> Path:
        try:
            return Path(_check_path_text(value)).expanduser()
        except RuntimeError as exc:
            raise ValueError(f"{value!r} names an unknown home directory") from exc

    return Kind(str, check)


def text() -> Kind:
    """A word or more on one line."""
    return Kind(str, _check_text)


def host() -> Kind:
    """A host name or an IP address."""

    def check(value: object) -> str:
        name = _check_text(value)
        if any(character in name for character in " /@[]?#") or name.count(":") == 1:
            raise _make_refusal(value, "a host name or an address (a port and a URL are settings of their own)")
        return name

    return Kind(str, check)


def redis_url() -> Kind:
    """The URL of a Redis, taken apart."""
    return Kind(str, lambda value: parse_redis_address(_check_secret_text(value)))


def http_url() -> Kind:
    """The base URL of a price API."""
    return Kind(str, lambda value: check_base_url(_check_text(value)))


def password() -> Kind:
    """A secret on one line, taken as it is."""

    def check(value: object) -> Secret:
        line = _check_secret_text(value).rstrip("\r\n")
        if "\n" in line or "\r" in line:
            raise ValueError("the password contains a line break; it must be one line")
        if any("\ud800" <= character <= "\udfff" for character in line):
            raise ValueError("the password is not UTF-8 text")
        return Secret(line)

    return Kind(str, check)


def key() -> Kind:
    """A secret that can stand in an HTTP header."""

    def check(value: object) -> Secret:
        stripped = _check_secret_text(value).strip().strip("\ufeff").strip()
        if len(stripped) > 1 and stripped[0] == stripped[-1] and stripped[0] in QUOTES:
            stripped = stripped[1:-1]
        _check_secret_text(stripped)
        if not all("!" <= character <= "~" for character in stripped):
            raise ValueError("the key contains a blank or a character that is not ASCII")
        return Secret(stripped)

    return Kind(str, check)


def provider_names(known: Collection[str], *, only_alone: str) -> Kind:
    """Names of providers; `only_alone` never mixes with others."""

    def check(value: object) -> tuple[str, ...]:
        if not isinstance(value, list | tuple) or not value:
            raise _make_refusal(value, "a list of provider names")
        for name in value:
            if name not in known:
                raise ValueError(f"{name!r} is not one of {', '.join(known)}{did_you_mean(str(name), known)}")
        if len(set(value)) < len(value):
            raise ValueError(f"{_shorten(value)} names a provider twice")
        if only_alone in value and len(value) > 1:
            raise ValueError(f"{only_alone!r} cannot be mixed with real providers")
        return tuple(value)

    return Kind(lambda listed: [name.strip() for name in listed.split(",") if name.strip()], check)


def _pass_junk(read: Callable[[str], object]) -> Callable[[str], object]:
    """Wrap the reader so that unreadable text reaches the check, which refuses it."""

    def read_or_keep(text: str) -> object:
        try:
            return read(text)
        except ValueError:
            return text

    return read_or_keep


def _check_path_text(value: object) -> str:
    """Return the path, which may have bytes outside UTF-8; Python keeps them as lone surrogates."""
    if isinstance(value, str):
        _check_text(re.sub("[\udc80-\udcff]", "?", value))
        return value.strip()
    return _check_text(value)


def _check_text(value: object) -> str:
    if not isinstance(value, str) or not value.strip().isprintable() or not value.strip():
        raise _make_refusal(value, "text on one line")
    return value.strip()


def _check_secret_text(value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError("the value is not text, or empty")
    return value


def _make_refusal(value: object, wanted: str) -> ValueError:
    """Return an error that repeats the value, unless it may hold a password before an @."""
    return ValueError(f"{'the value' if '@' in repr(value) else _shorten(value)} is not {wanted}")


def _shorten(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= LONGEST_SHOWN else f"{shown[:LONGEST_SHOWN]}..."
