"""fakeredis and a redis-server answer alike where tests rely on it: fails when one of them changes."""

from itertools import chain

import pytest
import redis
from fakeredis import FakeServer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from btcts.store.check import parse_series
from support.fake_redis import SAME, connect_fake
from support.series import HOUR, MIDNIGHT, MINUTE, NOW

HASH, TICK, BUCKETS, WORD = "btc:price:state", "btc:price:tick", "btc:price:hour", "btc:price:word"

OPTIONS = (
    "ENCODING",
    "COMPRESSED",
    "CHUNK_SIZE",
    4096,
    "DUPLICATE_POLICY",
    "LAST",
    "IGNORE",
    0,
    0,
    "LABELS",
    "app",
    "x",
)

COMMANDS: tuple[tuple[object, ...], ...] = (
    ("HSET", HASH, "a", "1", "b", '{"é": null}'),
    ("HSET", HASH, "a", "2", "c", ""),
    ("HGET", HASH, "b"),
    ("HGET", HASH, "none"),
    ("HGETALL", HASH),
    ("HGETALL", "none"),
    ("HEXISTS", HASH, "a"),
    ("HEXISTS", HASH, "none"),
    ("HDEL", HASH, "a", "none"),
    ("SET", WORD, "somebody's"),
    ("HGETALL", WORD),
    ("HSET", WORD, "a", "1"),
    ("TYPE", WORD),
    ("TYPE", "none"),
    ("EXISTS", WORD),
    ("EXISTS", "none"),
    ("RENAMENX", WORD, HASH),
    ("RENAMENX", WORD, "another"),
    ("RENAMENX", "none", "other"),
    ("TS.INFO", TICK),
    ("TS.ALTER", TICK, "RETENTION", 0),
    ("TS.RANGE", TICK, "-", "+"),
    ("TS.CREATE", TICK, "RETENTION", 26 * HOUR, *OPTIONS),
    ("TS.CREATE", TICK, "RETENTION", 26 * HOUR, *OPTIONS),
    ("TS.CREATE", BUCKETS, "RETENTION", 0, *OPTIONS),
    ("TS.CREATERULE", TICK, BUCKETS, "AGGREGATION", "max", HOUR, 0),
    ("TS.CREATERULE", TICK, "none", "AGGREGATION", "max", HOUR, 0),
    ("TS.RANGE", TICK, "-", "+"),
    ("TS.GET", TICK),
    ("TS.MADD", TICK, MIDNIGHT, 60_000.25, TICK, MIDNIGHT + 1, 1e-9, TICK, MIDNIGHT + HOUR + 5, 59_999.1),
    ("TS.MADD", TICK, NOW, 60_001),
    ("TS.GET", TICK),
    ("TS.INFO", TICK),
    ("TS.INFO", BUCKETS),
    ("TS.ALTER", TICK, "RETENTION", 0),
    ("TS.ALTER", TICK, "RETENTION", 27 * HOUR, "LABELS", "app", "y"),
    ("TS.INFO", TICK),
    ("TS.RANGE", TICK, "-", "+"),
    ("TS.RANGE", TICK, MIDNIGHT + 1, MIDNIGHT + HOUR + 5),
    ("TS.RANGE", TICK, 0, NOW, "COUNT", 2),
    ("TS.RANGE", BUCKETS, "-", "+"),
    ("TS.DEL", BUCKETS, 0, MIDNIGHT - 1),
    ("TS.DEL", BUCKETS, 0, MIDNIGHT),
    ("TS.RANGE", BUCKETS, "-", "+"),
    ("TS.DEL", "none", 0, 1),
    ("KEYS", "btc:price:h*"),
    ("DEL", BUCKETS, "none"),
    ("FLUSHALL",),
    ("KEYS", "*"),
)


def reply_to(client: redis.Redis, command: tuple[object, ...]) -> object:
    """The reply, or the kind and the words of the error; of TS.INFO what is read of it."""
    try:
        reply = client.execute_command(*command)
        return parse_series(reply) if command[0] == "TS.INFO" else reply
    except redis.ResponseError as exc:
        return type(exc), str(exc)


def test_each_command_is_answered_alike(client: redis.Redis) -> None:
    with connect_fake(FakeServer()) as fake:
        for command in COMMANDS:
            assert reply_to(fake, command) == reply_to(client, command), command


def test_a_scan_finds_the_same_keys(client: redis.Redis) -> None:
    with connect_fake(FakeServer()) as fake:
        for redis_client in (fake, client):
            for number in range(50):
                redis_client.set(f"btc:price:[{number}]", "x")
                redis_client.set(f"eth:price:{number}", "x")

        assert set(fake.scan_iter(match=r"btc:price:\[*", count=1000)) == set(
            client.scan_iter(match=r"btc:price:\[*", count=1000)
        )


def test_a_change_under_a_watch_fails_the_transaction_of_both(client: redis.Redis) -> None:
    with connect_fake(FakeServer()) as fake:
        for redis_client in (fake, client):
            pipe = redis_client.pipeline(transaction=True)
            pipe.watch(WORD)
            pipe.multi()
            pipe.execute_command("HSET", HASH, "a", "1")
            assert pipe.execute() == [1]
            pipe.watch(WORD)
            redis_client.set(WORD, "changed")
            pipe.multi()
            pipe.execute_command("HSET", HASH, "a", "2")
            with pytest.raises(redis.WatchError):
                pipe.execute()


def test_both_tell_the_time_in_seconds_and_microseconds(client: redis.Redis) -> None:
    with connect_fake(FakeServer()) as fake:
        told = [redis_client.execute_command("TIME") for redis_client in (fake, client)]

    assert [[len(time), all(str(part).isdigit() for part in time)] for time in told] == [[2, True]] * 2
    assert abs(int(told[0][0]) - int(told[1][0])) <= 1


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    steps=st.lists(st.integers(1, 40 * MINUTE), min_size=1, max_size=30),
    price=st.integers(1, 10**6),
    aggregator=st.sampled_from(["last", "min", "max"]),
)
def test_closed_buckets_of_ascending_ticks_are_the_same(
    client: redis.Redis, steps: list[int], price: int, aggregator: str
) -> None:
    stamps = [MIDNIGHT + sum(steps[:end]) for end in range(1, len(steps) + 1)]
    samples = [(TICK, stamp, (price * stamp) % 999_983 / 7) for stamp in stamps]
    found = []
    with connect_fake(FakeServer()) as fake:
        for redis_client in (fake, client):
            redis_client.flushall()
            for key in (TICK, BUCKETS):
                redis_client.execute_command("TS.CREATE", key, *OPTIONS)
            redis_client.execute_command("TS.CREATERULE", TICK, BUCKETS, "AGGREGATION", aggregator, HOUR, 0)
            redis_client.execute_command("TS.MADD", *chain.from_iterable(samples))
            found.append([redis_client.execute_command("TS.RANGE", key, "-", "+") for key in (TICK, BUCKETS)])

    assert found[0] == found[1]


def test_every_command_that_is_let_through_is_compared() -> None:
    compared = {str(command[0]) for command in COMMANDS}

    assert compared | {"SCAN", "WATCH", "UNWATCH", "MULTI", "EXEC", "TIME"} == SAME


@pytest.mark.parametrize(
    "command", [("TS.ADD", TICK, 1, 1), ("EVAL", "return 1", 0), ("TS.RANGE", TICK, "-", "+", "LATEST")]
)
def test_another_command_fails_the_test_that_sends_it(command: tuple[object, ...]) -> None:
    with connect_fake(FakeServer()) as fake, pytest.raises(AssertionError):
        fake.execute_command(*command)
