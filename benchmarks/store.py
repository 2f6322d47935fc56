"""How fast the store is beside bare commands to the same server; ratios measured in one run.

    python benchmarks/store.py [RUNS]

Every row does the work through the store and in bare commands in turn, and compares medians. The bars are those that
btcts sets itself.
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import redis

from btcts.config import BTC_USD

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from btcts.domain.layout import DUPLICATE_POLICY, Layout
from btcts.domain.model import Tick
from btcts.store import Store
from support.clocks import FakeClock
from support.servers import Server, connect

NOW_MS = 1_767_270_896_789
LAYOUT = Layout(BTC_USD)
SLICE = 1000

Command = tuple[Any, ...]
Work = Callable[[], object]


class Row(NamedTuple):
    """What is measured: the store's way, the bare way, what comes before each, and the most that the ratio may be."""

    name: str
    store: Work
    bare: Work
    prepare: Work
    bar: float


def appending(client: redis.Redis, store: Store) -> Row:
    """10 000 ticks in slices of 1000, against one pipeline of TS.MADD with the same rules."""
    ticks = _ticks(10_000, 8_000)
    slices = [ticks[start : start + SLICE] for start in range(0, len(ticks), SLICE)]

    def prepare() -> None:
        client.flushall()
        store.rebuild()

    def through_the_store() -> None:
        for each in slices:
            store.write(each)

    return Row(
        "append 10 000 ticks / bare TS.MADD", through_the_store, lambda: _send(client, _madds(ticks)), prepare, 1.25
    )


def rebuilding(client: redis.Redis, store: Store) -> Row:
    """26 hours of a tick every 10 seconds, against the MULTI alone with all its arguments at hand."""
    ticks = _ticks(26 * 360, 10_000)
    commands = [*_creation(), *_madds(ticks)]
    _send(client, commands)
    return Row(
        "rebuild 26 h / bare MULTI", store.rebuild, lambda: _send(client, commands, transaction=True), _nothing, 3
    )


def reading(client: redis.Redis, store: Store) -> Row:
    """All four resolutions, against one pipeline of ten TS.RANGE."""

    def bare() -> None:
        _send(client, [("TS.RANGE", each.key, "-", "+", "LATEST") for each in LAYOUT.compactions])

    return Row("read all resolutions / bare TS.RANGE", store.buckets, bare, _nothing, 1.5)


def _nothing() -> None:
    """What comes before a work that needs no preparation."""


def _ticks(count: int, step_ms: int) -> list[Tick]:
    return [Tick(NOW_MS - step_ms * (count - number), 60_000 + number % 997 / 7) for number in range(count)]


def _creation() -> Iterator[Command]:
    yield ("DEL", *LAYOUT.series)
    for each in LAYOUT.definitions:
        options = ("RETENTION", each.retention_ms, "ENCODING", each.encoding, "CHUNK_SIZE", each.chunk_size)
        labels = (part for label in each.labels.items() for part in label)
        yield ("TS.CREATE", each.key, *options, "DUPLICATE_POLICY", DUPLICATE_POLICY, "LABELS", *labels)
    for item in LAYOUT.compactions:
        yield ("TS.CREATERULE", LAYOUT.tick, item.key, "AGGREGATION", item.aggregator, item.resolution.bucket_ms)


def _madds(ticks: Sequence[Tick]) -> Iterator[Command]:
    for start in range(0, len(ticks), SLICE):
        yield ("TS.MADD", *(part for tick in ticks[start : start + SLICE] for part in (LAYOUT.tick, *tick)))


def _send(client: redis.Redis, commands: Iterator[Command] | Sequence[Command], *, transaction: bool = False) -> None:
    pipe = client.pipeline(transaction=transaction)
    for command in commands:
        pipe.execute_command(*command)
    pipe.execute()


def measure(row: Row, runs: int) -> tuple[float, float]:
    """Median seconds of the store's way and of the bare way."""
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(runs):
        for work, taken in zip((row.store, row.bare), times, strict=True):
            row.prepare()
            began = time.perf_counter()
            work()
            taken.append(time.perf_counter() - began)
    return statistics.median(times[0]), statistics.median(times[1])


@contextmanager
def _server() -> Iterator[redis.Redis]:
    with tempfile.TemporaryDirectory() as folder:
        server = Server(Path(folder)).start()
        try:
            with connect(server.socket) as client:
                yield client
        finally:
            server.kill()


def main() -> None:
    """Print the table."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 21
    with _server() as client:
        store = Store(client, BTC_USD, clock=FakeClock(NOW_MS), where="the benchmark")
        for make, repeat in ((appending, 1), (rebuilding, 1), (reading, 50)):
            row = make(client, store)
            mine, bare = measure(row, runs * repeat)
            verdict = "holds" if mine / bare <= row.bar else "MISSED"
            both = f"{mine * 1000:7.2f} ms {bare * 1000:7.2f} ms"
            print(f"{row.name:<40} {both}  {mine / bare:5.2f}  bar {row.bar:.2f} {verdict}")


if __name__ == "__main__":
    main()
