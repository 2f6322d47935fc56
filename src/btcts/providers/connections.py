"""Connections to servers, direct or through proxies, kept for the next request.

Every step of a connection is bound by the deadline of the request, and uses little memory.
"""

import ssl
import time
from base64 import b64encode
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from threading import Lock
from typing import Any

import httpcore
from httpcore._backends.sync import SyncStream  # the stream of httpcore.SyncBackend, which takes no socket

from btcts.providers.addresses import Address, Proxy, choose_proxy
from btcts.providers.base import quote_line
from btcts.providers.trust import load_trust
from btcts.system.causes import classify, describe
from btcts.system.sockets import Dialer

LARGEST_HEAD = 16_384
"""Most bytes of an incomplete response head, and per read: parsing a head takes 250 times its size in memory."""

KEEP_ALIVE_S = 90
"""Longer than a minute: the second connection, for the candles beside the prices, is used once a minute."""

SWITCHED = 101
"""The status of a response after which the connection speaks the other protocol that was asked for."""

SLOW = "slow"
"""The code of a failure to answer in time."""

httpcore.HTTP11Connection.MAX_INCOMPLETE_EVENT_SIZE = LARGEST_HEAD

_BROKEN = httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError

Header = tuple[bytes, bytes]


@dataclass(slots=True)
class _Attempt:
    """A request under way: its deadline by the monotonic clock, and the connection opened for it if none was kept.

    `heard` once the server has sent something since it began.
    """

    until: float
    opened: httpcore.NetworkStream | None = None
    heard: bool = False


_ATTEMPT: ContextVar[_Attempt] = ContextVar("attempt")


class Unanswered(Exception):
    """No usable reply has come.

    `code` is one of docs/codes.md where the failure may affect other addresses too, or `SLOW`. The connection was
    `lost` if it was kept from an earlier request and the server has closed or spoiled it meanwhile.
    """

    def __init__(self, why: str, code: str = "", *, lost: bool = False) -> None:
        super().__init__(why)
        self.why = why
        self.code = code
        self.lost = lost


class Connections:
    """One pool of connections for direct requests, and one per proxy; no connection is kept once they are `closed`."""

    def __init__(self, dialer: Dialer) -> None:
        self.closed = False
        self._dialer = dialer
        self._trust = load_trust()
        self._trust.sslsocket_class = _TlsSocket
        self._pools: dict[Proxy | None, httpcore.ConnectionPool] = {}
        self._chosen: dict[tuple[str, str, int], Proxy | None] = {}
        self._lock = Lock()

    def choose(self, address: Address) -> Proxy | None:
        """Return the proxy for an address, as the environment named it before the last failure there.

        Raises:
            ConfigError: the environment names an unusable one.
        """
        origin = address.scheme, address.host, address.find_port()
        with suppress(KeyError):
            return self._chosen[origin]
        proxy = self._chosen[origin] = choose_proxy(address)
        return proxy

    @contextmanager
    def send(
        self, method: str, address: Address, headers: Iterable[Header], content: bytes | None, *, until: float
    ) -> Iterator[httpcore.Response]:
        """Send a request, and yield the response, whose body is read within the block; both end at `until`.

        A refusal counts although its body breaks off, as its headers may ask to wait.
        After a response with the status `SWITCHED`, the connection belongs to the caller, who closes it.

        Raises:
            Unanswered: there is no response in time, or the body of a good one breaks off.
        """
        attempt, proxy = _Attempt(until), self.choose(address)
        token = _ATTEMPT.set(attempt)
        try:
            response = self._find_pool(proxy).handle_request(_build_request(method, address, headers, content))
            if not attempt.heard:  # it came together with the answer to an earlier request
                response.close()
                raise Unanswered("the server had answered before it was asked", lost=True)
            try:
                yield response
            except (Unanswered, *_BROKEN):
                if response.status in (200, SWITCHED):
                    raise
            finally:
                if response.status != SWITCHED:
                    response.close()
                    if self.closed and attempt.opened:
                        attempt.opened.close()
        except BaseException as exc:
            self._chosen.clear()
            if attempt.opened:  # httpcore leaves it open after a failed handshake with a SOCKS proxy
                attempt.opened.close()
            failure = _explain(exc, proxy, opened=attempt.opened is not None)
            if failure is None:
                raise
            raise failure from exc
        finally:
            _ATTEMPT.reset(token)

    def close(self) -> None:
        """Close all connections; those that are being opened close after their request."""
        self.closed = True
        for pool in self._pools.values():
            pool.close()

    def _find_pool(self, proxy: Proxy | None) -> httpcore.ConnectionPool:
        with self._lock:
            if proxy not in self._pools:
                self._pools[proxy] = httpcore.ConnectionPool(
                    ssl_context=self._trust,
                    proxy=self._build_proxy(proxy) if proxy else None,
                    max_connections=None,
                    keepalive_expiry=KEEP_ALIVE_S,
                    network_backend=_Backend(self._dialer),
                )
            return self._pools[proxy]

    def _build_proxy(self, proxy: Proxy) -> httpcore.Proxy:
        host, login = proxy.address.host, proxy.address.login
        place = httpcore.URL(scheme=proxy.protocol, host=host, port=proxy.address.port, target="/")
        auth = (login[0].encode(), login[1].encode()) if login else None
        return httpcore.Proxy(place, auth=auth, ssl_context=self._trust if proxy.protocol == "https" else None)


