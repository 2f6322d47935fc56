"""fakeredis, for those commands alone that it answers as a redis-server does; `test_fake_redis.py` compares them.

Of TimeSeries these are series filled in ascending order and their closed buckets. It has no scripts, shows what
retention hides, ignores LATEST, and keeps late or corrected samples from the rules.
"""

from collections.abc import Iterable
from typing import Any

import redis
from fakeredis import FakeRedisConnection, FakeServer
from redis.backoff import NoBackoff
from redis.retry import Retry

SAME = {
    *("DEL", "EXISTS", "FLUSHALL", "KEYS", "RENAMENX", "SCAN", "SET", "TIME", "TYPE"),
    *("HDEL", "HEXISTS", "HGET", "HGETALL", "HSET"),
    *("WATCH", "UNWATCH", "MULTI", "EXEC"),
    *("TS.ALTER", "TS.CREATE", "TS.CREATERULE", "TS.DEL", "TS.GET", "TS.INFO", "TS.MADD", "TS.RANGE"),
}
"""The commands that it answers as a redis-server does; TS.GET of a missing series is a TypeError."""

HANDSHAKE = {"HELLO", "CLIENT", "CLIENT SETINFO", "SELECT", "PING"}


class FakeConnection(FakeRedisConnection):
    """A connection to fakeredis that refuses the commands it would answer otherwise than Redis."""

    def send_command(self, *args: Any, **kwargs: Any) -> None:
        """Send one command."""
        _require_same(args)
        super().send_command(*args, **kwargs)

    def pack_commands(self, commands: Iterable[Any]) -> list[bytes]:
        """Pack the commands of a pipeline."""
        commands = list(commands)
        for command in commands:
            _require_same(command)
        packed: list[bytes] = super().pack_commands(commands)
        return packed


def connect_fake(server: FakeServer) -> redis.Redis:
    """Return a client as `support.servers.connect` makes it."""
    pool = redis.ConnectionPool(
        connection_class=FakeConnection, server=server, protocol=3, decode_responses=True, retry=Retry(NoBackoff(), 0)
    )
    return redis.Redis(connection_pool=pool)


def _require_same(command: Iterable[Any]) -> None:
    name, *arguments = command
    same = name in SAME | HANDSHAKE and "LATEST" not in arguments
    assert same, f"fakeredis does not answer {name} {arguments} as Redis does; use a redis-server"
