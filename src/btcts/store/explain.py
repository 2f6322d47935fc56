"""Explain a failure of Redis in one line: what it is, where, and the next step.

The advice to start Redis is never given for a server that answers. Foreign text passes `cite`: it may hold a password.
"""

import re
from collections.abc import Iterator

from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    ConnectionError,
    InvalidResponse,
    NoPermissionError,
    RedisError,
    ResponseError,
    TimeoutError,
)

from btcts.errors import ForeignKey, NoTimeSeries, StoreError, StoreUnreachable
from btcts.system.causes import LONGEST, describe, find_certificate_fault
from btcts.system.foreign import cite

TCP, TLS, UNIX = "tcp", "tls", "unix"
"""The transports: what to do about a silence depends on them."""

SENTINEL = "sentinel"
"""The mode, as HELLO tells it, of a server that knows where another one is."""

_CLUSTER = "is a node of a Redis Cluster; write redis+cluster:// instead of redis://, rediss+cluster:// with TLS"

_ANOTHER = "set REDIS_URL or --redis to the URL of a redis-server with TimeSeries"

_BY_CODE: dict[str, tuple[type[StoreError], str]] = {
    "ASK": (StoreError, _CLUSTER),
    "BUSY": (StoreUnreachable, "is busy with a script; wait for it, or end it with SCRIPT KILL"),
    "CLUSTERDOWN": (StoreError, _CLUSTER),
    "CROSSSLOT": (StoreError, _CLUSTER),
    "DENIED": (
        StoreError,
        "is in protected mode and accepts connections only from its own machine; give it a password",
    ),
    "LOADING": (StoreUnreachable, "is still loading its data; try again in a moment"),
    "MASTERDOWN": (StoreUnreachable, "is a replica that has lost its primary; name the primary"),
    "MISCONF": (StoreError, "cannot write its data to disk and takes no writes; see its log, make room on its disk"),
    "MOVED": (StoreError, _CLUSTER),
    "NOPROTO": (StoreError, "is older than Redis 6; use the official image redis:8"),
    "NOREPLICAS": (StoreError, "has too few replicas and takes no writes; start them or lower min-replicas-to-write"),
    "OOM": (StoreError, "is out of memory; raise maxmemory"),
    "READONLY": (StoreError, "is a read-only replica; name its primary"),
    "TRYAGAIN": (StoreError, _CLUSTER),
    "WRONGTYPE": (ForeignKey, "has a value of another type under one of our names; btcts init-keys says which"),
}
"""By the code of a reply, what is wrong and the next step."""

_BY_WORDS: dict[str, tuple[type[StoreError], str]] = {
    "max number of clients reached": (
        StoreUnreachable,
        "has no connections left; raise its maxclients, or close some of them",
    ),
    "DB index is out of range": (StoreError, "has no database with that number; correct REDIS_DB (or the URL)"),
    "not allowed in cluster mode": (StoreError, _CLUSTER),
    "nknown command 'ts.": (
        NoTimeSeries,
        "has no TimeSeries module; use the official image redis:8, the package redis-stack-server, "
        "or no --redis at all for the embedded server",
    ),
    "nknown command 'hello'": (StoreError, "is older than Redis 6; use the official image redis:8"),
    "nknown command": (
        StoreError,
        f"lacks a command that every Redis has, so it may be a Sentinel or a proxy; {_ANOTHER}",
    ),
}
"""By words of a reply that has no code of its own; the first that fits counts."""

_SCRIPT = re.compile(r" script: \w+, on @\w+:\d+\.?$")

_REFUSED = re.compile("alert (bad |unsupported |unknown )?(certificate (expired|revoked|unknown)|certificate$|ca)")
"""The words of a server about the certificate of a client."""

_SHUT = re.compile("connection closed|reset by peer|broken pipe|eof occurred|unexpected eof", re.IGNORECASE)
"""The words of redis-py when a server closes a connection silently."""


class ServerNotFound(RedisError):
    """The server that has our keys was not found or not reached: the error to report, and whether waiting may help."""

    def __init__(self, error: StoreError, *, transient: bool = False) -> None:
        super().__init__(str(error))
        self.error = error
        self.transient = transient


