"""The real contents of Redis, read without the product; and moments and prices to fill it with."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

import redis

from btcts.domain.model import Candle, Tick
from support.oracle import KEPT, Observed, Oracle, buckets_of
from support.servers import Server, connect

MINUTE = 60_000
HOUR = 3_600_000
DAY = 24 * HOUR

MIDNIGHT = 1_767_225_600_000
"""1 January 2026, 00:00 UTC."""
NOW = MIDNIGHT + 12 * HOUR + 34 * MINUTE + 56_789
"""12:34:56.789 on that day: where the clock of a test stands at first."""
FIRST_OF_WINDOW = MIDNIGHT - 12 * HOUR

TICK = "btc:price:tick"
MIN_AND_MAX = ("5min", "15min", "hour")
COMPACTIONS = (
    "btc:price:minute",
    *(f"btc:price:{resolution}{field}" for resolution in MIN_AND_MAX for field in ("", ":min", ":max")),
)


def samples(client: redis.Redis, key: str, *, latest: bool = False) -> dict[int, float]:
    """A series as a reader without btcts sees it."""
    return dict(client.execute_command("TS.RANGE", key, "-", "+", *(["LATEST"] if latest else [])))


def compactions(client: redis.Redis, *, latest: bool = False) -> dict[str, dict[int, float]]:
    """All ten compactions."""
    return {key: samples(client, key, latest=latest) for key in COMPACTIONS}


def put(client: redis.Redis, key: str, ticks: Mapping[int, float] | Iterable[tuple[int, float]]) -> None:
    """Write samples behind the product's back."""
    arguments = [part for time_ms, price in dict(ticks).items() for part in (key, time_ms, price)]
    replies = client.execute_command("TS.MADD", *arguments) if arguments else []
    assert not [reply for reply in replies if isinstance(reply, Exception)]


def wave(start_ms: int, end_ms: int, step_ms: int) -> list[Tick]:
    """Ticks of a price that never stands still, so that no two buckets are alike by chance."""
    return [
        Tick(stamp, 60_000 + 37 * (stamp // step_ms % 101) + stamp / DAY % 1)
        for stamp in range(start_ms, end_ms, step_ms)
    ]


def remembered(ticks: Iterable[Tick], now_ms: int, candles: Iterable[Candle] = ()) -> Oracle:
    """An oracle that was told these ticks and candles at `now_ms`."""
    oracle = Oracle()
    for time_ms, price in ticks:
        oracle.tick(now_ms, time_ms, price)
    for candle in candles:
        oracle.candle(now_ms, candle.start_ms, Observed(candle.open, candle.high, candle.low, candle.close))
    return oracle


def assert_right(client: redis.Redis, oracle: Oracle, now_ms: int) -> None:
    """Every closed slot of every compaction is what the oracle says, the open one too, and there are never too many."""
    ticks = oracle.ticks()
    for resolution, (length, entries) in KEPT.items():
        expected = buckets_of(ticks, length)
        slots = [*oracle.closed(resolution, now_ms), now_ms // length * length]
        for field in ("close",) if resolution == "minute" else ("close", "min", "max"):
            key = f"btc:price:{resolution}" + ("" if field == "close" else f":{field}")
            shown = samples(client, key, latest=True)
            wanted = {start: getattr(expected[start], field) for start in slots if start in expected}
            assert {start: shown[start] for start in slots if start in shown} == wanted, key
            assert len(samples(client, key)) <= entries, key


@contextmanager
def monitored(server: Server) -> Iterator[list[list[str]]]:
    """Every command that the server carries out, those of scripts included; complete when the block has ended."""
    commands: list[list[str]] = []
    end = "end of what is monitored"
    with connect(server.socket) as watching, connect(server.socket) as talking, watching.monitor() as monitor:
        yield commands
        talking.echo(end)
        for each in monitor.listen():
            words = each["command"].split(" ")
            if end in each["command"]:
                return
            if words[0] not in ("HELLO", "CLIENT", "SELECT"):
                commands.append(words)
