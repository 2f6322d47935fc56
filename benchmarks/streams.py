"""What `btcts collect --forever` takes with five streams at real rates, and how it bears a burst.

    python benchmarks/streams.py [--minutes 10] [--burst 5000] [--all]

The real command against local exchanges: 50 messages a second from five streams for so long, then so many a second from
one of them (or from each, with --all) for 10 s. Of the burst nothing may be lost: the streams see no gap, and the
settled minutes are those of all trades that were sent. No cycle may be late, and no two ticks more than 2 s apart.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from itertools import pairwise, product
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from forever import FIVE, measure, now_ms
from report import Row, print_rows

import btcts
from btcts.domain.model import Span
from btcts.domain.trades import Trade
from btcts.store import Store
from support.exchanges import Exchanges, SimulatedMarket, Traded
from support.exchanges.stream_server import StreamServer
from support.servers import Server

MINUTE_MS = 60_000
WARM_UP_S = 40
RATE = 10
BATCHES = 10
BURST_S = 10
INTERVAL_MS = 10_000
COUNTING = ("coinbase", "kraken")


class ToldMarket(SimulatedMarket):
    """The market of one exchange: simulated, and since the beginning what its stream has told."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self._chance = random.Random(seed)
        self._numbers = 1_000_000
        self._told: dict[int, Traded] = {}
        self._last: Trade | None = None

    def make_trades(self, count: int) -> list[Trade]:
        """Make trades of this moment, scattered around the simulated price."""
        made = []
        for _ in range(count):
            time_ns, base = time.time_ns() // 10**6 * 10**6, super().price(now_ms())
            self._numbers += 1
            made.append(Trade(time_ns, self._numbers, round((base or 1.0) * self._chance.gauss(1, 0.0005), 2)))
        for trade in made:
            minute = trade.time_ns // 10**6 // MINUTE_MS * MINUTE_MS
            start, high, low, _, volume = self._told.get(minute, (trade.price, trade.price, trade.price, 0, 0.0))
            self._told[minute] = Traded(start, max(high, trade.price), min(low, trade.price), trade.price, volume + 1)
            self._last = trade
        return made

    def price(self, time_ms: int) -> float | None:
        """The price of the last trade."""
        return self._last.price if self._last else super().price(time_ms)

    def candle(self, minute_ms: int, until_ms: int | None = None) -> Traded | None:
        """The trades that were told; before there were any, those that are simulated."""
        return self._told.get(minute_ms) or super().candle(minute_ms, until_ms)


def observe(process: int) -> dict[str, float]:
    """Return memory in MiB, threads and descriptors of a process."""
    status = Path(f"/proc/{process}/status").read_text()
    lines = dict(line.split(":", 1) for line in status.splitlines())
    descriptors = sum(1 for _ in Path(f"/proc/{process}/fd").iterdir())
    memory = int(lines["VmRSS"].split()[0]) / 1024
    return {"memory": memory, "threads": float(lines["Threads"]), "descriptors": float(descriptors)}


