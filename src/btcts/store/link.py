"""One connection to Redis: commands go out, redis errors stop here."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import redis
from redis.client import Pipeline
from redis.connection import SSLConnection, UnixDomainSocketConnection
from redis.exceptions import InvalidResponse, NoScriptError, RedisError, ResponseError, WatchError

from btcts.domain.clock import Clock
from btcts.domain.layout import Layout
from btcts.errors import StoreUnreachable
from btcts.store.explain import TCP, TLS, UNIX, Unfound, explain, is_unknown_command
from btcts.store.patience import PAUSE_S, Patience
from btcts.store.scripts import spell_out

Command = tuple[Any, ...]
Answer = TypeVar("Answer")

CONFUSED = (ValueError, TypeError, LookupError, AttributeError, RecursionError)
"""The exceptions of redis-py when it meets what Redis never says."""

FIELDS_AT_ONCE = 2000
"""The most fields of a hash that one command changes."""


@dataclass(frozen=True)
class Link:
    """A client (RESP3, decoded replies), the names of our keys, the clock, and where the server is.

    `where` is printed in messages and holds no secret. `teller` is the clock of those who fill the side keys, where it
    is not the same. `patience` is for a Redis of several servers.
    """

    client: redis.Redis
    layout: Layout
    clock: Clock
    where: str
    teller: Clock | None = None
    patience: Patience = field(default_factory=Patience)

    @property
    def told_ms(self) -> int:
        """The current time for judging the side keys, even while a past moment is shown."""
        return (self.teller or self.clock).now_ms()

    @property
    def rules_look_back(self) -> bool:
        """True if compaction rules handle data behind the newest tick.

        They do so only in database 0. Elsewhere RedisTimeSeries (1.12.2, 8.6.2 and 8.10.0) looks for the series of that
        name in database 0 when it recomputes a bucket or reads LATEST: it writes there, or drops the rule.
        """
        database: int = self.client.get_connection_kwargs().get("db", 0)
        return database == 0

    def ask(self, *command: Any) -> Any:
        """Return the reply to one command."""
        return self.insist(lambda: self._ask(command))

    def _ask(self, command: Command) -> Any:
        try:
            return self.client.execute_command(*command)
        except NoScriptError:
            return self.client.execute_command(*spell_out(command))

    def ask_all(self, commands: Sequence[Command], *, at_one_moment: bool = False) -> list[Any]:
        """Return the replies to the commands, in one round trip; one more where a script has to be sent.

        A missing series, or a key of another type, gives the error as its reply. Without a transaction other clients'
        writes come between the commands.
        """
        return self.insist(lambda: self._ask_all(commands, at_one_moment=at_one_moment))

    def _ask_all(self, commands: Sequence[Command], *, at_one_moment: bool) -> list[Any]:
        pipe = self.client.pipeline(transaction=at_one_moment)
        for command in commands:
            pipe.execute_command(*command)
        replies = pipe.execute(raise_on_error=False)
        for number, reply in enumerate(replies):
            if isinstance(reply, NoScriptError):
                replies[number] = reply = self.client.execute_command(*spell_out(commands[number]))
            if isinstance(reply, ResponseError) and not is_missing(reply) and not is_wrong_type(reply):
                raise reply
        return replies

    def insist(self, call: Callable[[], Answer]) -> Answer:
        """Return what the call returns, translating its failures; call again while our keys change their place."""
        until = self.patience.begin()
        while True:
            try:
                with self.translated():
                    return call()
            except StoreUnreachable as exc:
                if not self.patience.covers(exc.__cause__):
                    raise
                self.client.connection_pool.disconnect()
                if time.monotonic() >= until:
                    raise
            time.sleep(PAUSE_S)

    def remove_fields(self, key: str, fields: Sequence[str]) -> None:
        """Take fields out of a hash, a few thousand at a time."""
        for start in range(0, len(fields), FIELDS_AT_ONCE):
            self.ask("HDEL", key, *fields[start : start + FIELDS_AT_ONCE])

    def transaction(self) -> Pipeline:
        """Open a pipeline for WATCH and MULTI; use it inside `translated`."""
        return self.client.pipeline(transaction=True)

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Turn what redis-py raises into the errors of btcts."""
        try:
            yield
        except WatchError:
            raise  # no failure: the transaction has to begin again
        except Unfound as exc:
            raise exc.told from exc
        except (RedisError, OSError, UnicodeError) as exc:  # UnicodeError: a host name that cannot be one
            if code := self.patience.find_move(exc):
                text = f"Redis at {self.where} or our part of it is changing its place ({code}); try again in a moment"
                raise StoreUnreachable(text) from exc
            mode = self._ask_mode() if is_unknown_command(exc) else ""
            raise explain(exc, self.where, transport=self._transport, mode=mode) from exc
        except CONFUSED as exc:
            if not _is_raised_by_client(exc):
                raise
            raise explain(InvalidResponse(), self.where) from exc

    def _ask_mode(self) -> str:
        """Return the server's mode: standalone, sentinel or cluster; empty where it does not say."""
        try:
            reply = self.client.execute_command("HELLO")
            return str(reply.get("mode", "")) if isinstance(reply, dict) else ""
        except (RedisError, OSError):
            return ""

    @property
    def _transport(self) -> str:
        kind = self.client.connection_pool.connection_class
        if issubclass(kind, SSLConnection):
            return TLS
        return UNIX if issubclass(kind, UnixDomainSocketConnection) else TCP


def _is_raised_by_client(exc: Exception) -> bool:
    """Tell whether it comes out of the code of redis-py, or of its parser in C."""
    step = exc.__traceback__
    while step is not None and step.tb_next is not None:
        step = step.tb_next
    return step is not None and step.tb_frame.f_globals.get("__name__", "").startswith("redis.")


def now_of(reply: Sequence[Any]) -> int:
    """Convert the reply to TIME to ms."""
    seconds, microseconds = reply
    return int(seconds) * 1000 + int(microseconds) // 1000


def is_missing(reply: object) -> bool:
    """Tell whether the reply says that there is no such series."""
    return isinstance(reply, ResponseError) and "key does not exist" in str(reply)


def is_wrong_type(reply: object) -> bool:
    """Tell whether the reply says that the key holds something other than a series."""
    return isinstance(reply, ResponseError) and (str(reply).startswith("WRONGTYPE") or "not a TSDB key" in str(reply))
