"""One connection to Redis: commands go out, redis errors stop here."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import redis
from redis.client import Pipeline
from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    BusyLoadingError,
    NoPermissionError,
    ReadOnlyError,
    RedisError,
    ResponseError,
)

from btcts.clock import Clock
from btcts.errors import NoTimeSeries, StoreError, StoreUnreachable
from btcts.layout import Layout

Command = tuple[Any, ...]


@dataclass(frozen=True)
class Link:
    """A client (RESP3, decoded replies), the names of our keys, the clock, and where the server is.

    `where` is printed in messages and holds no secret.
    """

    client: redis.Redis
    layout: Layout
    clock: Clock
    where: str

    def ask(self, *command: Any) -> Any:
        """The reply to one command."""
        with self.translated():
            return self.client.execute_command(*command)

    def ask_all(self, commands: Sequence[Command]) -> list[Any]:
        """The replies to the commands, in one round trip; a refused command's reply is its error."""
        pipe = self.client.pipeline(transaction=False)
        for command in commands:
            pipe.execute_command(*command)
        with self.translated():
            replies = pipe.execute(raise_on_error=False)
            for reply in replies:
                if isinstance(reply, ResponseError) and not is_missing(reply) and not is_wrong_type(reply):
                    raise reply
        return replies

    def transaction(self) -> Pipeline:
        """A pipeline to WATCH and MULTI with; use it inside `translated`."""
        return self.client.pipeline(transaction=True)

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Turn what redis-py raises into the errors of btcts."""
        try:
            yield
        except RedisError as exc:
            raise explain(exc, self.where) from exc
        except OSError as exc:
            raise StoreUnreachable(f"no Redis answers at {self.where} ({exc.strerror or exc})") from exc


def now_of(reply: Sequence[Any]) -> int:
    """The reply to TIME in ms."""
    seconds, microseconds = reply
    return int(seconds) * 1000 + int(microseconds) // 1000


def is_missing(reply: object) -> bool:
    """Whether the reply says that there is no such series."""
    return isinstance(reply, ResponseError) and "key does not exist" in str(reply)


def is_wrong_type(reply: object) -> bool:
    """Whether the reply says that the key holds something else than a series."""
    return isinstance(reply, ResponseError) and (
        str(reply).startswith("WRONGTYPE") or "not a TSDB key" in str(reply)
    )


def explain(exc: RedisError, where: str) -> StoreError:
    """The redis error in one line: what, where, and the next step."""
    text = str(exc)
    if isinstance(exc, AuthenticationError | AuthorizationError) or text.startswith(("NOAUTH", "WRONGPASS")):
        return StoreUnreachable(f"Redis at {where} refuses the login; check REDIS_PASSWORD (or the URL)")
    if isinstance(exc, BusyLoadingError):
        return StoreUnreachable(f"Redis at {where} is still loading its data; try again in a moment")
    if isinstance(exc, NoPermissionError):
        return StoreError(f"Redis at {where} does not allow this user the command ({text}); extend its ACL")
    if isinstance(exc, ReadOnlyError):
        return StoreError(f"Redis at {where} is a read-only replica; name its primary")
    if isinstance(exc, ResponseError):
        return _explain_reply(text, where)
    reason = text.rsplit("Error ", 1)[-1].rstrip(". ") or type(exc).__name__
    return StoreUnreachable(f"no Redis answers at {where} ({reason}); start it or pass --redis")


def _explain_reply(text: str, where: str) -> StoreError:
    if "unknown command" in text.lower() and "ts." in text.lower():
        return NoTimeSeries(
            f"Redis at {where} has no TimeSeries module; use the official image redis:8, the package "
            "redis-stack-server, or no --redis at all for the embedded server"
        )
    if text.startswith("MISCONF"):
        return StoreError(f"Redis at {where} cannot write its data to disk and takes no writes; free its disk")
    if text.startswith("OOM"):
        return StoreError(f"Redis at {where} is out of memory; raise maxmemory")
    if text.startswith("LOADING"):
        return StoreUnreachable(f"Redis at {where} is still loading its data; try again in a moment")
    return StoreError(f"Redis at {where} refused a command: {text}")
