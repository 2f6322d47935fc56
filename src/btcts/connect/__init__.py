"""Connect to what the settings choose: a configured Redis or the embedded one, and the providers."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from os.path import realpath
from pathlib import Path
from typing import TYPE_CHECKING

from btcts.config import DEFAULT, SIMULATED, RedisSettings, Settings, load
from btcts.connect.named import READER_TIMEOUT_S, build_client, open_named_store
from btcts.domain.clock import Clock, ServerClock
from btcts.domain.layout import Market
from btcts.embedded import Embedded
from btcts.errors import EmbeddedError
from btcts.providers import Endpoint, default_endpoints, open_providers
from btcts.store import EMBEDDED, Store
from btcts.store.connections import OPTIONS, EmbeddedConnection
from btcts.system.sockets import Deadline, Dialer

if TYPE_CHECKING:
    from btcts.providers.poller import Poller
    from btcts.providers.streams.stream import Streams

LOOPBACK = ("127.0.0.1", "localhost", "::1")


def connect(
    settings: Settings,
    *,
    clock: Clock,
    starts_embedded: bool,
    say: Callable[[str], None],
    dialer: Dialer | None = None,
    deadline: Deadline | None = None,
) -> Store:
    """Return the store that the settings choose; nothing is sent to it before its first use.

    When no Redis is configured, the embedded one is used. With `starts_embedded` it is installed here, started at the
    first use, reported through `say`, and any answer is waited for as long as a rebuild may take. Otherwise, for
    reading and tidying, it has to run already, and a Redis that hangs is given up sooner. A server that does not answer
    raises at the first use, not here, so that `collect` can spool its prices first. No wait outlasts the deadline.

    Raises:
        EmbeddedError: the embedded Redis cannot be installed, or does not run and is not to be started.
    """
    if settings.redis.url is not None:
        return open_named_store(settings, clock, dialer or Dialer(), deadline, reads=not starts_embedded)
    embedded = Embedded(settings.embedded.data_dir, redis_server=settings.embedded.redis_server)
    if starts_embedded:
        embedded.prepare(say)
        return open_embedded_store(embedded, settings.market, clock=clock, say=say, deadline=deadline)
    known = embedded.status()
    if known.pid and not known.running:
        raise EmbeddedError(
            f"process {known.pid} has the lock of the embedded Redis and does not answer; "
            f"see {known.data_dir}/redis.log, then end that process, or pass --redis"
        )
    if not known.running:
        step = "btcts server start" if known.stopped else "btcts collect --once"
        raise EmbeddedError(f"no Redis is named and the embedded one does not run; run {step}, or pass --redis")
    return open_embedded_store(embedded, settings.market, clock=clock)


def open_embedded_store(
    embedded: Embedded,
    market: Market,
    *,
    clock: Clock,
    say: Callable[[str], None] | None = None,
    deadline: Deadline | None = None,
) -> Store:
    """Return the store of an embedded redis-server; with `say` the server is restarted whenever it has died."""
    limit = deadline or Deadline()  # without a limit
    client = build_client(
        EmbeddedConnection,
        OPTIONS | ({} if say else {"socket_timeout": READER_TIMEOUT_S}),
        path=str(embedded.socket),
        revive=(lambda: embedded.ensure(say, within_s=limit.left_s)) if say else (lambda: None),
        deadline=deadline,
    )
    return Store(client, market, clock=clock, where=EMBEDDED)


def open_store(url: str | None = None) -> Store:
    """Open the store at `url` (redis://, rediss://, unix://, ...), or the configured one, for reading.

    Read it with `latest()`, `slots(resolution)` and `ticks(span)`. Use it in a `with` block, or `close()` it.

    Raises:
        ConfigError: a setting is wrong.
        EmbeddedError: no Redis is configured and the embedded one is not running.
    """
    settings = load({"redis.url": url} if url else None, endpoints=default_endpoints())
    return connect(settings, clock=ServerClock(), starts_embedded=False, say=lambda line: None)


@contextmanager
def open_poller(settings: Settings, *, clock: Clock) -> Iterator["Poller"]:
    """Open the providers that the settings choose, and yield what asks them.

    Raises:
        ConfigError: no provider has one of the names, or they do not know the market.
    """
    from btcts.providers.poller import Poller  # costly, and of no use to commands that only read

    endpoints = {name: Endpoint(setting.url, setting.timeout_s) for name, setting in settings.providers.items()}
    api_key = settings.api_key.reveal() if settings.api_key else None
    with (
        open_providers(
            settings.collect.providers, endpoints, market=settings.market, clock=clock, api_key=api_key
        ) as providers,
        Poller(providers) as poller,
    ):
        yield poller


@contextmanager
def open_streams(settings: Settings, *, clock: Clock) -> Iterator["Streams | None"]:
    """Run the streams of the chosen providers, and yield what they bring; None if the settings leave no stream.

    A provider whose `url` is set, and its `stream_url` not, has none: a mirror and the exchange may differ.

    Raises:
        ConfigError: the environment names an unusable proxy or unusable certificates.
    """
    urls = {name: _find_stream_url(settings, name) for name in settings.collect.providers}
    if not settings.collect.streams or not any(urls.values()):
        yield None
        return
    from btcts.providers.streams import run_streams  # costly, and of no use to other commands

    endpoints = {name: Endpoint("", settings.providers[name].timeout_s, url) for name, url in urls.items() if url}
    with run_streams(endpoints, now_ms=clock.now_ms) as streams:
        yield streams


def _find_stream_url(settings: Settings, name: str) -> str:
    chosen = {part for part in ("url", "stream_url") if settings.origins.get(f"providers.{name}.{part}") != DEFAULT}
    return settings.providers[name].stream_url if name in settings.providers and chosen != {"url"} else ""


def find_spool_folders(settings: Settings) -> tuple[Path, ...]:
    """Return the spool folders of this store, the current one first.

    Markets have separate folders, and so have simulated and real prices.
    Folders under another spelling of the same address are included. So is the folder that earlier versions used for
    every store, unless the embedded Redis owns it.
    """
    data_dir, kind = settings.embedded.data_dir, _choose_kind_suffix(settings)
    names = {f"spool{kind}{_format_store_suffix(spelling)}": None for spelling in _list_spellings(settings.redis)}
    if not os.access(data_dir / "db", os.F_OK):
        names[f"spool{kind}"] = None
    return tuple(data_dir / name for name in names)


def _list_spellings(named: RedisSettings) -> Iterator[RedisSettings]:
    """Yield the configured address, then other spellings of it."""
    if named.nodes:  # they come and go
        yield from (named._replace(nodes=(node,)) for node in named.nodes)
        return
    yield named
    if named.scheme == "unix":
        yield named._replace(path=realpath(named.path))
    for host in (named.host.lower(), *(LOOPBACK if named.host.lower() in LOOPBACK else ())):
        yield named._replace(host=host)


def locate_memory_file(settings: Settings) -> Path:
    """Return the file in which a run leaves state for the next one while Redis is unreachable."""
    return settings.embedded.data_dir / f"providers{_choose_kind_suffix(settings)}.json"


def _choose_kind_suffix(settings: Settings) -> str:
    return settings.market.file_suffix + ("-simulated" if SIMULATED in settings.collect.providers else "")


def _format_store_suffix(named: RedisSettings) -> str:
    """Return a suffix that is unique to a configured store; empty for the embedded one, which has its own directory."""
    if named.url is None:
        return ""
    return "-" + sha256(f"{named.where}, database {named.db}".encode(errors="surrogatepass")).hexdigest()[:16]
