"""An hour of `btcts collect --forever` against exchanges whose faults change every few seconds, and what it comes to.

    python benchmarks/hour.py [--minutes 60] [--interval 1] [--seed 1]

It must not end, its memory, threads and descriptors must not grow, and once the exchanges are well again every closed
bucket must be what the market says, worked out here from its candles alone. 1 when anything of it is not so.
"""

import argparse
import gzip
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from simulation.chaos.answers import ABSURD
from simulation.place import CANDLES, PRICES
from support.exchanges import Exchanges, Fault, SimulatedMarket
from support.exchanges.faults import HTML, doubled, shuffled
from support.oracle import KEPT
from support.series import MINUTE, samples
from support.servers import Server, connect

EXCHANGES = tuple(CANDLES)
HARMFUL = (
    b"1e300000000",
    b"9" * 100_000,
    b"[" * 100_000,
    b"[" + b"[]," * 300_000 + b"0]",
    b"[" + b"1e5," * 240_000 + b"0]",
)
BOMB = gzip.compress(gzip.compress(bytes(50_000_000)))

FAULTS: tuple[Mapping[str, Any], ...] = (
    *({"status": status} for status in (400, 403, 500, 502, 503)),
    *({"status": status, "headers": {"Retry-After": "3"}} for status in (429, 418, 503)),
    {"status": 429, "headers": {"Retry-After": "3", "Set-Cookie": "a=" + "b" * 4000}},
    *({"status": 302, "body": b"", "headers": {"Location": place}} for place in ("about:blank", "/x", "http://[")),
    *({"body": body} for body in (HTML, b"", b"null", b"{}", b"[]x", b"\xff\xfe", b" " * 2_000_000, *HARMFUL)),
    {"body": BOMB, "headers": {"Content-Encoding": "gzip, gzip"}},
    {"body": BOMB, "headers": {"Content-Encoding": "gzip"}},
    {"error": "EService:Unavailable"},
    {"cut": True},
    {"reset": True},
    {"delay_s": 0.3},
    {"delay_s": 30.0},
    {"trickle_s": 0.05},
    {"rows": doubled},
    {"rows": shuffled},
    {"headers": {"Date": "Mon, 99 Foo 99999 99:99:99 GMT", "Age": "9" * 300}},
    *({"price": price} for price in ABSURD),
)
LIES: tuple[Mapping[str, Any], ...] = tuple({"factor": factor} for factor in (0.5, 0.9, 1.05, 1.2, 40.0))

CHANGES_S = (2.0, 6.0)
"""Faults change after so long, by chance."""

HEALED_WITHIN_S = 240.0
CHECKED_BEFORE_MS = 90_000
"""The market is compared with buckets that have been closed for so long."""

WARM_UP = 0.33
"""The part of the run in which memory, threads and descriptors find their level: each thread that has ever read a large
answer at the same time as others leaves a few MiB to the next one."""

JUDGED_FROM_MIN = 20
"""Shorter runs are too short to judge growth by."""

MOST_MIB = 100

MOST_GROWTH = {"memory": 8.0, "threads": 3.0, "descriptors": 6.0}
"""From the first third behind the warm-up to the last one, in MiB and in numbers."""