def is_transient(exc: BaseException | None) -> bool:
    """Tell whether a connection failed for a reason that may be over in a moment."""
    if isinstance(exc, AuthenticationError | AuthorizationError):
        return False
    return isinstance(exc, ConnectionError | TimeoutError | OSError) and find_certificate_fault(exc) is None


def explain(exc: Exception, where: str, *, transport: str = UNIX, mode: str = "", what: str = "Redis") -> StoreError:
    """Return the failure in one line; `mode` is what the server says that it is, where it was asked.

    `what` is what the address should lead to: Redis or a Sentinel.
    """
    text = _extract_words(exc)
    if mode == SENTINEL:
        return StoreError(
            f"Redis at {where} is a Sentinel, which holds no data; write redis+sentinel://{where}/SERVICE, "
            "with the name of the service that it watches"
        )
    for kind, sentence in _find_known(exc, text):
        return kind(f"{what} at {where} {sentence}")
    if isinstance(exc, AuthenticationError | AuthorizationError):
        password = "REDIS_PASSWORD" if what == "Redis" else "REDIS_SENTINEL_PASSWORD"
        return StoreUnreachable(f"{what} at {where} refuses the login; check {password} (or the URL)")
    if isinstance(exc, InvalidResponse):
        named = what if what == "Redis" else f"a {what}"
        return StoreUnreachable(f"what answers at {where} is not {named}; correct the host and the port")
    if not isinstance(exc, ResponseError):
        return StoreUnreachable(_explain_silence(exc, where, transport).replace("Redis", what, 1))
    if isinstance(exc, NoPermissionError) or text.startswith("ACL failure"):
        return StoreError(f"{what} at {where} does not allow this user the command ({text}); extend its ACL")
    return StoreError(f"{what} at {where} refused a command: {text}")


def is_unknown_command(exc: Exception) -> bool:
    """Tell whether the server does not know a command, so that it may not be a Redis with data."""
    return isinstance(exc, ResponseError) and "nknown command" in str(exc)


def _find_known(exc: Exception, text: str) -> Iterator[tuple[type[StoreError], str]]:
    for code in (getattr(exc, "status_code", None), text.partition(" ")[0]):
        if code in _BY_CODE:
            yield _BY_CODE[code]
    if isinstance(exc, RedisError):
        lowered = text.replace("`", "'").lower()
        yield from (meaning for words, meaning in _BY_WORDS.items() if words.lower() in lowered)


def _explain_silence(exc: Exception, where: str, transport: str) -> str:
    """Explain a connection that failed or was lost."""
    if fault := find_certificate_fault(exc, authority="redis.ca_file or SSL_CERT_FILE"):
        return f"the certificate of Redis at {where} {fault}"
    reason = describe(exc)
    if "wrong version number" in reason or "record layer failure" in reason:
        return f"Redis at {where} answers without TLS; write redis:// instead of rediss://"
    if _REFUSED.search(reason):
        return f"Redis at {where} refuses our certificate ({reason}); name another one by redis.cert_file"
    if "certificate required" in reason or (transport == TLS and _SHUT.search(reason)):
        return (
            f"Redis at {where} closes TLS connections ({reason}): it may want a client certificate that its authority "
            "has signed; set redis.cert_file and redis.key_file, or its tls-auth-clients to optional"
        )
    if _SHUT.search(reason):
        hint = "its log says why" if transport == UNIX else "for a port with TLS write rediss://, else see its log"
        return f"no Redis answers at {where} ({reason}); {hint}"
    if isinstance(exc, TimeoutError) and "connecting" not in reason:
        return f"no Redis answers at {where} ({reason}), though it takes connections; see its log, or restart it"
    if transport == TLS and isinstance(exc, TimeoutError):
        return f"no Redis answers at {where} ({reason}); for a port without TLS write redis://, else start it"
    if "permission denied" in reason:
        return f"no Redis answers at {where} ({reason}); let this user use its socket (unixsocketperm)"
    return f"no Redis answers at {where} ({reason}); start it or pass --redis"


def _extract_words(exc: Exception) -> str:
    """Return the server's own words, without the command and script that redis-py and Redis add."""
    return cite(_SCRIPT.sub("", extract_reply(exc)), LONGEST).rstrip(".")


def extract_reply(exc: Exception) -> str:
    """Return the words of an error without the command that redis-py puts before them in a pipeline."""
    return str(exc).rpartition(" of pipeline caused error: ")[2]
