"""How fast ticks are appended beside rrdtool and whisper, the round-robin databases of the field, in one run.

    python benchmarks/peers.py [RUNS]

Needs the command rrdtool and the Python package whisper; what is not there is left out and said. All keep the same
resolutions, 60 x 1 min, 12 x 5 min, 4 x 15 min and 24 x 1 h, with the last value, the minimum and the maximum.
"""

import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

from btcts.config import BTC_USD
from btcts.domain.layout import RESOLUTIONS
from btcts.domain.model import Tick
from store import SLICE, FakeClock, Server, Store, connect

COUNT = 10_000
STEP_S = 8


def ticks() -> list[Tick]:
    """Ticks of the last day, one every 8 seconds: whisper refuses what its archives no longer hold."""
    first = int(time.time()) - COUNT * STEP_S
    return [Tick((first + number * STEP_S) * 1000, 60_000 + number % 997 / 7) for number in range(1, COUNT + 1)]


def with_btcts(given: list[Tick], folder: Path) -> float:
    """Seconds for all ticks, in slices of 1000, with the ten rules."""
    server = Server(folder).start()
    try:
        with connect(server.socket) as client:
            store = Store(client, BTC_USD, clock=FakeClock(given[-1].time_ms), where="the benchmark")
            store.rebuild()
            began = time.perf_counter()
            for start in range(0, COUNT, SLICE):
                store.write(given[start : start + SLICE])
            return time.perf_counter() - began
    finally:
        server.kill()


def with_rrdtool(given: list[Tick], folder: Path) -> float:
    """Seconds for all ticks through one rrdtool that reads commands from a pipe."""
    path = folder / "prices.rrd"
    start_s = given[0].time_ms // 1000 - 1
    command = ["rrdtool", "create", str(path), "--start", str(start_s), "--step", "8", "DS:price:GAUGE:120:0:U"]
    subprocess.run([*command, *_archives()], check=True)
    updates = "".join(f"update {path} {time_ms // 1000}:{price!r}\n" for time_ms, price in given)
    began = time.perf_counter()
    done = subprocess.run(["rrdtool", "-"], input=updates, capture_output=True, text=True, check=True)
    taken = time.perf_counter() - began
    if done.stdout.count("OK") != COUNT:
        raise SystemExit(f"rrdtool refused updates: {done.stdout[:200]}")
    return taken


def with_whisper(given: list[Tick], folder: Path) -> float:
    """Seconds for all ticks, each an update of three files: one file has one aggregation."""
    import whisper

    archives = [(60, 60), (300, 13), (900, 5), (3600, 24)]  # each must cover more than the one before
    paths = [str(folder / f"{kind}.wsp") for kind in ("last", "min", "max")]
    for path in paths:
        whisper.create(path, archives, xFilesFactor=0, aggregationMethod=Path(path).stem)
    began = time.perf_counter()
    for time_ms, price in given:
        for path in paths:
            whisper.update(path, price, time_ms // 1000)
    return time.perf_counter() - began


def _archives() -> Iterator[str]:
    for each in RESOLUTIONS.values():
        for kind in ("LAST", "MIN", "MAX"):
            yield f"RRA:{kind}:0.5:{max(1, each.bucket_ms // 1000 // STEP_S)}:{each.entries}"


def measure(way: Callable[[list[Tick], Path], float], runs: int) -> float:
    """Median seconds."""
    taken = []
    for _ in range(runs):
        with tempfile.TemporaryDirectory() as folder:
            taken.append(way(ticks(), Path(folder)))
    return statistics.median(taken)


def main() -> None:
    """Print the table."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    mine = measure(with_btcts, runs)
    print(f"{'btcts':<10} {mine * 1000:8.1f} ms for {COUNT} ticks")
    peers = [("rrdtool", with_rrdtool, shutil.which("rrdtool"), 5), ("whisper", with_whisper, find_spec("whisper"), 40)]
    for name, way, there, bar in peers:
        if not there:
            print(f"{name:<10} is not installed")
            continue
        taken = measure(way, runs)
        verdict = "holds" if taken / mine >= bar else "MISSED"
        print(f"{name:<10} {taken * 1000:8.1f} ms, {taken / mine:5.1f} times as long  bar {bar} {verdict}")


if __name__ == "__main__":
    main()
