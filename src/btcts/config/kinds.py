"""The kinds of values a setting may have: each parses text and refuses bad values.

A check gets a value as TOML gives it and returns it as `Settings` holds it, or raises a ValueError whose text
completes "<where>: ". It repeats the value, except where that could give away a secret.
"""

import re
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import SplitResult, urlsplit

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
    return _define_number(float, int | float, wanted, fits)


def whole(wanted: str, fits: Callable[[float], bool]) -> Kind:
    """A whole number."""
    return _define_number(int, int, wanted, fits)


def _define_number(convert: type[float], accepted: Any, wanted: str, fits: Callable[[float], bool]) -> Kind:
    def read(text: str) -> object:
        try:
            return convert(text)
        except ValueError:
            return text  # the check refuses it

    def check(value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, accepted) or not fits(value):
            raise _make_refusal(value, wanted)
        return convert(value)

    return Kind(read, check)


def provider_names(known: Collection[str], *, only_alone: str) -> Kind:
    """Names of providers; `only_alone` cannot be mixed with others."""

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


def _read_switch(text: str) -> object:
    words = {"0": False, "false": False, "no": False, "off": False, "1": True, "true": True, "yes": True, "on": True}
    return words.get(text.strip().lower(), text)


def _check_switch(value: object) -> bool:
    if not isinstance(value, bool):
        raise _make_refusal(value, "true or false")
    return value


def _check_path(value: object) -> Path:
    """Return the path, which may have bytes outside UTF-8; Python keeps them as lone surrogates."""
    _check_text(re.sub("[\udc80-\udcff]", "?", value) if isinstance(value, str) else value)
    try:
        return Path(str(value).strip()).expanduser()
    except RuntimeError as exc:
        raise ValueError(f"{value!r} names an unknown home directory") from exc


def _check_host(value: object) -> str:
    name = _check_text(value)
    if any(character in name for character in " /@[]?#") or name.count(":") == 1:
        raise _make_refusal(value, "a host name or an address (a port and a URL are settings of their own)")
    return name


def _check_password(value: object) -> Secret:
    line = check_secret_text(value).rstrip("\r\n")
    if "\n" in line or "\r" in line:
        raise ValueError("the password contains a line break; it must be one line")
    if any("\ud800" <= character <= "\udfff" for character in line):
        raise ValueError("the password is not UTF-8 text")
    return Secret(line)


def _check_key(value: object) -> Secret:
    stripped = check_secret_text(value).strip().strip("\ufeff").strip()
    if len(stripped) > 1 and stripped[0] == stripped[-1] and stripped[0] in QUOTES:
        stripped = stripped[1:-1]
    check_secret_text(stripped)
    if not all("!" <= character <= "~" for character in stripped):
        raise ValueError("the key contains a blank or a character that is not ASCII")
    return Secret(stripped)


def _check_text(value: object) -> str:
    if not isinstance(value, str) or not value.strip().isprintable() or not value.strip():
        raise _make_refusal(value, "text on one line")
    return value.strip()


def check_secret_text(value: object) -> str:
    """Return the value if it is text and not blank; the message never repeats it."""
    if not isinstance(value, str) or not value.strip():
        raise ValueError("the value is not text, or empty")
    return value


def _make_refusal(value: object, wanted: str) -> ValueError:
    """Return an error that repeats the value, unless it may hold a password before an @."""
    return ValueError(f"{'the value' if '@' in repr(value) else _shorten(value)} is not {wanted}")


def _shorten(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= LONGEST_SHOWN else f"{shown[:LONGEST_SHOWN]}..."


def _define_url(*schemes: str) -> Kind:
    """Define a plain URL, which is kept without a trailing slash."""

    def check(value: object) -> str:
        url = _check_text(value)
        if "@" in url:
            raise ValueError("the URL contains a user or a password, which is not supported")
        parts = split_url(url)
        if parts.scheme not in schemes or not parts.hostname or parts.query or parts.fragment:
            raise ValueError(f"{url!r} is not a plain {' or '.join(f'{scheme}://' for scheme in schemes)} URL")
        return url.rstrip("/")

    return Kind(str, check)


def refuse_blanks(url: str) -> None:
    """Refuse a URL with a blank or a control character."""
    if any(character.isspace() or not character.isprintable() for character in url):
        raise ValueError("the URL contains a blank or a control character")


def split_url(url: str) -> SplitResult:
    """Split the URL, with a valid port."""
    refuse_blanks(url)
    try:
        parts = urlsplit(url)
        usable = parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise ValueError("the host or the port of the URL is malformed; write / in a password as %2F, : as %3A")
    return parts


SWITCH = Kind(_read_switch, _check_switch)
PATH = Kind(str, _check_path)
"""A path; the reader makes it absolute."""
TEXT = Kind(str, _check_text)
"""A word or more on one line."""
HOST = Kind(str, _check_host)
"""A host name or an IP address."""
BASE_URL = _define_url("http", "https")
"""The base URL of a price API."""
STREAM_URL = _define_url("ws", "wss")
"""The URL of a WebSocket."""
PASSWORD = Kind(str, _check_password)
"""A secret on one line, taken as it is."""
KEY = Kind(str, _check_key)
"""A secret that can stand in an HTTP header."""