class Player:
    """The five streams and their markets; counts what was told."""

    def __init__(self, servers: Mapping[str, StreamServer], markets: Mapping[str, ToldMarket]) -> None:
        self.told = 0
        self.late_s = 0.0
        self._servers = servers
        self._markets = markets

    def play(self, seconds: float, rates: Mapping[str, int]) -> Iterator[float]:
        """Tell so many trades a second, in ten batches, one exchange after the other; yield each second."""
        began = time.monotonic()
        for place, (batch, name) in enumerate(product(range(round(seconds * BATCHES)), rates)):
            left_s = began + place / BATCHES / len(rates) - time.monotonic()
            self.late_s = max(self.late_s, -left_s)
            time.sleep(max(0.0, left_s))
            self._tell(name, rates[name] // BATCHES)
            if batch % BATCHES == 0 and name in COUNTING:
                self._servers[name].beat()
            if place % (BATCHES * len(rates)) == 0:
                yield time.monotonic() - began

    def _tell(self, name: str, count: int) -> None:
        trades = self._markets[name].make_trades(count)
        self._servers[name].say(trades)
        self.told += len(trades)


def find_lost(store: Store, markets: Mapping[str, ToldMarket], minutes: range) -> Iterator[str]:
    """Yield what shows that trades were lost."""
    snapshot = store.snapshot()
    for name, state in snapshot.state.streams.items():
        if state.gap_ms is not None or state.reconnects:
            yield f"the stream of {name} had a gap: {state}"
    slots = {slot.start_ms: slot for slot in snapshot.slots["minute"]}
    for minute in minutes:
        candles = [candle for market in markets.values() if (candle := market.candle(minute))]
        expected = median(each.low for each in candles), median(each.high for each in candles)
        slot = slots[minute]
        if (slot.min, slot.max, slot.settled) != (*expected, True):
            yield f"{minute}: {slot}, not {expected}"


def find_gaps(store: Store, span: Span) -> list[int]:
    """Return the times between live ticks."""
    stamps = [tick.time_ms for tick in store.ticks(span) if tick.time_ms % MINUTE_MS not in (0, 1, 2, 20_000, 40_000)]
    return [after - before for before, after in pairwise(stamps)]


def list_rows(arguments: argparse.Namespace, folder: Path, stack: ExitStack) -> Iterator[Row]:
    """Run both parts, and list the bars."""
    markets = {name: ToldMarket(seed) for seed, name in enumerate(FIVE)}
    servers = {name: stack.enter_context(StreamServer(name)) for name in FIVE}
    redis = Server(folder).start()
    stack.callback(redis.kill)
    url = f"unix://{redis.socket}"
    environ = {"PATH": os.environ["PATH"], "HOME": str(folder), "REDIS_URL": url, "BTCTS_DATA_DIR": str(folder)}
    for name, market in markets.items():
        exchanges = stack.enter_context(Exchanges(market, now_ms=now_ms))
        environ[f"BTCTS_PROVIDERS_{name.upper()}_URL"] = exchanges.url(name)
        environ[f"BTCTS_PROVIDERS_{name.upper()}_STREAM_URL"] = servers[name].url
    environ["BTCTS_COLLECT_PROVIDERS"] = ",".join(FIVE)
    player, usual = Player(servers, markets), dict.fromkeys(FIVE, RATE)
    cycles = stack.enter_context((folder / "cycles").open("wb"))
    command = [sys.executable, "-m", "btcts", "collect", "--forever", "--format=json"]
    process = stack.enter_context(subprocess.Popen(command, env=environ, stdout=cycles))
    stack.callback(process.kill)
    for _ in player.play(WARM_UP_S, usual):
        pass
    yield from measure_steady(player, process.pid, 60 * arguments.minutes, usual)
    store = stack.enter_context(btcts.open_store(url))
    first = now_ms()
    rates = {name: arguments.burst if arguments.all or name == FIVE[0] else RATE for name in FIVE}
    yield from measure_burst(player, process.pid, rates)
    last = now_ms()
    while now_ms() < last // MINUTE_MS * MINUTE_MS + MINUTE_MS + 15_000:  # until its minute is settled
        for _ in player.play(1, usual):
            pass
    lost = list(find_lost(store, markets, range(first // MINUTE_MS * MINUTE_MS, last, MINUTE_MS)))
    for complaint in lost:
        print(complaint)
    yield Row("signs of lost trades", 0, [len(lost)], "")
    yield Row("longest time between ticks", 2_000, [max(find_gaps(store, Span(first - 5_000, last + 10_000)))], "ms")
    told = [json.loads(line) for line in (folder / "cycles").read_text().splitlines()]
    yield Row("longest cycle", INTERVAL_MS, [max(cycle["took_ms"] for cycle in told[1:])], "ms")
    problems = [cycle["problem"] for cycle in told if cycle["problem"]]
    for problem in problems:
        print(problem)
    yield Row("cycles with a problem", 0, [len(problems)], "")


def measure_steady(player: Player, process: int, seconds: float, rates: Mapping[str, int]) -> Iterator[Row]:
    """Measure at real rates."""
    told, (_, before_s), seen = player.told, measure(process), []
    for _ in player.play(seconds, rates):
        seen.append(observe(process))
    spent_s = measure(process)[1] - before_s
    third = max(1, len(seen) // 3)
    growth = {name: find_median(seen[-third:], name) - find_median(seen[third : 2 * third], name) for name in seen[0]}
    print(", ".join(f"{name} {seen[-1][name]:.0f} ({growth[name]:+.1f})" for name in growth))
    print(f"{player.told - told} messages, {1e6 * spent_s / (player.told - told):.0f} us of a core each, all included")
    print(f"the player was late by {player.late_s:.2f} s; load of the machine {os.getloadavg()[0]:.1f}")
    yield Row("memory with five streams", 70, [max(each["memory"] for each in seen)], "MiB")
    yield Row("growth in the last third", 1, [growth["memory"]], "MiB")
    yield Row("of a core, 50 messages a second", 2, [100 * spent_s / seconds], "%")


def find_median(seen: Sequence[Mapping[str, float]], name: str) -> float:
    """Return the median of what was seen of one thing."""
    return median(each[name] for each in seen)


def measure_burst(player: Player, process: int, rates: Mapping[str, int]) -> Iterator[Row]:
    """Measure a burst."""
    told, (_, before_s), began, player.late_s = player.told, measure(process), time.monotonic(), 0.0
    most = 0.0
    for _ in player.play(BURST_S, rates):
        most = max(most, observe(process)["memory"])
    took_s, spent_s = time.monotonic() - began, measure(process)[1] - before_s
    count = player.told - told
    print(f"burst: {count} trades in {took_s:.1f} s, {1e6 * spent_s / count:.0f} us of a core each")
    print(f"the player was late by {player.late_s:.2f} s; load of the machine {os.getloadavg()[0]:.1f}")
    yield Row("memory in the burst", 120, [most], "MiB")


def main() -> int:
    """Run it, and print the table; 1 where a bar is missed."""
    parser = argparse.ArgumentParser(description="Collect from five streams at real rates, and through a burst.")
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--burst", type=int, default=5_000)
    parser.add_argument("--all", action="store_true")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="btcts-streams-")))
        return print_rows(list_rows(parser.parse_args(), folder, stack))


if __name__ == "__main__":
    sys.exit(main())
