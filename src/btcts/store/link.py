"""One connection to Redis: commands go out, redis errors stop here."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import redis
from redis.client import Pipeline
from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    NoPermissionError,
    RedisError,
    ResponseError,
    WatchError,
)

from btcts.causes import LONGEST, describe
from btcts.clock import Clock
from btcts.errors import ForeignKey, NoTimeSeries, StoreError, StoreUnreachable
from btcts.foreign import cite
from btcts.layout import Layout

Command = tuple[Any, ...]

FIELDS_AT_ONCE = 2000
"""How many fields of a hash one command changes."""


@dataclass(frozen=True)
class Link:
    """A client (RESP3, decoded replies), the names of our keys, the clock, and where the server is.

    `where` is printed in messages and holds no secret. `teller` is the clock of those who fill the side keys, where it
    is not the same.
    """

    client: redis.Redis
    layout: Layout
    clock: Clock
    where: str
    teller: Clock | None = None

    @property
    def told_ms(self) -> int:
        """The present by which what others left in the side keys is judged, also while old prices are looked at."""
        return (self.teller or self.clock).now_ms()

    @property
    def rules_look_back(self) -> bool:
        """Whether compaction rules reach the data that lies behind the newest tick.

        They do in database 0 alone. Elsewhere RedisTimeSeries (1.12.2, 8.6.2 and 8.10.0) looks for the series of that
        name in database 0 when it recomputes a bucket or reads LATEST: it writes there, or drops the rule.
        """
        database: int = self.client.get_connection_kwargs().get("db", 0)
        return database == 0

    def ask(self, *command: Any) -> Any:
        """The reply to one command."""
        with self.translated():
            return self.client.execute_command(*command)

    def ask_all(self, commands: Sequence[Command]) -> list[Any]:
        """The replies to the commands, in one round trip.

        Where a series is missing, or its key holds something else, the reply is the error that says so.
        """
        pipe = self.client.pipeline(transaction=False)
        for command in commands:
            pipe.execute_command(*command)
        with self.translated():
            replies = pipe.execute(raise_on_error=False)
            for reply in replies:
                if isinstance(reply, ResponseError) and not is_missing(reply) and not is_wrong_type(reply):
                    raise reply
        return replies

    def remove_fields(self, key: str, fields: Sequence[str]) -> None:
        """Take fields out of a hash, a few thousand at a time."""
        for start in range(0, len(fields), FIELDS_AT_ONCE):
            self.ask("HDEL", key, *fields[start : start + FIELDS_AT_ONCE])

    def transaction(self) -> Pipeline:
        """A pipeline to WATCH and MULTI with; use it inside `translated`."""
        return self.client.pipeline(transaction=True)

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Turn what redis-py raises into the errors of btcts."""
        try:
            yield
        except WatchError:
            raise  # no failure: the transaction has to begin again
        except RedisError as exc:
            raise explain(exc, self.where) from exc
        except (OSError, UnicodeError) as exc:  # UnicodeError: a host name that cannot be one
            raise StoreUnreachable(
                f"no Redis answers at {self.where} ({describe(exc)}); start it or pass --redis"
            ) from exc


def now_of(reply: Sequence[Any]) -> int:
    """The reply to TIME in ms."""
    seconds, microseconds = reply
    return int(seconds) * 1000 + int(microseconds) // 1000


def is_missing(reply: object) -> bool:
    """Whether the reply says that there is no such series."""
    return isinstance(reply, ResponseError) and "key does not exist" in str(reply)


def is_wrong_type(reply: object) -> bool:
    """Whether the reply says that the key holds something else than a series."""
    return isinstance(reply, ResponseError) and (str(reply).startswith("WRONGTYPE") or "not a TSDB key" in str(reply))


_REFUSALS: dict[str, tuple[type[StoreError], str]] = {
    "LOADING": (StoreUnreachable, "is still loading its data; try again in a moment"),
    "MASTERDOWN": (StoreUnreachable, "is a replica that has lost its primary; name the primary"),
    "READONLY": (StoreError, "is a read-only replica; name its primary"),
    "NOREPLICAS": (StoreError, "has too few replicas and takes no writes; start them or lower min-replicas-to-write"),
    "OOM": (StoreError, "is out of memory; raise maxmemory"),
    "MISCONF": (StoreError, "cannot write its data to disk and takes no writes; see its log, make room on its disk"),
    "WRONGTYPE": (ForeignKey, "has another type of value under one of our names; btcts init-keys tells which"),
}
"""By the code of a reply, what is wrong and the next step."""


def explain(exc: RedisError, where: str) -> StoreError:
    """The redis error in one line: what, where, and the next step."""
    text = _words(exc)
    for code in (exc.status_code or "", text.partition(" ")[0]):
        if code in _REFUSALS:
            kind, sentence = _REFUSALS[code]
            return kind(f"Redis at {where} {sentence}")
    if isinstance(exc, AuthenticationError | AuthorizationError):
        return StoreUnreachable(f"Redis at {where} refuses the login; check REDIS_PASSWORD (or the URL)")
    if not isinstance(exc, ResponseError):
        return StoreUnreachable(f"no Redis answers at {where} ({describe(exc)}); start it or pass --redis")
    if text.lower().startswith("unknown command 'ts."):
        return NoTimeSeries(
            f"Redis at {where} has no TimeSeries module; use the official image redis:8, the package "
            "redis-stack-server, or no --redis at all for the embedded server"
        )
    if isinstance(exc, NoPermissionError) or text.startswith("ACL failure"):
        return StoreError(f"Redis at {where} does not allow this user the command ({text}); extend its ACL")
    return StoreError(f"Redis at {where} refused a command: {text}")


_SCRIPT = re.compile(r" script: \w+, on @\w+:\d+\.?$")


def _words(exc: RedisError) -> str:
    """The server's own words, without the command and the script that redis-py and Redis add to them."""
    text = str(exc).rpartition(" of pipeline caused error: ")[2]
    return cite(_SCRIPT.sub("", text), LONGEST).rstrip(".")
