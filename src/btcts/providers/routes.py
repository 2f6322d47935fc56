"""The HTTP transport: raced connections, direct or through the configured proxies."""

import os
import ssl
import threading
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpcore
import httpx
from httpcore._backends.sync import SyncStream  # the stream of httpcore.SyncBackend, which takes no socket

from btcts.errors import ConfigError
from btcts.providers.deadlines import Stream, limit_wait
from btcts.providers.proxies import Proxy, choose_proxy
from btcts.system.causes import describe
from btcts.system.dialing import Dialer
from btcts.system.foreign import cite

_LONGEST_S = 60.0
"""Default time limit of a connection."""

_TRUST = ("SSL_CERT_FILE", "SSL_CERT_DIR", "SSLKEYLOGFILE")
"""The variables that `httpx.create_ssl_context` reads."""


class Routes(httpx.BaseTransport):
    """One connection pool for direct requests, and one per proxy."""

    def __init__(self, keep_alive_s: float, dialer: Dialer) -> None:
        self._keep_alive_s = keep_alive_s
        self._dialer = dialer
        self._trust = _create_trust()
        self._pools: dict[Proxy | None, _Pooled] = {}
        self._lock = threading.Lock()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send the request, directly or through its proxy."""
        proxy = choose_proxy(request.url)
        pool = self._find_pool(proxy)
        if proxy is None:
            return pool.handle_request(request)
        request.extensions["trace"] = _SocksTrace()
        try:
            return pool.handle_request(request)
        except httpx.ProxyError as exc:
            raise httpx.ConnectError(f"{proxy}: {cite(str(exc), 80).lower()}") from exc
        except httpx.HTTPError:
            raise
        except Exception as exc:  # raised by httpcore and socksio for bad answers of a SOCKS proxy
            raise httpx.ConnectError(f"{proxy} does not speak its protocol") from exc

    def close(self) -> None:
        """Close all connections."""
        for pool in self._pools.values():
            pool.close()

    def _find_pool(self, proxy: Proxy | None) -> "_Pooled":
        with self._lock:
            if proxy not in self._pools:
                self._pools[proxy] = self._open_pool(proxy)
            return self._pools[proxy]

    def _open_pool(self, proxy: Proxy | None) -> "_Pooled":
        pool = httpcore.ConnectionPool(
            ssl_context=self._trust,
            proxy=self._describe(proxy) if proxy else None,
            max_connections=None,
            keepalive_expiry=self._keep_alive_s,
            network_backend=_Backend(self._dialer, proxy),
        )
        return _Pooled(pool)

    def _describe(self, proxy: Proxy) -> httpcore.Proxy:
        url = proxy.url
        login = (url.username.encode(), url.password.encode()) if url.userinfo else None
        place = httpcore.URL(scheme=proxy.protocol, host=url.raw_host, port=url.port, target=b"/")
        return httpcore.Proxy(place, auth=login, ssl_context=self._trust if proxy.protocol == "https" else None)


def open_routes(urls: Iterable[str | httpx.URL], *, keep_alive_s: float, dialer: Dialer | None = None) -> Routes:
    """Return the transport for requests to `urls` and elsewhere.

    Raises:
        ConfigError: the environment names an unusable proxy for one of them, or an unusable certificate file.
    """
    for url in urls:
        with suppress(httpx.InvalidURL):  # reported when it is requested
            choose_proxy(httpx.URL(url))
    return Routes(keep_alive_s, dialer or Dialer())


def _create_trust() -> ssl.SSLContext:
    for name in _TRUST:
        if Path(os.environ.get(name, "")).is_fifo():
            raise ConfigError(f"{name} cannot be used (it names a pipe); correct or unset it")
    try:
        return httpx.create_ssl_context()
    except (OSError, ValueError) as exc:
        named = " or ".join(name for name in _TRUST if os.environ.get(name)) or "the list of authorities"
        reason = describe(exc) if isinstance(exc, OSError) and exc.strerror else "no certificates in it"
        raise ConfigError(f"{named} cannot be used ({reason}); correct or unset it") from exc


class _Pooled(httpx.HTTPTransport):
    """The transport of httpx on our own pool, since httpx does not accept a network backend."""

    def __init__(self, pool: httpcore.ConnectionPool) -> None:
        self._pool = pool


class _Backend(httpcore.SyncBackend):
    """Opens connections with a dialer; with a `proxy`, all of them go there."""

    def __init__(self, dialer: Dialer, proxy: Proxy | None) -> None:
        self._dialer = dialer
        self._proxy = proxy

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        """Connect; the local address and socket options are ignored."""
        try:
            limit_s = limit_wait(timeout, httpcore.ConnectTimeout) or _LONGEST_S
            return Stream(SyncStream(self._dialer.dial(host, port, limit_s)))
        except TimeoutError as exc:
            raise httpcore.ConnectTimeout(self._explain(exc)) from exc
        except OSError as exc:
            raise httpcore.ConnectError(self._explain(exc)) from exc

    def _explain(self, exc: OSError) -> str:
        return f"{self._proxy}: {describe(exc)}" if self._proxy else str(exc)


class _SocksTrace:
    """Closes a connection to a SOCKS proxy after a failed handshake, which httpcore leaves open."""

    def __init__(self) -> None:
        self._stream: httpcore.NetworkStream | None = None

    def __call__(self, event: str, info: Mapping[str, Any]) -> None:
        if event == "socks.connect_tcp.complete":
            self._stream = info["return_value"]
        elif event == "socks.setup_socks5_connection.failed" and self._stream:
            self._stream.close()
