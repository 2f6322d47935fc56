"""From the settings to a store: a Redis that is named, or the embedded one."""

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from hashlib import sha256
from os.path import realpath
from pathlib import Path
from socket import IPPROTO_TCP, SO_KEEPALIVE, SOL_SOCKET, socket
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.connection import Connection, ConnectionPool, SSLConnection, UnixDomainSocketConnection
from redis.retry import Retry

from btcts.config import SIMULATED, RedisSettings, Settings, load
from btcts.domain.clock import Clock, ServerClock
from btcts.embedded import Embedded
from btcts.errors import EmbeddedError
from btcts.providers import default_endpoints
from btcts.store import EMBEDDED, Store
from btcts.system.deadline import Deadline, TimelySocket
from btcts.system.dialing import Dialer

CONNECT_TIMEOUT_S = 3.0

LOOPBACK = ("127.0.0.1", "localhost", "::1")

ANSWER_TIMEOUT_S = 10.0
"""A rebuild, the longest command, takes about 0.1 s; a server that swaps or forks may need longer."""

READER_TIMEOUT_S = 4.0
"""The same for commands that only read: whoever looks wants to know of a Redis that hangs before 10 s are over."""


def connect(
    settings: Settings,
    *,
    clock: Clock,
    writes: bool,
    say: Callable[[str], None],
    dialer: Dialer | None = None,
    deadline: Deadline | None = None,
) -> Store:
    """The store that the settings name; nothing is sent to it before its first use.

    When no Redis is named the embedded one is used: commands that write install it here and start it at the first
    use, and `say` so; commands that read only find it. A server that was stopped, or does not answer, is met at the
    first use as well: by then `collect` has somewhere else to keep a price. Nothing is waited for beyond the deadline.

    Raises:
        EmbeddedError: the embedded Redis cannot be installed, or does not run and only a command that writes starts it.
    """
    if settings.redis.url is not None:
        address = _build_address(settings.redis, dialer or Dialer())
        kind = _CLASSES[settings.redis.scheme]
        options = _OPTIONS | ({} if writes else {"socket_timeout": READER_TIMEOUT_S})
        pool = ConnectionPool(connection_class=kind, deadline=deadline, **address, **options)
        return Store(redis.Redis(connection_pool=pool), clock=clock, where=settings.redis.where)
    embedded = Embedded(settings.embedded.data_dir, redis_server=settings.embedded.redis_server)
    if writes:
        embedded.prepare(say)
        return open_embedded_store(embedded, clock=clock, say=say, deadline=deadline)
    known = embedded.status()
    if known.pid and not known.running:
        raise EmbeddedError(
            f"process {known.pid} has the lock of the embedded Redis and does not answer; "
            f"see {known.data_dir}/redis.log, then end that process, or pass --redis"
        )
    if not known.running:
        step = "btcts server start" if known.stopped else "btcts collect --once"
        raise EmbeddedError(f"no Redis is named and the embedded one does not run; run {step}, or pass --redis")
    return open_embedded_store(embedded, clock=clock)


def open_embedded_store(
    embedded: Embedded, *, clock: Clock, say: Callable[[str], None] | None = None, deadline: Deadline | None = None
) -> Store:
    """The store of an embedded redis-server, which with `say` is started again whenever it is found dead."""
    limit = deadline or Deadline()  # which never comes
    pool = ConnectionPool(
        connection_class=_EmbeddedConnection,
        path=str(embedded.socket),
        revive=(lambda: embedded.ensure(say, within_s=limit.left_s)) if say else (lambda: None),
        deadline=deadline,
        **_OPTIONS | ({} if say else {"socket_timeout": READER_TIMEOUT_S}),
    )
    return Store(redis.Redis(connection_pool=pool), clock=clock, where=EMBEDDED)


def open_store(url: str | None = None) -> Store:
    """The store at `url` (redis://, rediss:// or unix://), or the one that environment and files name, to read from.

    `latest()`, `slots(resolution)` and `ticks(span)` answer from it. Use it in a `with` block, or `close()` it.

    Raises:
        ConfigError: a setting is wrong.
        EmbeddedError: no Redis is named and the embedded one does not run.
    """
    settings = load({"redis.url": url} if url else None, endpoints=default_endpoints())
    return connect(settings, clock=ServerClock(), writes=False, say=lambda line: None)


