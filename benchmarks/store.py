"""Speed of the store beside bare commands to the same server, and of a cycle with nothing to do.

    python benchmarks/store.py [RUNS]

Every ratio is that of the medians of both ways, in turn and in one run; the server holds the ticks of 26 hours, one
every 10 s and a candle a minute. The bars are those that btcts sets itself.
"""

import gc
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import redis

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from report import Row, print_rows

from btcts.config import BTC_USD
from btcts.domain.candles import settled_stamp
from btcts.domain.layout import AGGREGATORS, DUPLICATE_POLICY, RESOLUTIONS, Layout, Resolution
from btcts.domain.model import Candle, Tick
from btcts.providers.poller import Poller
from btcts.providers.simulated import Simulated
from btcts.services.collect.collector import Collector
from btcts.store import Store
from support.clocks import FakeClock
from support.exchanges import SimulatedMarket
from support.servers import Server, connect
from support.wires import Wire

NOW_MS = 1_767_270_896_789
MINUTE_MS, HOUR_MS = 60_000, 3_600_000
LAYOUT = Layout(BTC_USD)
MARKET = SimulatedMarket()
SLICE = 1000
FIVE = ("coinbase", "kraken", "bitstamp", "bitfinex", "gemini")

Command = tuple[Any, ...]
Work = Callable[[], object]


def appending(client: redis.Redis, store: Store, runs: int) -> Row:
    """10 000 ticks in slices of 1000, against one pipeline of TS.MADD with the same rules."""
    ticks = make_ticks(10_000, 8_000)
    slices = [ticks[start : start + SLICE] for start in range(0, len(ticks), SLICE)]

    def prepare() -> None:
        client.flushall()
        store.rebuild()

    def write() -> None:
        for part in slices:
            store.write(part)

    figures = [compare(write, lambda: _send(client, _madds(ticks)), 3, prepare) for _ in range(runs)]
    return Row("append of 10 000 ticks / bare TS.MADD", 1.25, figures)


def rebuilding(client: redis.Redis, store: Store, runs: int) -> Row:
    """26 hours of a tick every 10 seconds, against the MULTI alone with all its arguments at hand."""
    commands = [*_creation(), *_madds(make_ticks(26 * 360, 10_000))]
    _send(client, commands)
    figures = [compare(store.rebuild, lambda: _send(client, commands, transaction=True), 5) for _ in range(runs)]
    return Row("rebuild of 26 h / bare MULTI", 1.5, figures)


def reading(client: redis.Redis, store: Store, runs: int) -> Iterator[Row]:
    """Each read against bare commands for the same ranges; its own time; its slowest one of a hundred."""
    yield Row(
        "latest() / TS.GET",
        1.4,
        [compare(store.latest, lambda: client.ts().get(LAYOUT.tick), 200) for _ in range(runs)],
    )
    every = list(RESOLUTIONS.values())
    works: dict[str, tuple[Work, Sequence[Resolution]]] = {"snapshot()": (store.snapshot, every)}
    for resolution in every:
        works[f"slots({resolution.name})"] = (_slots_of(store, resolution.name), [resolution])
    for name, (work, resolutions) in works.items():
        ranges = list(_ranges(resolutions))
        yield Row(f"{name} / bare ranges", 2, [compare(work, lambda: _send(client, ranges), 100) for _ in range(runs)])  # noqa: B023
        taken = [time_each(work, 500) for _ in range(runs)]
        yield Row(f"{name}", 1, [statistics.median(times) * 1000 for times in taken], "ms")
        slowest = [statistics.quantiles(times, n=100)[98] / statistics.median(times) for times in taken]
        yield Row(f"{name}, p99 / p50", 5, slowest)


def idling(server: Server, runs: int) -> Iterator[Row]:
    """A cycle of a collector whose window is settled, against five providers that answer at once."""
    wire, clock = Wire(server.socket), FakeClock(NOW_MS - NOW_MS % MINUTE_MS + 20_000)
    wire.client.flushall()
    with Poller([Named(name, clock) for name in FIVE]) as poller, connect(server.socket) as watching:
        collector = Collector(Store(wire.client, BTC_USD, clock=clock, where="here"), poller, cadence_s=10.0)
        costs = []
        for _ in range(6 * runs):
            wire.reset()
            before, _ = _output(watching), _output(watching)
            own = _output(watching) - before
            spent = time.process_time()
            cycle = collector.cycle()
            spent = time.process_time() - spent
            received = _output(watching) - before - 3 * own // 2
            if not (cycle.settled or cycle.unsettled):
                kilobytes = (sum(wire.sent) + received) / 1024
                costs.append((len(wire.sent), wire.commands, kilobytes, spent * 1000))
            clock.advance(10_000)
    bars = (("round trips", 2, ""), ("commands", 15, ""), ("both ways", 10, "KB"), ("of Python", 4, "ms"))
    for (name, bar, unit), figures in zip(bars, zip(*costs, strict=True), strict=True):
        yield Row(f"idle cycle: {name}", bar, figures, unit)


class Named(Simulated):
    """The simulated market under the name of an exchange."""

    def __init__(self, name: str, clock: FakeClock) -> None:
        super().__init__(clock)
        self.name = name


def compare(mine: Work, bare: Work, repeats: int, prepare: Work = lambda: None) -> float:
    """Return the ratio of the medians of both ways, in turn."""
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(repeats):
        for work, taken in zip((mine, bare), times, strict=True):
            prepare()
            taken += time_each(work, 1)
    return statistics.median(times[0]) / statistics.median(times[1])


