"""URLs taken apart: those of Redis and those of price APIs. No message repeats a URL that may hold a password."""

import os
from typing import Any
from urllib.parse import SplitResult, unquote, unquote_to_bytes, urlsplit

from btcts.config.values import Secret

SCHEMES = ("redis", "rediss", "unix")
LATER_SCHEMES = ("redis+sentinel", "rediss+sentinel", "redis+cluster", "rediss+cluster")


def parse_redis_address(url: str) -> dict[str, Any]:
    """Return the fields of `RedisSettings` that the URL gives.

    Scheme, host, port and path are always among them; database, user and password where the URL has them.

    Raises:
        ValueError: it is no URL of a Redis that can be used; the text never repeats it.
    """
    parts = _split(url.strip())
    if parts.scheme in LATER_SCHEMES:
        raise ValueError(f"{parts.scheme}:// is not supported yet; name one server with redis://, rediss:// or unix://")
    if parts.scheme not in SCHEMES:
        raise ValueError("the URL does not begin with redis://, rediss:// or unix://")
    if parts.query or parts.fragment:
        raise ValueError("the URL has options behind '?' or '#', which are not supported; write # as %23, ? as %3F")
    place = _parse_socket(parts) if parts.scheme == "unix" else _parse_server(parts)
    return {"scheme": parts.scheme, "host": "", "port": 0, "path": "", **place, **_parse_login(parts)}


def check_base_url(url: str) -> str:
    """Return the URL without a trailing slash.

    Raises:
        ValueError: it is no plain http or https URL.
    """
    if "@" in url:
        raise ValueError("the URL contains a user or a password, which is not supported")
    parts = _split(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ValueError(f"{url!r} is not a plain http:// or https:// URL")
    return url.rstrip("/")


def _split(url: str) -> SplitResult:
    """Split the URL, with a valid port."""
    if any(character.isspace() or not character.isprintable() for character in url):
        raise ValueError("the URL contains a blank or a control character")
    try:
        parts = urlsplit(url)
        usable = parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise ValueError("the host or the port of the URL is malformed; write / in a password as %2F, : as %3A")
    return parts


def _parse_server(parts: SplitResult) -> dict[str, Any]:
    if not parts.hostname:
        raise ValueError("the URL names no host")
    database = parts.path.strip("/")
    if database and not (database.isascii() and database.isdigit()):
        raise ValueError("the path of the URL is not a database number")
    address = {"host": parts.hostname, "port": parts.port or 6379}
    return address | ({"db": int(database)} if database else {})


def _parse_socket(parts: SplitResult) -> dict[str, Any]:
    if parts.hostname or len(parts.path) < 2:
        raise ValueError("the URL of a socket needs an absolute path: unix:///run/redis.sock")
    return {"path": os.fsdecode(unquote_to_bytes(parts.path))}


def _parse_login(parts: SplitResult) -> dict[str, Any]:
    user = {"username": unquote(parts.username)} if parts.username else {}
    return user | ({"password": Secret(unquote(parts.password))} if parts.password else {})
