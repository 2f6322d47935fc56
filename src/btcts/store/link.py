"""The link to Redis: commands go out, redis errors stop here, and a failover is waited for."""

import hashlib
import pkgutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any, TypeVar

import redis
from redis.connection import SSLConnection, UnixDomainSocketConnection
from redis.exceptions import InvalidResponse, NoScriptError, RedisError, ResponseError, WatchError

from btcts.domain.clock import Clock
from btcts.domain.layout import Layout
from btcts.errors import StoreUnreachable
from btcts.store import replies
from btcts.store.explain import TCP, TLS, UNIX, ServerNotFound, explain, extract_reply, is_transient, is_unknown_command
from btcts.system.sockets import Deadline

Command = tuple[Any, ...]
Answer = TypeVar("Answer")

PAUSE_S = 0.1
"""The pause before a command is tried again."""

MOVING = frozenset({"ASK", "CLUSTERDOWN", "LOADING", "MASTERDOWN", "MOVED", "NOREPLICAS", "READONLY", "TRYAGAIN"})
"""The codes of replies while another server becomes the primary, or our slot moves to one."""

CONFUSED = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError)
"""The exceptions of redis-py when it meets what Redis never says."""

FIELDS_AT_ONCE = 2000
"""The most fields of a hash that one command changes."""

_SCRIPTS: dict[str, str] = {}
"""The texts of the scripts that were called, by digest."""


class Patience:
    """The time for which a command is tried again, in s, and never beyond the deadline; 0 for a Redis of one server.

    A `replica` that is read from refuses writes for good.
    """

    def __init__(self, limit_s: float = 0.0, deadline: Deadline | None = None, *, replica: bool = False) -> None:
        self.limit_s = limit_s
        self._moving = MOVING - ({"READONLY"} if replica else set())
        self._deadline = deadline
        self._suspended = False

    def begin(self) -> float:
        """Return the moment of the monotonic clock until which a command that begins now is tried again."""
        left_s = self._deadline.left_s if self._deadline else self.limit_s
        return time.monotonic() + (0.0 if self._suspended else min(self.limit_s, left_s))

    def find_move(self, exc: Exception) -> str | None:
        """Return the code of a reply that says that our keys are moving to another server."""
        code = getattr(exc, "status_code", None) or extract_reply(exc).partition(" ")[0]
        return code if self.limit_s and code in self._moving else None

    def covers(self, exc: BaseException | None) -> bool:
        """Tell whether this failure may be over in a moment."""
        if not self.limit_s:
            return False
        if isinstance(exc, ServerNotFound):
            return exc.transient
        return self.find_move(exc) is not None if isinstance(exc, ResponseError) else is_transient(exc)

    @contextmanager
    def suspended(self) -> Iterator[None]:
        """Try nothing again until the block ends."""
        self._suspended = True
        try:
            yield
        finally:
            self._suspended = False


@dataclass(frozen=True)
class Link:
    """A client (RESP3, decoded replies), the names of our keys, the clock, and where the server is.

    `where` is printed in messages and holds no secret. `real_clock` is the one that goes on where `clock` is stopped.
    `patience` is for a Redis of several servers.
    """

    client: redis.Redis
    layout: Layout
    clock: Clock
    where: str
    real_clock: Clock | None = None
    patience: Patience = field(default_factory=Patience)

    @property
    def real_now_ms(self) -> int:
        """The present, by which the side keys are judged even where the clock is stopped."""
        return (self.real_clock or self.clock).now_ms()

    @property
    def database(self) -> int:
        """The number of the database."""
        return int(self.client.get_connection_kwargs().get("db", 0))

    @property
    def rules_look_back(self) -> bool:
        """True if compaction rules handle data behind the newest tick.

        They do so only in database 0. Elsewhere RedisTimeSeries (1.12.2, 8.6.2 and 8.10.0) looks for the series of that
        name in database 0 when it recomputes a bucket or reads LATEST: it writes there, or drops the rule.
        """
        return self.database == 0

    def ask(self, *command: Any) -> Any:
        """Return the reply to one command."""
        return self.retry(lambda: self._ask(command))

    def _ask(self, command: Command) -> Any:
        try:
            reply = self.client.execute_command(*command)
        except NoScriptError:
            reply = self._send_script(command)
        return replies.check(command, reply)

    def ask_all(
        self, commands: Sequence[Command], *, at_one_moment: bool = False, refusable: bool = False
    ) -> list[Any]:
        """Return the replies to the commands, in one round trip; one more where a script has to be sent.

        A missing series, or a key of another type, gives the error as its reply; if the commands are `refusable`, every
        refusal does. Unless they are run `at_one_moment`, other clients' writes come between them.
        """
        return self.retry(lambda: self._ask_all(commands, at_one_moment, refusable))

    def _ask_all(self, commands: Sequence[Command], at_one_moment: bool, refusable: bool) -> list[Any]:
        pipe = self.client.pipeline(transaction=at_one_moment)
        for command in commands:
            pipe.execute_command(*command)
        try:
            received = pipe.execute(raise_on_error=False)
        except WatchError as exc:  # EXEC gives nothing only where something is watched
            raise InvalidResponse("no reply to EXEC") from exc
        for number, (command, reply) in enumerate(zip(commands, received, strict=True)):
            if isinstance(reply, NoScriptError):
                received[number] = reply = self._send_script(command)
            replies.check(command, reply)
            if isinstance(reply, ResponseError) and not (refusable or is_missing(reply) or is_wrong_type(reply)):
                raise reply
        return received

    def _send_script(self, command: Command) -> Any:
        """Return the reply to the same call with the text of the script, which the server lacks."""
        if command[0] != "EVALSHA":
            raise InvalidResponse(f"no reply to {command[0]}")
        _, digest, *rest = command
        return self.client.execute_command("EVAL", _SCRIPTS[digest], *rest)

    def retry(self, call: Callable[[], Answer]) -> Answer:
        """Return what the call returns, translating its failures; call again while our keys move."""
        until = self.patience.begin()
        while True:
            try:
                with self._translate():
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

    @contextmanager
    def _translate(self) -> Iterator[None]:
        """Turn what redis-py raises into the errors of btcts."""
        try:
            yield
        except WatchError:
            raise  # no failure: the transaction has to begin again
        except ServerNotFound as exc:
            raise exc.error from exc
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
        except (RedisError, OSError, *CONFUSED):
            return ""

    @property
    def _transport(self) -> str:
        kind = self.client.connection_pool.connection_class
        if issubclass(kind, SSLConnection):
            return TLS
        return UNIX if issubclass(kind, UnixDomainSocketConnection) else TCP


def call_script(name: str, keys: Sequence[str], arguments: Sequence[Any]) -> Command:
    """Return the command that runs a script of this package, named by its digest."""
    return ("EVALSHA", _load_script(name), len(keys), *keys, *arguments)


@cache
def _load_script(name: str) -> str:
    """Read a script, and return its digest."""
    text = (pkgutil.get_data("btcts.store", f"{name}.lua") or b"").decode()
    digest = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()
    _SCRIPTS[digest] = text
    return digest


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
