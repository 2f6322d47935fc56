"""Connections to servers, direct or through proxies, kept for the next request.

Every step of a connection is bound by the deadline of the request, and uses little memory.
"""

import os
import ssl
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

import certifi
import httpcore
from httpcore._backends.sync import SyncStream  # the stream of httpcore.SyncBackend, which takes no socket

from btcts.errors import ConfigError
from btcts.providers.addresses import Address, Proxy, choose_proxy
from btcts.system.causes import describe
from btcts.system.sockets import Dialer

LARGEST_HEAD = 16_384
"""Most bytes of an incomplete response head, and per read: parsing a head takes 250 times its size in memory."""

KEEP_ALIVE_S = 90
"""Candles are asked for once a minute beside the prices, over a connection of their own that waits for its turn."""

_TRUST = ("SSL_CERT_FILE", "SSL_CERT_DIR", "SSLKEYLOGFILE")
"""The variables that `_create_trust` and `ssl.create_default_context` read."""

httpcore.HTTP11Connection.MAX_INCOMPLETE_EVENT_SIZE = LARGEST_HEAD


@dataclass(slots=True)
class Attempt:
    """A request under way: its deadline by the monotonic clock, and the connection opened for it if none was kept."""

    until: float
    opened: httpcore.NetworkStream | None = None


_ATTEMPT: ContextVar[Attempt] = ContextVar("attempt")


class Connections:
    """One pool of connections for direct requests, and one per proxy."""

    def __init__(self, dialer: Dialer) -> None:
        self._dialer = dialer
        self._trust = _create_trust()
        self._pools: dict[Proxy | None, httpcore.ConnectionPool] = {}
        self._chosen: dict[tuple[str, str, int], Proxy | None] = {}
        self._lock = Lock()

    def choose(self, address: Address) -> Proxy | None:
        """Return the proxy for an address, as the environment named it before the last failure there.

        Raises:
            ConfigError: the environment names an unusable one.
        """
        origin = address.scheme, address.host, address.find_port()
        known = self._chosen.get(origin, "unknown")
        if isinstance(known, str):
            known = self._chosen[origin] = choose_proxy(address)
        return known

    @contextmanager
    def send(self, request: httpcore.Request, proxy: Proxy | None, attempt: Attempt) -> Iterator[httpcore.Response]:
        """Send the request, and yield the response, whose body is read within the block.

        Raises:
            Exception: those of httpcore, and through a SOCKS proxy any.
        """
        token = _ATTEMPT.set(attempt)
        try:
            response = self._find_pool(proxy).handle_request(request)
            try:
                yield response
            finally:
                response.close()
        except BaseException:
            self._chosen.clear()
            if attempt.opened:  # httpcore leaves it open after a failed handshake with a SOCKS proxy
                attempt.opened.close()
            raise
        finally:
            _ATTEMPT.reset(token)

    def close(self) -> None:
        """Close all connections."""
        for pool in self._pools.values():
            pool.close()

    def _find_pool(self, proxy: Proxy | None) -> httpcore.ConnectionPool:
        with self._lock:
            if proxy not in self._pools:
                self._pools[proxy] = httpcore.ConnectionPool(
                    ssl_context=self._trust,
                    proxy=self._describe(proxy) if proxy else None,
                    max_connections=None,
                    keepalive_expiry=KEEP_ALIVE_S,
                    network_backend=_Backend(self._dialer, proxy),
                )
            return self._pools[proxy]

    def _describe(self, proxy: Proxy) -> httpcore.Proxy:
        host, login = proxy.address.host, proxy.address.login
        place = httpcore.URL(scheme=proxy.protocol, host=host, port=proxy.address.port, target="/")
        auth = (login[0].encode(), login[1].encode()) if login else None
        return httpcore.Proxy(place, auth=auth, ssl_context=self._trust if proxy.protocol == "https" else None)


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
        """Connect before the deadline of the request; the other arguments are ignored."""
        attempt = _ATTEMPT.get()
        try:
            connection = self._dialer.dial(host, port, _limit_step(httpcore.ConnectTimeout))
        except TimeoutError as exc:
            raise httpcore.ConnectTimeout(self._explain(exc)) from exc
        except OSError as exc:
            raise httpcore.ConnectError(self._explain(exc)) from exc
        attempt.opened = Stream(SyncStream(connection))
        return attempt.opened

    def _explain(self, exc: OSError) -> str:
        return f"{self._proxy}: {describe(exc)}" if self._proxy else str(exc)


class Stream(httpcore.NetworkStream):
    """A connection that keeps to the deadline of the request that uses it; time-outs of single steps are ignored."""

    def __init__(self, inner: httpcore.NetworkStream) -> None:
        self._inner = inner

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Read the next bytes."""
        return self._inner.read(min(max_bytes, LARGEST_HEAD), _limit_step(httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Write the bytes."""
        self._inner.write(buffer, _limit_step(httpcore.WriteTimeout))

    def close(self) -> None:
        """Close the connection."""
        self._inner.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> "Stream":
        """Return the connection, encrypted from now on."""
        return Stream(self._inner.start_tls(ssl_context, server_hostname, _limit_step(httpcore.ConnectTimeout)))

    def get_extra_info(self, info: str) -> Any:
        """Return details of the socket for httpcore."""
        return self._inner.get_extra_info(info)


def _limit_step(late: type[Exception]) -> float:
    """Return the seconds left for a step.

    Raises:
        `late`: the deadline has passed.
    """
    left_s = _ATTEMPT.get().until - time.monotonic()
    if left_s <= 0:
        raise late("the time is up")
    return left_s


def _create_trust() -> ssl.SSLContext:
    for name in _TRUST:
        if Path(os.environ.get(name, "")).is_fifo():
            raise ConfigError(f"{name} cannot be used (it names a pipe); correct or unset it")
    file, folder = os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR")
    try:
        if folder and not file:
            return ssl.create_default_context(capath=folder)
        return ssl.create_default_context(cafile=file or certifi.where())
    except (OSError, ValueError) as exc:
        named = " or ".join(name for name in _TRUST if os.environ.get(name)) or "the list of authorities"
        reason = describe(exc) if isinstance(exc, OSError) and exc.strerror else "no certificates in it"
        raise ConfigError(f"{named} cannot be used ({reason}); correct or unset it") from exc
