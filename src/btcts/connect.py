"""From the settings to a store: a Redis that is named, or the embedded one."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from btcts.clock import Clock, ServerClock
from btcts.config import RedisSettings, Settings, load
from btcts.errors import EmbeddedError
from btcts.providers import DEFAULTS
from btcts.store import Store

CONNECT_TIMEOUT_S = 3.0

ANSWER_TIMEOUT_S = 10.0
"""A rebuild, the longest command, takes about 0.1 s; a server that swaps or forks may need longer."""


def connect(settings: Settings, *, clock: Clock, writes: bool, say: Callable[[str], None]) -> Store:
    """The store that the settings name; nothing is sent to it before its first use.

    When no Redis is named the embedded one is used: commands that write install and start it, and `say` so;
    commands that read only find it.

    Raises:
        EmbeddedError: the embedded Redis does not run and may not be, or cannot be, started.
    """
    if settings.redis.url is None:
        return embedded_store(_embedded(settings, writes=writes, say=say), clock=clock)
    return _store(_arguments(settings.redis), clock, settings.redis.where)


def embedded_store(socket: Path, *, clock: Clock) -> Store:
    """The store of the embedded redis-server that listens on `socket`."""
    return _store({"unix_socket_path": str(socket)}, clock, "the embedded Redis")


def open_store(url: str | None = None) -> Store:
    """The store at `url` (redis://, rediss:// or unix://), or the one that environment and files name, to read from.

    `latest()`, `slots(resolution)` and `ticks(span)` answer from it. Use it in a `with` block, or `close()` it.

    Raises:
        ConfigError: a setting is wrong.
        EmbeddedError: no Redis is named and the embedded one does not run.
    """
    settings = load({"redis.url": url} if url else None, endpoints=endpoints())
    return connect(settings, clock=ServerClock(), writes=False, say=lambda line: None)


def endpoints() -> dict[str, tuple[str, float]]:
    """The default base URL and timeout of every provider, as the settings take them."""
    return {name: (each.url, each.timeout_s) for name, each in DEFAULTS.items()}


def _store(arguments: Mapping[str, Any], clock: Clock, where: str) -> Store:
    client = redis.Redis(
        **arguments,
        protocol=3,
        decode_responses=True,
        socket_connect_timeout=CONNECT_TIMEOUT_S,
        socket_timeout=ANSWER_TIMEOUT_S,
        retry=Retry(NoBackoff(), 1),
        client_name="btcts",
    )
    return Store(client, clock=clock, where=where)


def _arguments(named: RedisSettings) -> dict[str, Any]:
    account = {
        "db": named.db,
        "username": named.username,
        "password": named.password.reveal() if named.password else None,
    }
    if named.scheme == "unix":
        return {"unix_socket_path": named.path, **account}
    return {"host": named.host, "port": named.port, "ssl": named.ssl, **account}


def _embedded(settings: Settings, *, writes: bool, say: Callable[[str], None]) -> Path:
    from btcts.embedded import Embedded

    embedded = Embedded(settings.embedded.data_dir, redis_server=settings.embedded.redis_server)
    if writes:
        return embedded.ensure(say)
    if not embedded.status().running:
        raise EmbeddedError(
            "no Redis is named and the embedded one does not run; run btcts collect --once, or pass --redis"
        )
    return embedded.socket
