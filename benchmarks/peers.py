"""The cost of appending ticks, beside rrdtool and whisper, the round-robin databases of the field.

    python benchmarks/peers.py [RUNS]

Needs the command rrdtool and the Python package whisper; what is not there is left out and said. All keep 60 x 1 min,
12 x 5 min, 4 x 15 min and 24 x 1 h with the last value, the minimum and the maximum, and all leave their writes to the
kernel: they outlive the process, not a power cut. Each writes 1 000 ticks at a time and one at a time, in turn.

They do not do the same: btcts also keeps the ticks of 26 hours, takes late ones and changes every bucket that they are
in, and answers over a socket; rrdtool takes ascending ticks alone, whisper keeps one aggregation a file.
"""

import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from btcts.config import BTC_USD
from btcts.domain.layout import RESOLUTIONS
from btcts.domain.model import Tick
from btcts.store import Store
from support.clocks import FakeClock
from support.servers import Server, connect

BATCHED, ALONE = 10_000, 1_000
"""Ticks that are written 1 000 at a time, and one at a time."""

SLICE = 1000
STEP_S = 10

Write = Callable[[Sequence[Tick]], object]
"""Appends ticks, ascending."""


@contextmanager
def open_btcts(folder: Path, first: Tick, last: Tick) -> Iterator[Write]:
    """Open a store whose server logs what it writes."""
    server = Server(folder, "--appendonly", "yes", "--appendfsync", "no").start()
    try:
        with connect(server.socket) as client:
            store = Store(client, BTC_USD, clock=FakeClock(last.time_ms), where="the benchmark")
            store.rebuild()
            yield store.write
    finally:
        server.kill()


@contextmanager
def open_rrdtool(folder: Path, first: Tick, last: Tick) -> Iterator[Write]:
    """Open a file with twelve archives, of steps of 10 s, and one rrdtool that is told by a pipe."""
    path = folder / "prices.rrd"
    start_s = first.time_ms // 1000 - 1
    source = f"DS:price:GAUGE:{2 * STEP_S}:0:U"
    archives = [
        f"RRA:{kind}:0:{resolution.bucket_ms // 1000 // STEP_S}:{resolution.entries}"
        for resolution in RESOLUTIONS.values()
        for kind in ("LAST", "MIN", "MAX")
    ]
    create = ["rrdtool", "create", str(path), "--start", str(start_s), "--step", str(STEP_S), source, *archives]
    subprocess.run(create, check=True)
    with subprocess.Popen(["rrdtool", "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as tool:
        assert tool.stdin
        assert tool.stdout
        told, answers = tool.stdin, tool.stdout

        def write(ticks: Sequence[Tick]) -> None:
            values = " ".join(f"{time_ms // 1000}:{price!r}" for time_ms, price in ticks)
            told.write(f"update {path} {values}\n")
            told.flush()
            if not (answer := answers.readline()).startswith("OK"):
                raise SystemExit(f"rrdtool refused an update: {answer}")

        yield write
        told.close()


@contextmanager
def open_whisper(folder: Path, first: Tick, last: Tick) -> Iterator[Write]:
    """Open three files, one for each aggregation, whose first archive keeps what a minute is made of."""
    import whisper

    archives = [(STEP_S, 36)] + [
        (resolution.bucket_ms // 1000, resolution.entries + (resolution.name in ("5min", "15min")))
        for resolution in RESOLUTIONS.values()  # each archive must reach back farther than the one before
    ]
    paths = [str(folder / f"{kind}.wsp") for kind in ("last", "min", "max")]
    for path in paths:
        whisper.create(path, archives, xFilesFactor=0, aggregationMethod=Path(path).stem)

    def write(ticks: Sequence[Tick]) -> None:
        points = [(time_ms // 1000, price) for time_ms, price in ticks]
        for path in paths:
            if len(points) == 1:
                whisper.update(path, points[0][1], points[0][0])
            else:
                whisper.update_many(path, points)

    yield write


def measure(opened: Callable[..., object], count: int, size: int) -> float:
    """Return the microseconds for one of `count` ticks that are written `size` at a time."""
    now_s = int(time.time()) // STEP_S * STEP_S
    ticks = [Tick((now_s - STEP_S * (count - number)) * 1000, 60_000 + number % 997 / 8) for number in range(count)]
    with tempfile.TemporaryDirectory() as folder, opened(Path(folder), ticks[0], ticks[-1]) as write:  # type: ignore[attr-defined]
        began = time.perf_counter()
        for start in range(0, count, size):
            write(ticks[start : start + size])
        return (time.perf_counter() - began) / count * 1e6


def main() -> None:
    """Print the table."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    peers = {
        "btcts": (open_btcts, True),
        "rrdtool": (open_rrdtool, shutil.which("rrdtool")),
        "whisper": (open_whisper, find_spec("whisper")),
    }
    print("microseconds a tick, median (least to most)")
    for count, size in ((BATCHED, SLICE), (ALONE, 1)):
        there = {name: opened for name, (opened, installed) in peers.items() if installed}
        taken = {name: [] for name in there}  # type: dict[str, list[float]]
        for _ in range(runs):
            for name, opened in there.items():
                taken[name].append(measure(opened, count, size))
        for name in peers:
            if name not in there:
                print(f"{size:>5} at a time  {name:<8} is not installed")
                continue
            spread = f"({min(taken[name]):.1f} to {max(taken[name]):.1f})"
            print(f"{size:>5} at a time  {name:<8} {statistics.median(taken[name]):8.1f} {spread}")


if __name__ == "__main__":
    main()
