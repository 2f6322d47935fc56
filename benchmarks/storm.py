"""The open buckets of `btcts collect --forever` through a real crash, beside collectors that poll.

    python benchmarks/storm.py [--minutes 10] [--skip 27] [--slowest 1900] [--beside streams|polls]

Five local exchanges play the recorded trades in real time, from minute SKIP of the recording on; the slowest one
tells of a trade SLOWEST ms after it. Three collectors run on three Redis servers: with streams, and without them at
intervals of 10 and 1 s. Each second a reader compares the open bucket of each resolution with what it should hold: of
minutes that are settled their candles, of others the median of the trades sent by then. What was sent from 1.5 s
before the newest tick on may be in or not. Each settled candle has to be the median of what three or more exchanges
traded then. With --beside a second collector of that kind works on the first Redis. How long a trade takes counts
from the moment at which its stream is told to send it until a look at the newest tick, 50 a second, finds one made
since; only trades that change the price or the bounds count.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median, quantiles

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from forever import measure
from report import Row, print_rows
from traffic import CountingExchanges
from truth import CLOSE_MS, Range, Truth, judge_candles, measure_error, read_candles
from venues import MINUTE_MS, TRAITS, Venue, VenueMarket, now_ms, read_recording

import btcts
from btcts.domain.layout import RESOLUTIONS
from btcts.domain.model import Slot
from btcts.store import Store
from btcts.store.reads import Snapshot
from support.servers import Server, connect

COLLECTORS = {"streams": (), "polls-10": ("--no-streams", "--interval=10"), "polls-1": ("--no-streams", "--interval=1")}
STREAMS = "streams"
RIVALS = {"streams": (), "polls": ("--no-streams",)}
UNDER_WAY_MS = 1_500
WARM_UP_S = 60


@dataclass
class Run:
    """One collector: its store, its process and what was seen of it."""

    name: str
    server: Server
    store: Store
    process: "subprocess.Popen[bytes]"
    exchanges: Sequence[CountingExchanges]
    ages_ms: list[int] = field(default_factory=list)
    seen: list[tuple[int, int]] = field(default_factory=list)
    """When a new tick was seen, and its stamp."""
    settled_after_ms: list[int] = field(default_factory=list)
    compared: int = 0
    claimed: int = 0
    wrong: list[str] = field(default_factory=list)
    right: int = 0
    errors_bps: list[float] = field(default_factory=list)

    def count_requests(self) -> int:
        """Count the requests so far."""
        return sum(exchanges.asked.total() for exchanges in self.exchanges)


@contextmanager
def collecting(
    name: str, options: Sequence[str], venues: Sequence[Venue], folder: Path, *, rivals: Sequence[Sequence[str]] = ()
) -> Iterator[Run]:
    """A collector on a Redis of its own, perhaps beside rivals, and on exchanges that count its requests."""
    folder.mkdir()
    with ExitStack() as stack:
        server = Server(folder).start()
        stack.callback(server.kill)
        url = f"unix://{server.socket}"
        environ = {"REDIS_URL": url, "BTCTS_DATA_DIR": str(folder / "data"), "HOME": str(folder)}
        environ |= {"PATH": os.environ["PATH"], "BTCTS_COLLECT_PROVIDERS": ",".join(TRAITS)}
        asked = []
        for venue in venues:
            exchanges = stack.enter_context(CountingExchanges(venue.market, now_ms=now_ms))
            asked.append(exchanges)
            environ[f"BTCTS_PROVIDERS_{venue.market.name.upper()}_URL"] = exchanges.url(venue.market.name)
            environ[f"BTCTS_PROVIDERS_{venue.market.name.upper()}_STREAM_URL"] = venue.server.url
        command = [sys.executable, "-m", "btcts", "collect", "--forever", "--format=json"]
        for file, given in (*((f"rival {place}", rival) for place, rival in enumerate(rivals)), ("cycles", options)):
            cycles = stack.enter_context((folder / file).open("wb"))
            process = stack.enter_context(subprocess.Popen([*command, *given], env=environ, stdout=cycles))
            stack.callback(process.kill)
        yield Run(name, server, stack.enter_context(btcts.open_store(url)), process, asked)


def watch_ticks(runs: Sequence[Run], ending: threading.Event) -> None:
    """Look at the newest ticks, and for the marks of minutes that are over, until the end."""
    clients = [connect(run.server.socket) for run in runs]
    pending: list[set[int]] = [set() for _ in runs]
    newest_minute = now_ms() // MINUTE_MS * MINUTE_MS
    looks = 0
    while not ending.wait(0.02):
        looks += 1
        over = [now_ms() // MINUTE_MS * MINUTE_MS] if now_ms() // MINUTE_MS * MINUTE_MS > newest_minute else []
        for run, client, minutes in zip(runs, clients, pending, strict=True):
            stamp = client.execute_command("TS.GET", "btc:price:tick")[0]
            seen_ms = now_ms()
            run.ages_ms.append(seen_ms - stamp)
            if not run.seen or run.seen[-1][1] != stamp:
                run.seen.append((seen_ms, stamp))
            minutes.update(minute - MINUTE_MS for minute in over)
            for minute in [*minutes] if looks % 5 == 0 else []:
                mark = minute + CLOSE_MS
                if client.execute_command("TS.RANGE", "btc:price:tick", mark, mark):
                    run.settled_after_ms.append(now_ms() - minute - MINUTE_MS)
                    minutes.remove(minute)
        newest_minute = max([newest_minute, *over])


def compare(run: Run, truth: Truth) -> None:
    """Compare the open buckets of one collector with the truth."""
    settled = [read_candles(run.server)]
    snapshot = run.store.snapshot()
    settled.append(read_candles(run.server))
    if snapshot.newest is None:
        return
    run.compared += 1
    for name in RESOLUTIONS:
        slot = snapshot.slots[name][-1]
        expected = truth.find_bucket(slot.start_ms, snapshot, snapshot.newest.time_ms - UNDER_WAY_MS, settled)
        run.claimed += slot.exact
        if expected is None or slot.min is None or slot.max is None:
            if slot.exact:
                run.wrong.append(f"{name} {slot} beside {expected}")
            continue
        error = max(measure_error(slot.min, expected[0]), measure_error(slot.max, expected[1]))
        run.right += not error
        if error and slot.exact:
            run.wrong.append(describe_error(name, slot, expected, snapshot))
        if not slot.exact:
            run.errors_bps.append(error)


def describe_error(name: str, slot: Slot, expected: tuple[Range, Range], snapshot: Snapshot) -> str:
    """Describe a wrong claim, with what helps to find its cause."""
    running = snapshot.now_ms // MINUTE_MS * MINUTE_MS
    unsettled = [
        (minute - running) // MINUTE_MS
        for minute in range(slot.start_ms, running + 1, MINUTE_MS)
        if minute not in snapshot.coverage.settled
    ]
    return (
        f"{name} at {snapshot.now_ms} (second {snapshot.now_ms % MINUTE_MS / 1000}), newest {snapshot.newest}: "
        f"min {slot.min} max {slot.max}, right {expected}, unsettled {unsettled}, "
        f"exact since {snapshot.state.exact_since_ms}"
    )


def read_each_second(runs: Sequence[Run], truth: Truth, seconds: float) -> None:
    """Compare each second until the time is up; say what claims were wrong at once."""
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        time.sleep(min(1.0, left))
        for run in runs:
            before = len(run.wrong)
            compare(run, truth)
            for complaint in run.wrong[before:]:
                print(f"WRONG {run.name}: {complaint}", flush=True)


def find_delays(venues: Sequence[Venue], run: Run) -> Iterator[tuple[int, bool]]:
    """Yield how long trades took that change price or bounds, and whether nothing had been written for a second."""
    told = sorted((each, venue.market.name) for venue in venues for list_ in venue.told.values() for each in list_)
    last: dict[str, float] = {}
    ranges: dict[tuple[int, str], Range] = {}
    before: object = None
    place = 0
    for (sent_ms, trade), name in told:
        minute = trade.time_ns // 10**6 // MINUTE_MS
        low, high = ranges.get((minute, name), (trade.price, trade.price))
        ranges[minute, name] = min(low, trade.price), max(high, trade.price)
        last[name] = trade.price
        held = [ranges[minute, each] for each in TRAITS if (minute, each) in ranges]
        after = minute, median(last.values()), median(each[0] for each in held), median(each[1] for each in held)
        while place < len(run.seen) and run.seen[place][1] < sent_ms - 2:
            place += 1
        if place == len(run.seen):
            return
        if after != before and place and sent_ms >= run.seen[0][0]:
            yield run.seen[place][0] - sent_ms, sent_ms - run.seen[place - 1][1] >= 1_000
        before = after


def describe(values: Iterable[float]) -> str:
    """Return the number of values, and percentiles of them."""
    ordered = sorted(values)
    if len(ordered) < 2:
        return f"{len(ordered)} values"
    cuts = quantiles(ordered, n=100, method="inclusive")
    return f"{len(ordered)} values, p50 {cuts[49]:.1f}, p90 {cuts[89]:.1f}, p99 {cuts[98]:.1f}, most {ordered[-1]:.1f}"


def find_percentile(values: Sequence[float], percent: int) -> float:
    """Return a percentile."""
    return quantiles(values, n=100, method="inclusive")[percent - 1] if len(values) > 1 else float("nan")


def print_run(run: Run, requests: int, busy_s: float, seconds: float, folder: Path) -> None:
    """Print what was seen of one collector."""
    cycles = [json.loads(line) for line in (folder / "cycles").read_text().splitlines()]
    late = max((cycle["took_ms"] for cycle in cycles), default=0)
    problems = sorted({cycle["problem"] for cycle in cycles if cycle["problem"]})
    slots = run.compared * len(RESOLUTIONS)
    print(f"\n{run.name}: {run.compared} seconds, {slots} open buckets, {100 * run.right / slots:.1f} % right")
    print(f"  claimed exact {100 * run.claimed / slots:.1f} %, {len(run.wrong)} of {run.claimed} claims wrong")
    print(f"  error of the others, bps: {describe(run.errors_bps)}")
    print(f"  age of the price, ms: {describe(run.ages_ms)}")
    print(f"  minutes settled after their end, ms: {describe(run.settled_after_ms)}")
    print(f"  {requests} requests in {seconds / 60:.0f} min, {busy_s:.1f} s of a core ({100 * busy_s / seconds:.2f} %)")
    with connect(run.server.socket) as client:
        scripts = client.info("commandstats")["cmdstat_evalsha"]
    print(f"  {scripts['calls']} calls of scripts, {scripts['usec_per_call']:.0f} us of Redis each")
    print(f"  {len(cycles)} cycles, the longest {late} ms, problems: {problems or 'none'}")


def list_rows(run: Run, delays: Sequence[tuple[int, bool]]) -> Iterator[Row]:
    """List the bars."""
    yield Row("claims of exactness that were wrong", 0, [len(run.wrong)], "")
    yield Row("age of the price, p50", 1_000, [find_percentile(run.ages_ms, 50)], "ms")
    yield Row("age of the price, p99", 2_000, [find_percentile(run.ages_ms, 99)], "ms")
    yield Row("minutes settled after their end, p50", 3_000, [find_percentile(run.settled_after_ms, 50)], "ms")
    yield Row("minutes settled after their end, p99", 6_000, [find_percentile(run.settled_after_ms, 99)], "ms")
    quiet = [delay for delay, was_quiet in delays if was_quiet]
    yield Row("trade to readable after a quiet second, p50", 50, [find_percentile(quiet, 50)], "ms")


def main() -> int:
    """Run it, and print the table; 1 where a bar is missed."""
    parser = argparse.ArgumentParser(description="Compare open buckets with the trades through a crash.")
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--skip", type=int, default=27)
    parser.add_argument("--slowest", type=int, default=1_900)
    parser.add_argument("--beside", choices=sorted(RIVALS))
    arguments = parser.parse_args()
    rivals = [RIVALS[arguments.beside]] if arguments.beside else []
    origin_ms = (now_ms() // MINUTE_MS - arguments.skip + 1) * MINUTE_MS
    recording, seconds = read_recording(), 60 * arguments.minutes
    print(f"load of the machine: {os.getloadavg()[0]:.1f}")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="btcts-storm-")))
        venues = [
            stack.enter_context(Venue(VenueMarket(name, recording, origin_ms), arguments.slowest)) for name in TRAITS
        ]
        runs = [
            stack.enter_context(
                collecting(name, options, venues, folder / name, rivals=rivals if name == STREAMS else ())
            )
            for name, options in COLLECTORS.items()
        ]
        time.sleep(WARM_UP_S)
        asked = [run.count_requests() for run in runs]
        busy = [measure(run.process.pid)[1] for run in runs]
        ending = threading.Event()
        watcher = threading.Thread(target=watch_ticks, args=(runs, ending), daemon=True)
        watcher.start()
        truth = Truth(venues)
        try:
            read_each_second(runs, truth, seconds)
        finally:
            ending.set()
            watcher.join()
        for run, before, busy_s in zip(runs, asked, busy, strict=True):
            spent_s = measure(run.process.pid)[1] - busy_s
            complaints, errors = judge_candles(run.server, truth)
            for complaint in complaints:
                print(f"WRONG candle of {run.name}: {complaint}")
            print_run(run, run.count_requests() - before, spent_s, seconds, folder / run.name)
            print(f"  settled candles beside the medians of all five, bps: {describe(errors)}")
        delays = list(find_delays(venues, runs[0]))
        print(f"\ntrade to readable, ms: {describe(delay for delay, _ in delays)}")
        print(f"the same after a second without a tick, ms: {describe(delay for delay, quiet in delays if quiet)}")
        memory_mib, _ = measure(runs[0].process.pid)
        print(f"memory with streams: {memory_mib:.0f} MiB; load of the machine: {os.getloadavg()[0]:.1f}\n")
        return print_rows(list_rows(runs[0], delays))


if __name__ == "__main__":
    sys.exit(main())