def _build_request(method: str, address: Address, headers: Iterable[Header], content: bytes | None) -> httpcore.Request:
    own = [(b"Host", address.place.encode())]
    if address.login:
        own.append((b"Authorization", b"Basic " + b64encode(":".join(address.login).encode())))
    if content is not None:
        own.append((b"Content-Length", str(len(content)).encode()))
    url = httpcore.URL(scheme=address.scheme, host=address.host, port=address.port, target=address.target)
    return httpcore.Request(method, url, headers=[*own, *headers], content=content)


class _Backend(httpcore.SyncBackend):
    """Opens connections with a dialer."""

    def __init__(self, dialer: Dialer) -> None:
        self._dialer = dialer

    def connect_tcp(self, host: str, port: int, *_: Any, **__: Any) -> httpcore.NetworkStream:
        """Connect before the deadline of the request; the other arguments are ignored."""
        attempt = _ATTEMPT.get()
        try:
            connection = self._dialer.dial(host, port, _limit_step(httpcore.ConnectTimeout))
        except TimeoutError as exc:
            raise httpcore.ConnectTimeout from exc
        except OSError as exc:
            raise httpcore.ConnectError from exc
        attempt.opened = _Stream(SyncStream(connection))
        return attempt.opened


class _Stream(httpcore.NetworkStream):
    """A connection that keeps to the deadline of the request that uses it; time-outs of single steps are ignored."""

    def __init__(self, inner: httpcore.NetworkStream) -> None:
        self._inner = inner

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Read the next bytes."""
        got = self._inner.read(min(max_bytes, LARGEST_HEAD), _limit_step(httpcore.ReadTimeout))
        _ATTEMPT.get().heard = True
        return got

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Write the bytes."""
        self._inner.write(buffer, _limit_step(httpcore.WriteTimeout))

    def close(self) -> None:
        """Close the connection."""
        self._inner.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> "_Stream":
        """Return the connection, encrypted from now on."""
        secured = _Stream(self._inner.start_tls(ssl_context, server_hostname, _limit_step(httpcore.ConnectTimeout)))
        _ATTEMPT.get().opened = secured
        return secured

    def get_extra_info(self, info: str) -> Any:
        """Return details of the socket for httpcore."""
        return self._inner.get_extra_info(info)


class _TlsSocket(ssl.SSLSocket):
    """A TLS connection whose reads keep to the deadline: for TLS within it, httpcore makes several in one step."""

    def recv(self, *arguments: Any) -> bytes:
        """Receive like `SSLSocket.recv`."""
        self.settimeout(_limit_step(TimeoutError))
        return super().recv(*arguments)


def _limit_step(late: type[Exception]) -> float:
    """Return the seconds left for a step.

    Raises:
        `late`: the deadline has passed.
    """
    left_s = _ATTEMPT.get().until - time.monotonic()
    if left_s <= 0:
        raise late("the time is up")
    return left_s


@contextmanager
def limit_steps(seconds: float) -> Iterator[None]:
    """Bind the steps on a connection that the caller has taken over.

    Raises:
        Unanswered: it has failed; its code is `SLOW` if only the time is up.
    """
    token = _ATTEMPT.set(_Attempt(time.monotonic() + seconds))
    try:
        yield
    except _BROKEN as exc:
        raise (_explain(exc, None, opened=True) or exc) from exc
    finally:
        _ATTEMPT.reset(token)


def _explain(exc: BaseException, proxy: Proxy | None, *, opened: bool) -> Unanswered | None:
    """Return the reason for the lack of a reply; None for an exception that is one, or is no failure to connect."""
    match exc:
        case httpcore.TimeoutException():
            return Unanswered("no answer in time", SLOW)
        case httpcore.ProxyError():
            return Unanswered(f"{proxy}: {quote_line(str(exc).encode()).lower()}", "proxy")
        case httpcore.ConnectError() if proxy and not opened:
            return Unanswered(f"{proxy}: {describe(exc)}", "proxy")
        case httpcore.ConnectError() | UnicodeError():
            return Unanswered(_describe(exc), "proxy" if proxy else classify(exc) or "")
        case httpcore.ReadError() | httpcore.WriteError() | httpcore.RemoteProtocolError():
            return Unanswered(_describe(exc), lost=not opened)
        case httpcore.ProtocolError() | httpcore.UnsupportedProtocol():
            return Unanswered(_describe(exc))
        case Exception() if proxy and not isinstance(exc, Unanswered | MemoryError):  # of httpcore and socksio
            return Unanswered(f"{proxy} does not speak its protocol", "proxy")
    return None


def _describe(exc: BaseException) -> str:
    """Describe the lack of a reply; some failures get a fixed text because theirs may contain a header."""
    match exc:
        case httpcore.RemoteProtocolError():
            return "the server closed the connection, or its answer is not HTTP"
        case httpcore.UnsupportedProtocol():
            return "the address is neither http nor https"
        case httpcore.LocalProtocolError():
            return "a header of the request has characters that are not allowed"
        case UnicodeError():
            return "that is not a valid host name"
    return describe(exc)