def time_each(work: Work, repeats: int) -> list[float]:
    """Return the seconds of each repetition."""
    taken = []
    for _ in range(repeats):
        began = time.perf_counter()
        work()
        taken.append(time.perf_counter() - began)
    return taken


def make_ticks(count: int, step_ms: int) -> list[Tick]:
    """Return ticks of the simulated market until now."""
    stamps = (NOW_MS - step_ms * (count - number) for number in range(count))
    return [Tick(stamp, MARKET.price(stamp)) for stamp in stamps]


def make_candles() -> Iterator[Candle]:
    """Return the candles of the window."""
    this_minute = NOW_MS - NOW_MS % MINUTE_MS
    market = Simulated(FakeClock(NOW_MS))
    return map(market.candle, range(this_minute - 25 * HOUR_MS, this_minute, MINUTE_MS))


def _slots_of(store: Store, name: str) -> Work:
    return lambda: store.slots(name)


def measure_redis(client: redis.Redis) -> int:
    """Return the bytes that the keys of a market take."""
    keys = (*LAYOUT.series, LAYOUT.state, LAYOUT.gaps)
    return sum(client.memory_usage(key, samples=0) or 0 for key in keys)


def _output(client: redis.Redis) -> int:
    sent: int = client.info("stats")["total_net_output_bytes"]
    return sent


def _ranges(resolutions: Sequence[Resolution]) -> Iterator[Command]:
    """The same ranges without what the store makes of them: compactions or buckets of ticks, minutes, marks, hashes."""
    oldest = min(resolution.closed(NOW_MS).start_ms for resolution in resolutions)
    yield from (("TIME",), ("TS.GET", LAYOUT.tick), ("HGETALL", LAYOUT.state), ("HGETALL", LAYOUT.gaps))
    for resolution in resolutions:
        yield from (
            ("TS.RANGE", compaction.key, "-", "+", "LATEST") for compaction in LAYOUT.list_compactions(resolution)
        )
        start, buckets = resolution.closed(NOW_MS).start_ms, resolution.bucket_ms
        for field in AGGREGATORS.keys() - set(resolution.fields):
            yield ("TS.RANGE", LAYOUT.tick, start, "+", "AGGREGATION", AGGREGATORS[field], buckets)
    recent = max(oldest, NOW_MS - NOW_MS % HOUR_MS - HOUR_MS)
    yield ("TS.RANGE", LAYOUT.tick, recent, "+", "AGGREGATION", "first", MINUTE_MS)
    marks = [settled_stamp(minute) for minute in range(recent - recent % MINUTE_MS, NOW_MS, MINUTE_MS)]
    yield ("TS.RANGE", LAYOUT.tick, marks[0], marks[-1], "FILTER_BY_TS", *marks)
    if oldest < recent:
        yield ("TS.RANGE", LAYOUT.tick, oldest, recent, "AGGREGATION", "count", HOUR_MS)
        yield ("TS.RANGE", LAYOUT.tick, oldest, recent, "AGGREGATION", "first", HOUR_MS)


def _creation() -> Iterator[Command]:
    yield ("DEL", *LAYOUT.series)
    for definition in LAYOUT.definitions:
        options = ("RETENTION", definition.retention_ms, "ENCODING", definition.encoding)
        labels = (part for label in definition.labels.items() for part in label)
        yield (
            *("TS.CREATE", definition.key, *options, "CHUNK_SIZE", definition.chunk_size),
            *("DUPLICATE_POLICY", DUPLICATE_POLICY, "LABELS", *labels),
        )
    for item in LAYOUT.compactions:
        yield ("TS.CREATERULE", LAYOUT.tick, item.key, "AGGREGATION", item.aggregator, item.resolution.bucket_ms)


def _madds(ticks: Sequence[Tick]) -> Iterator[Command]:
    for start in range(0, len(ticks), SLICE):
        yield ("TS.MADD", *(part for tick in ticks[start : start + SLICE] for part in (LAYOUT.tick, *tick)))


def _send(client: redis.Redis, commands: Iterable[Command], *, transaction: bool = False) -> None:
    pipe = client.pipeline(transaction=transaction)
    for command in commands:
        pipe.execute_command(*command)
    pipe.execute()


@contextmanager
def run_server() -> Iterator[Server]:
    """Run a server of its own."""
    with tempfile.TemporaryDirectory() as folder:
        server = Server(Path(folder)).start()
        try:
            yield server
        finally:
            server.kill()


def _measure_all(server: Server, runs: int) -> Iterator[Row]:
    with connect(server.socket) as client:
        store = Store(client, BTC_USD, clock=FakeClock(NOW_MS), where="here")
        yield appending(client, store, runs)
        yield rebuilding(client, store, runs)
        client.flushall()
        store.rebuild(live=make_ticks(26 * 360, 10_000), candles=make_candles())
        clock = FakeClock(NOW_MS)
        with Poller([Named(name, clock) for name in FIVE]) as poller:  # so that the hashes hold what they usually do
            Collector(store, poller, cadence_s=10.0).cycle()
        yield from reading(client, store, runs)
    yield from idling(server, runs)


def main() -> int:
    """Print the table; 1 where a bar is missed."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    gc.freeze()
    with run_server() as server:
        return print_rows(_measure_all(server, runs))


if __name__ == "__main__":
    sys.exit(main())