@dataclass
class Run:
    """The measurements of the loop so far."""

    process: "subprocess.Popen[str]"
    cycles: int = 0
    stored: int = 0
    longest_ms: int = 0
    unsettled: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    measured: list[dict[str, float]] = field(default_factory=list)

    def listen(self) -> None:
        """Take in the cycles, until the process has ended."""
        assert self.process.stdout
        for line in self.process.stdout:
            cycle = json.loads(line)
            self.cycles += 1
            self.stored += cycle["stored"] is not None
            self.longest_ms = max(self.longest_ms, cycle["took_ms"])
            self.unsettled = cycle["unsettled"]
            self.reasons.update(refusal["reason"].partition(" from http")[0][:60] for refusal in cycle["refused"])
            if cycle["problem"]:
                self.reasons[f"PROBLEM {cycle['problem'][:60]}"] += 1

    def measure(self) -> dict[str, float]:
        """Measure how much the process has now."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        lines = dict(line.split(":", 1) for line in status.splitlines())
        found = {
            "memory": int(lines["VmRSS"].split()[0]) / 1024,
            "threads": float(lines["Threads"]),
            "descriptors": float(sum(1 for _ in Path(f"/proc/{self.process.pid}/fd").iterdir())),
        }
        self.measured.append(found)
        return found

    def growth(self) -> dict[str, float]:
        """Return how much more it has at the end than at the beginning, medians of thirds."""
        rest = self.measured[int(len(self.measured) * WARM_UP) :]
        third = max(1, len(rest) // 3)
        return {
            name: median(each[name] for each in rest[-third:]) - median(each[name] for each in rest[:third])
            for name in MOST_GROWTH
        }


def break_exchanges(exchanges: Exchanges, chance: random.Random) -> None:
    """Give each exchange another fault or none; where one lies, three others tell the truth."""
    names = chance.sample(EXCHANGES, len(EXCHANGES))
    lying = chance.random() < 0.3
    broken = {name: chance.choice(FAULTS) for name in names[3:] if chance.random() < 0.8}
    if lying:
        broken = {names[3]: chance.choice(LIES)}
    elif chance.random() < 0.3:
        broken = {name: chance.choice(FAULTS) for name in names}
    for name in EXCHANGES:
        given = broken.get(name)
        path = "" if lying else chance.choice(("", "", CANDLES[name], PRICES[name]))
        exchanges.fault(name, Fault(path=path, **given) if given else None)


@contextmanager
def collecting(environ: Mapping[str, str], interval_s: float, errors: Path) -> Iterator[Run]:
    """The loop, with what it says on stderr in a file."""
    command = [sys.executable, "-m", "btcts", "collect", "--forever", f"--interval={interval_s:g}", "--format=json"]
    with (
        errors.open("w") as stderr,
        subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=stderr, text=True) as process,
    ):
        run = Run(process)
        listener = threading.Thread(target=run.listen, daemon=True)
        listener.start()
        try:
            yield run
        finally:
            process.kill()
            listener.join()


def watch(run: Run, exchanges: Exchanges, minutes: float, chance: random.Random) -> None:
    """Change faults and measure, until the time is up or the loop has ended."""
    began = time.monotonic()
    report_s = min(60.0, 6 * minutes)
    changes_at, reports_at = began + 5, began + report_s
    while (now := time.monotonic()) < began + 60 * minutes and run.process.poll() is None:
        if now >= changes_at:
            break_exchanges(exchanges, chance)
            changes_at = now + chance.uniform(*CHANGES_S)
        found = run.measure()
        if now >= reports_at:
            reports_at += report_s
            print(
                f"{(now - began) / 60:6.1f} min  {found['memory']:6.1f} MiB  {found['threads']:3.0f} threads  "
                f"{found['descriptors']:3.0f} descriptors  {run.cycles} cycles, {run.stored} stored, "
                f"the longest {run.longest_ms} ms, {run.unsettled} minutes unsettled",
                flush=True,
            )
        time.sleep(1)


def heal(run: Run, exchanges: Exchanges) -> float:
    """Let all be well, and wait until nothing is unsettled; how long it took."""
    for name in EXCHANGES:
        exchanges.fault(name, None)
    began, cycles = time.monotonic(), run.cycles
    while time.monotonic() < began + HEALED_WITHIN_S and run.process.poll() is None:
        if run.cycles > cycles + 3 and not run.unsettled:
            break
        time.sleep(0.5)
    return time.monotonic() - began


def differences(server: Server, market: SimulatedMarket, now_ms: int) -> Iterator[str]:
    """The closed buckets that are not what the market's candles come to."""
    with connect(server.socket) as client:
        for resolution, (length, entries) in KEPT.items():
            names = {"close": "", "min": ":min", "max": ":max"} if resolution != "minute" else {"close": ""}
            stored = {field: samples(client, f"btc:price:{resolution}{end}") for field, end in names.items()}
            running = (now_ms - CHECKED_BEFORE_MS) // length * length
            oldest = now_ms // length * length - entries * length
            for start in range(oldest, running, length):
                candles = [market.candle(minute) for minute in range(start, start + length, MINUTE)]
                expected = {
                    "close": candles[-1].close,
                    "min": min(candle.low for candle in candles),
                    "max": max(candle.high for candle in candles),
                }
                for field in names:
                    if stored[field].get(start) != expected[field]:
                        yield f"{resolution} {field} at {start}: {stored[field].get(start)}, not {expected[field]}"


