"""The URL of a Redis, taken apart: one server, a socket, the Sentinels of a service, or nodes of a cluster.

redis[s]://user:password@host:6379/db                    unix://user:password@/run/redis.sock
redis[s]+sentinel://user:password@h1:26379,h2/service/db?sentinel_username=user&sentinel_password=password
redis[s]+cluster://user:password@h1:6379,h2
"""

import os
import re
from typing import Any
from urllib.parse import SplitResult, parse_qsl, unquote, unquote_to_bytes, urlsplit

from btcts.config.kinds import Kind, check_secret_text, refuse_blanks, split_url
from btcts.config.values import CLUSTER, SENTINEL, Secret

SCHEMES = ("redis", "rediss", "unix")
PORTS = {SENTINEL: 26379, CLUSTER: 6379}
OWN_LOGIN = ("sentinel_username", "sentinel_password")
"""The options of a URL that log in at the Sentinels themselves."""

_OPTIONS = "the URL has options behind '?' or '#'"
_QUOTING = "write # as %23, ? as %3F"


def parse_redis_url(value: object) -> dict[str, Any]:
    """Return the fields of `RedisSettings` that the URL gives.

    Scheme, host, port, path, nodes and service are always among them; database, users and passwords where the URL has
    them.
    """
    url = check_secret_text(value).strip()
    scheme = url.partition("://")[0].lower()
    kind = scheme.partition("+")[2]
    if kind in PORTS and scheme in (f"redis+{kind}", f"rediss+{kind}"):
        found = _parse_several(url, kind)
    else:
        found = _parse_one(split_url(url))
    return {"scheme": scheme, "host": "", "port": 0, "path": "", "nodes": (), "service": "", **found}


def _parse_one(parts: SplitResult) -> dict[str, Any]:
    if parts.scheme not in SCHEMES:
        raise ValueError(
            "the URL does not begin with redis://, rediss:// or unix://, with redis+sentinel:// or redis+cluster://"
        )
    if parts.query or parts.fragment:
        raise ValueError(f"{_OPTIONS}, which are not supported; {_QUOTING}")
    place = _parse_socket(parts) if parts.scheme == "unix" else _parse_server(parts)
    return place | _parse_login(parts.username, parts.password)


def _parse_server(parts: SplitResult) -> dict[str, Any]:
    if not parts.hostname:
        raise ValueError("the URL names no host")
    if "," in parts.hostname:
        raise ValueError("the URL names several hosts; write redis+sentinel:// or redis+cluster://")
    return {"host": parts.hostname, "port": parts.port or 6379} | _parse_database(parts.path.strip("/"))


def _parse_socket(parts: SplitResult) -> dict[str, Any]:
    path = os.fsdecode(unquote_to_bytes(parts.path))
    if parts.hostname or len(path) < 2 or "\0" in path:
        raise ValueError("the URL of a socket needs an absolute path: unix:///run/redis.sock")
    return {"path": path}


def _parse_database(text: str) -> dict[str, Any]:
    if not re.fullmatch("[0-9]{0,9}", text):
        raise ValueError("the path of the URL is not a database number")
    return {"db": int(text)} if text else {}


def _parse_login(username: str | None, password: str | None) -> dict[str, Any]:
    user = {"username": unquote(username)} if username else {}
    return user | ({"password": Secret(unquote(password))} if password else {})


def _parse_several(url: str, kind: str) -> dict[str, Any]:
    """Parse a URL that names several hosts, which `urlsplit` cannot."""
    refuse_blanks(url)
    rest, _, options = url.partition("://")[2].partition("?")
    authority, _, path = rest.partition("/")
    login, _, hosts = authority.rpartition("@")
    username, _, password = login.partition(":")
    parts = path.strip("/").split("/")
    if "#" in url or (options and kind == CLUSTER):
        raise ValueError(f"{_OPTIONS}, which are not supported; {_QUOTING}")
    own = _parse_own(options)
    if "@" in path or ("@" in login and "," in login):
        raise ValueError("user and password stand once, before all hosts; write / in a password as %2F, @ as %40")
    service = unquote(parts.pop(0)) if kind == SENTINEL else ""
    if kind == SENTINEL and not service:
        raise ValueError("the URL names no service that the Sentinels watch: redis+sentinel://host1,host2/SERVICE")
    database = _parse_database("/".join(parts))
    if kind == CLUSTER and database.get("db"):
        raise ValueError("a cluster has database 0 alone; leave out the number")
    nodes = tuple(dict.fromkeys(_parse_node(host, PORTS[kind]) for host in hosts.split(",")))
    return {"nodes": nodes, "service": service} | database | _parse_login(username, password) | own


def _parse_node(text: str, port: int) -> tuple[str, int]:
    try:
        parts = urlsplit(f"//{text}")
        host, given = parts.hostname, parts.port
    except ValueError:
        host, given = text, 0
    if not host:
        raise ValueError("the URL names no host, or none between two commas")
    if given == 0:
        raise ValueError("a host or a port of the URL is malformed; write / in a password as %2F, : as %3A")
    return host, given or port


def _parse_own(options: str) -> dict[str, Any]:
    found = dict(parse_qsl(options.replace("+", "%2B"), keep_blank_values=True))
    if options and (not found or found.keys() - set(OWN_LOGIN)):
        raise ValueError(f"{_OPTIONS} other than {' and '.join(OWN_LOGIN)}; {_QUOTING}")
    return {name: Secret(text) if name == OWN_LOGIN[1] else text for name, text in found.items() if text}


REDIS_URL = Kind(str, parse_redis_url)
"""The URL of a Redis, taken apart."""
