"""Connections to one Redis by TCP, TLS or a Unix socket, with a deadline; `finding` finds the one of several."""

from collections.abc import Callable
from socket import IPPROTO_TCP, SO_KEEPALIVE, SOL_SOCKET, socket
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.connection import Connection, SSLConnection, UnixDomainSocketConnection
from redis.retry import Retry

from btcts.system.sockets import Deadline, Dialer, TimelySocket

CONNECT_TIMEOUT_S = 3.0

ANSWER_TIMEOUT_S = 10.0
"""The longest command, a rebuild, takes about 0.1 s; a server that swaps or forks needs longer."""

OPTIONS: dict[str, Any] = {
    "protocol": 3,
    "decode_responses": True,
    "encoding_errors": "replace",  # foreign keys may contain any bytes
    "socket_connect_timeout": CONNECT_TIMEOUT_S,
    "socket_timeout": ANSWER_TIMEOUT_S,
    # Retry after a server restart, but not after a timeout: that would only double the wait.
    "retry": Retry(NoBackoff(), 1, supported_errors=(redis.ConnectionError,)),
    "client_name": "btcts",
    "driver_info": redis.DriverInfo(lib_version=redis.__version__),  # it would search the installed packages for it
}


class _Timely:
    """Mixin that goes before the class of a connection: no call waits beyond the deadline, if there is one."""

    def __init__(self, *, deadline: Deadline | None, **options: Any) -> None:
        super().__init__(**options)
        self._deadline = deadline
        self._connect_s = options["socket_connect_timeout"]
        self._answer_s = options["socket_timeout"]

    def _connect(self) -> Any:
        if self._deadline is None:
            return super()._connect()  # type: ignore[misc]
        self.socket_connect_timeout = self._deadline.limit(self._connect_s)
        self.socket_timeout = self._deadline.limit(self._answer_s)
        connection = TimelySocket(super()._connect(), self._deadline)  # type: ignore[misc]
        connection.settimeout(self._answer_s)
        return connection


class UnixConnection(_Timely, UnixDomainSocketConnection):
    """A connection to a server on this machine."""


class EmbeddedConnection(UnixConnection):
    """A connection to the embedded server, which is restarted if it was killed."""

    def __init__(self, *, revive: Callable[[], object], **options: Any) -> None:
        super().__init__(**options)
        self._revive = revive

    def connect(self) -> None:
        """Connect, after restarting the server if necessary."""
        if not self.is_connected:
            self._revive()
        super().connect()  # type: ignore[no-untyped-call]


class _DialedConnection(Connection):
    """A connection that tries the addresses of its host in parallel."""

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


class PlainConnection(_Timely, _DialedConnection):
    """A connection without TLS."""


class TlsConnection(_Timely, SSLConnection, _DialedConnection):
    """A connection with TLS: `SSLConnection` wraps the socket of the class after it."""
