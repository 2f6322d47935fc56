"""Connect to the Redis that the settings name: one server, the primary of Sentinels, or a cluster's for our slot."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import redis
from redis.connection import ConnectionPool

from btcts.config import RedisSettings, Secret, Settings
from btcts.config.values import CLUSTER, SENTINEL, format_node
from btcts.domain.clock import Clock
from btcts.errors import ConfigError
from btcts.store import Store
from btcts.store.connections import OPTIONS, PlainConnection, TlsConnection, UnixConnection
from btcts.store.explain import TCP, TLS
from btcts.store.link import Patience
from btcts.system.causes import describe
from btcts.system.sockets import Deadline, Dialer

if TYPE_CHECKING:
    from btcts.store.finding import Finder

READER_TIMEOUT_S = 4.0
"""Time limit of an answer for commands that start no Redis: people who wait should hear of a hung one sooner."""

PATIENCE_S = 8.0
"""Time for which a command is tried again during a failover; a cluster whose nodes notice after 3 s takes 6 s."""

ONCE_PATIENCE_S = 25.0
"""The same for a single cycle, after which nobody tries again before the next minute."""

READER_PATIENCE_S = 3.0
"""The same for commands that people wait for."""

NODE_TIMEOUT_S = 1.0
"""Time limit for a Sentinel, or a node of a cluster, to say where Redis is: there are others to ask."""


def open_named_store(
    settings: Settings, clock: Clock, dialer: Dialer, deadline: Deadline | None, *, reads: bool
) -> Store:
    """Return the store in a Redis that the settings name.

    Raises:
        ConfigError: a file for TLS cannot be used, or a replica is named for writing.
    """
    named = settings.redis
    if named.replica and not reads:
        raise ConfigError(f"{settings.origins['redis.replica']}: redis.replica is set, and a replica takes no writes")
    options = OPTIONS | {"db": named.db, "deadline": deadline} | _build_login(named.username, named.password)
    options |= {"socket_timeout": READER_TIMEOUT_S} if reads else {}
    kind: Any = UnixConnection
    place: dict[str, Any] = {"path": named.path}
    patience = None
    if named.scheme != "unix":
        options |= {"dialer": dialer} | _build_tls(settings)
        kind, place = TlsConnection if named.tls else PlainConnection, {"host": named.host, "port": named.port}
    if named.nodes:
        from btcts.store.finding import FindingConnection, FindingTlsConnection  # few need it

        limit_s = READER_PATIENCE_S if reads else PATIENCE_S if deadline is None else ONCE_PATIENCE_S
        patience = Patience(limit_s, deadline, replica=named.replica)
        find = _build_finder(settings, options).find
        options |= {"find": find, "replica": named.replica and named.kind == CLUSTER}
        kind = FindingTlsConnection if named.tls else FindingConnection
    client = build_client(kind, options, **place)
    return Store(client, settings.market, clock=clock, where=named.where, patience=patience)


def build_client(kind: Any, options: dict[str, Any], **place: Any) -> redis.Redis:
    """Return a client that closes its connections when it is closed."""
    return redis.Redis.from_pool(ConnectionPool(connection_class=kind, **place, **options))


def _build_finder(settings: Settings, options: dict[str, Any]) -> "Finder":
    """Return what asks the named nodes where Redis is; Sentinels have a login of their own or none."""
    from btcts.store.finding import Finder, ask_cluster, ask_sentinel  # few need it

    named = settings.redis
    kind = TlsConnection if named.tls else PlainConnection
    asking = options | {"db": 0, "socket_connect_timeout": NODE_TIMEOUT_S, "socket_timeout": NODE_TIMEOUT_S}
    what = "Sentinel" if named.kind == SENTINEL else "Redis"
    if named.kind == SENTINEL:
        asking |= _build_login(named.sentinel_username, named.sentinel_password)
        ask = ask_sentinel(named.service, replica=named.replica)
    else:
        ask = ask_cluster(settings.market.prefix, replica=named.replica)
    nodes = [
        (format_node((host, port)), build_client(kind, asking, host=host, port=port)) for host, port in named.nodes
    ]
    return Finder(nodes, ", ".join(where for where, _ in nodes), TLS if named.tls else TCP, what, ask)


def _build_login(username: str | None, password: Secret | None) -> dict[str, Any]:
    return {"username": username, "password": password.reveal() if password else None}


def _build_tls(settings: Settings) -> dict[str, Any]:
    """Return the files for TLS as redis-py takes them.

    Raises:
        ConfigError: one of them cannot be used.
    """
    named = settings.redis
    files = {
        "ssl_ca_certs": ("ca_file", named.ca_file),
        "ssl_certfile": ("cert_file", named.cert_file),
        "ssl_keyfile": ("key_file", named.key_file),
    }
    for name, path in files.values():
        if path is not None:
            _try_file(f"{settings.origins[f'redis.{name}']}: redis.{name}", path, named)
    return {option: str(path) for option, (_, path) in files.items() if path is not None}


def _try_file(what: str, path: Path, named: RedisSettings) -> None:
    """Load the file as TLS will do; a key with a passphrase would be asked for on the terminal."""
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        path.open("rb").close()
        if path == named.ca_file:
            context.load_verify_locations(path)
        elif named.cert_file:
            context.load_cert_chain(named.cert_file, named.key_file, password=lambda: "")
    except ssl.SSLError as exc:
        lack = "no certificate" if path == named.ca_file else "no certificate that goes with the key, or no plain key"
        raise ConfigError(f"{what} = {path} cannot be used: it holds {lack}") from exc
    except OSError as exc:
        raise ConfigError(f"{what} = {path} cannot be used ({describe(exc)})") from exc