def find_spool_folders(settings: Settings) -> tuple[Path, ...]:
    """The folders where prices wait for this store alone, the one of now first; simulated ones never meet real ones.

    What waits under another spelling of the same address is found too. So is what an earlier version left in the place
    of the embedded Redis, where there is none.
    """
    data_dir, kind = settings.embedded.data_dir, _choose_kind_suffix(settings)
    names = {f"spool{kind}{_format_store_suffix(spelling)}": None for spelling in _list_spellings(settings.redis)}
    if not os.access(data_dir / "db", os.F_OK):
        names[f"spool{kind}"] = None
    return tuple(data_dir / name for name in names)


def _list_spellings(named: RedisSettings) -> Iterator[RedisSettings]:
    """The address as it is named, and other ways to write it."""
    yield named
    if named.scheme == "unix":
        yield replace(named, path=realpath(named.path))
    for host in (named.host.lower(), *(LOOPBACK if named.host.lower() in LOOPBACK else ())):
        yield replace(named, host=host)


def locate_memory_file(settings: Settings) -> Path:
    """Where a run leaves to the next one what Redis could not be told."""
    return settings.embedded.data_dir / f"providers{_choose_kind_suffix(settings)}.json"


def _choose_kind_suffix(settings: Settings) -> str:
    return "-simulated" if SIMULATED in settings.collect.providers else ""


def _format_store_suffix(named: RedisSettings) -> str:
    """Tells a store that is named from others; the embedded one has its data directory to itself."""
    if named.url is None:
        return ""
    return "-" + sha256(f"{named.where}, database {named.db}".encode(errors="surrogatepass")).hexdigest()[:16]


def _build_address(named: RedisSettings, dialer: Dialer) -> dict[str, Any]:
    host = {"host": named.host, "port": named.port, "dialer": dialer}
    place = {"path": named.path} if named.scheme == "unix" else host
    password = named.password.reveal() if named.password else None
    return {**place, "db": named.db, "username": named.username, "password": password}


class _Timely:
    """What a connection inherits from first to wait for nothing beyond a deadline, where there is one."""

    def __init__(self, *, deadline: Deadline | None, **options: Any) -> None:
        super().__init__(**options)
        self._deadline = deadline

    def _connect(self) -> Any:
        if self._deadline is None:
            return super()._connect()  # type: ignore[misc]
        self.socket_connect_timeout = self._deadline.limit(CONNECT_TIMEOUT_S)
        self.socket_timeout = self._deadline.limit(ANSWER_TIMEOUT_S)
        connection = TimelySocket(super()._connect(), self._deadline)  # type: ignore[misc]
        connection.settimeout(ANSWER_TIMEOUT_S)
        return connection


class _UnixConnection(_Timely, UnixDomainSocketConnection):
    """A connection to a server on this machine."""


class _EmbeddedConnection(_UnixConnection):
    """A connection to a server that may have been killed, and then lives again."""

    def __init__(self, *, revive: Callable[[], object], **options: Any) -> None:
        super().__init__(**options)
        self._revive = revive

    def connect(self) -> None:
        """Connect, after the server was brought back to life where that is needed."""
        if not self.is_connected:
            self._revive()
        super().connect()  # type: ignore[no-untyped-call]


class _DialedConnection(Connection):
    """A connection that races the addresses of its host."""

    def __init__(self, *, dialer: Dialer, **options: Any) -> None:
        super().__init__(**options)  # type: ignore[no-untyped-call]
        self._dialer = dialer

    def _connect(self) -> socket:
        keep_alive = [(IPPROTO_TCP, name, value) for name, value in self.socket_keepalive_options.items()]
        options = [(SOL_SOCKET, SO_KEEPALIVE, 1), *keep_alive]
        limit_s = self.socket_connect_timeout or CONNECT_TIMEOUT_S
        connection = self._dialer.dial(self.host, self.port, limit_s, options)
        connection.settimeout(self.socket_timeout)
        return connection


class _PlainConnection(_Timely, _DialedConnection):
    """A connection without TLS."""


class _TlsConnection(_Timely, SSLConnection, _DialedConnection):
    """A connection with TLS, which `SSLConnection` puts upon that of the next class."""


_CLASSES = {"redis": _PlainConnection, "rediss": _TlsConnection, "unix": _UnixConnection}

_OPTIONS: dict[str, Any] = {
    "protocol": 3,
    "decode_responses": True,
    "encoding_errors": "replace",  # keys of others may have any bytes
    "socket_connect_timeout": CONNECT_TIMEOUT_S,
    "socket_timeout": ANSWER_TIMEOUT_S,
    # For a server that was started anew; one that does not answer in time would only take twice as long.
    "retry": Retry(NoBackoff(), 1, supported_errors=(redis.ConnectionError,)),
    "client_name": "btcts",
}