def verify(environ: Mapping[str, str], *arguments: str) -> str | None:
    """Return the complaints of `btcts verify`."""
    command = [sys.executable, "-m", "btcts", "verify", *arguments]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=120, check=False)
    return (
        None if done.returncode == 0 else f"btcts {' '.join(command[3:])}: {done.returncode} {done.stdout}{done.stderr}"
    )


def stop(run: Run) -> str | None:
    """End the loop as a supervisor does; what is wrong with its end."""
    run.process.send_signal(signal.SIGTERM)
    try:
        code = run.process.wait(30)
    except subprocess.TimeoutExpired:
        return "did not end within 30 s of SIGTERM"
    return f"ended with exit code {code}" if code else None


def main() -> int:
    """Run it, print what came of it."""
    parser = argparse.ArgumentParser(description="Collect for an hour among faults.")
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--interval", type=float, default=1)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    market, problems = SimulatedMarket(), []
    with (
        tempfile.TemporaryDirectory(prefix="btcts-hour-") as name,
        Exchanges(market, now_ms=lambda: time.time_ns() // 1_000_000) as exchanges,
    ):
        folder = Path(name)
        (folder / "redis").mkdir()
        server = Server(folder / "redis").start()
        environ = {
            **{key: value for key, value in os.environ.items() if not key.startswith(("BTCTS_", "REDIS_", "API_KEY"))},
            "HOME": name,
            "BTCTS_DATA_DIR": f"{name}/data",
            "REDIS_URL": f"unix://{server.socket}",
            "BTCTS_COLLECT_PROVIDERS": ",".join(EXCHANGES),
            **{f"BTCTS_PROVIDERS_{each.upper()}_URL": exchanges.url(each) for each in EXCHANGES},
        }
        try:
            with collecting(environ, arguments.interval, folder / "stderr") as run:
                watch(run, exchanges, arguments.minutes, random.Random(arguments.seed))
                if run.process.poll() is None:
                    print(f"healed after {heal(run, exchanges):.0f} s, {run.unsettled} minutes unsettled")
                    problems += [f"{run.unsettled} minutes are not settled"] if run.unsettled else []
                    problems += differences(server, market, time.time_ns() // 1_000_000)
                    problems += filter(None, (verify(environ), verify(environ, "--upstream"), stop(run)))
                else:
                    problems.append(f"the loop ended with exit code {run.process.returncode}")
            if said := (folder / "stderr").read_text():
                problems.append(f"stderr: {said[:2000]}")
        finally:
            server.kill()
    growth = run.growth()
    most = {what: max(each[what] for each in run.measured) for what in MOST_GROWTH}
    if arguments.minutes >= JUDGED_FROM_MIN:
        problems += [
            f"{what} grew by {growth[what]:.1f}" for what, bound in MOST_GROWTH.items() if growth[what] > bound
        ]
    problems += [f"memory was {most['memory']:.0f} MiB"] if most["memory"] > MOST_MIB else []
    print(f"{run.cycles} cycles, {run.stored} prices stored, the longest cycle {run.longest_ms} ms")
    print("growth:", ", ".join(f"{what} {growth[what]:+.1f}" for what in growth))
    print("most:", ", ".join(f"{what} {most[what]:.0f}" for what in growth))
    for reason, count in run.reasons.most_common(25):
        print(f"{count:7d}  {reason}")
    print(f"{len(problems)} problems", *problems[:30], sep="\n  ")
    return int(bool(problems))


if __name__ == "__main__":
    sys.exit(main())
