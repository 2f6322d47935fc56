"""How long commands take beside bare programs that do nothing but what is named; ratios measured in one run.

    python benchmarks/startup.py [RUNS]

Every row runs the command and its bare counterpart in turn, both compiled, and compares medians of wall time. The bars
are those that btcts sets itself. A second table shows what each trick of `cli/startup.py` saves: medians of processor
time with it and without it.
"""

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from support.exchanges import Exchanges

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tests"))

BTCTS = (sys.executable, "-c", "from btcts.cli import startup; from btcts.cli.main import main; main()")
BARE = (sys.executable, str(Path(__file__).with_name("bare_app.py")))
COMPLETION = {"COMP_WORDS": "btcts sh", "COMP_CWORD": "1", "_BTCTS_COMPLETE": "complete_bash"}


@dataclass(frozen=True)
class Row:
    """A command, what it is measured against, and the bar."""

    name: str
    command: Sequence[str]
    bare: Sequence[str]
    bar: float
    environ: dict[str, str] = field(default_factory=dict)


def rows(socket: Path, exchanges: "Exchanges") -> list[Row]:
    """What is measured; a redis-server with prices listens on `socket`."""
    names = ("coinbase", "kraken", "bitstamp")
    environ = {f"BTCTS_PROVIDERS_{name.upper()}_URL": exchanges.url(name) for name in names}
    environ["BTCTS_COLLECT_PROVIDERS"] = ",".join(names)
    tickers = ("products/BTC-USD/ticker", "0/public/Trades?pair=XBTUSD&count=1", "api/v2/ticker/btcusd/")
    urls = [f"{exchanges.url(name)}/{path}" for name, path in zip(names, tickers, strict=True)]
    typer = (sys.executable, "-c", "import typer")
    redis = f"unix://{socket}"
    show = ("show", "15min", "--redis", redis)
    return [
        Row("--version / import typer", (*BTCTS, "--version"), typer, 1.3),
        Row("completion / import typer", BTCTS, typer, 1.3, COMPLETION),
        Row("--help / help of a bare app", (*BTCTS, "--help"), (*BARE, "--help"), 1.3),
        Row(
            "collect --once / bare app that fetches",
            (*BTCTS, "collect", "--once", "--redis", redis),
            (*BARE, "collect", *urls, "--redis", redis),
            1.25,
            environ,
        ),
        Row("show 15min / bare app that pings", (*BTCTS, *show), (*BARE, "show", redis), 1.25),
    ]


def tricks(rows: Sequence[Row]) -> list[Row]:
    """Each trick on the commands that it is for: with it, and without it."""
    _, completion, _, collect, show = rows
    used = {
        "stop_collecting_garbage": (collect, show),
        "lighten_completion": (completion,),
    }
    return [
        Row(
            f"{trick}: {row.name.partition(' / ')[0]}",
            row.command,
            [part.replace("main()", f"startup.{trick} = lambda: None; main()") for part in row.command],
            1,
            row.environ,
        )
        for trick, helped in used.items()
        for row in helped
    ]


def measure(row: Row, runs: int, spent: Callable[[], float] = time.perf_counter) -> tuple[float, float]:
    """Median seconds of the command and of its counterpart, wall time or what else is `spent`."""
    times: tuple[list[float], list[float]] = ([], [])
    for number in range(runs + 2):
        for command, taken in zip((row.command, row.bare), times, strict=True):
            seconds = _run(command, row.environ, spent)
            if number >= 2:
                taken.append(seconds)
    return statistics.median(times[0]), statistics.median(times[1])


def processor_time() -> float:
    """Seconds that processors have spent on the commands so far."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _run(command: Sequence[str], environ: dict[str, str], spent: Callable[[], float]) -> float:
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    began = spent()
    done = subprocess.run(command, env=kept | environ, stdout=subprocess.DEVNULL, check=False)
    if done.returncode:
        raise SystemExit(f"{command} ended with {done.returncode}")
    return spent() - began


def _with_prices(use: Callable[[Path, "Exchanges"], None]) -> None:
    """Call `use` with the socket of a redis-server that is full, and with exchanges that trade the same prices."""
    from btcts.config import BTC_USD
    from btcts.connect import open_embedded_store
    from btcts.domain.clock import ServerClock
    from btcts.embedded import Embedded
    from btcts.providers import open_providers
    from btcts.providers.poller import Poller
    from btcts.services.collect.collector import Collector
    from btcts.services.collect.loop import once
    from support.exchanges import Exchanges, SimulatedMarket
    from support.redis_binaries import binaries

    clock = ServerClock()
    with tempfile.TemporaryDirectory() as folder:
        server = Embedded(Path(folder), redis_server=binaries().server)
        try:
            server.ensure(print)
            with (
                open_embedded_store(server, BTC_USD, clock=clock) as store,
                Exchanges(SimulatedMarket(), now_ms=clock.now_ms) as exchanges,
                open_providers(["coinbase", "kraken"], exchanges.endpoints(), market=BTC_USD, clock=clock) as providers,
                Poller(providers) as poller,
            ):
                once(Collector(store, poller, clock, cadence_s=None))
                use(server.socket, exchanges)
        finally:
            server.stop()


def main() -> None:
    """Print the table."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 15

    def measured(socket: Path, exchanges: "Exchanges") -> None:
        for row in rows(socket, exchanges):
            mine, bare = measure(row, runs)
            ratio = mine / bare
            verdict = "holds" if ratio <= row.bar else "MISSED"
            both = f"{mine * 1000:7.1f} ms {bare * 1000:7.1f} ms"
            print(f"{row.name:<40} {both}  {ratio:5.2f}  bar {row.bar:.2f} {verdict}")
        for row in tricks(rows(socket, exchanges)):
            mine, bare = measure(row, runs, processor_time)
            print(
                f"{row.name:<40} {mine * 1000:7.1f} ms {bare * 1000:7.1f} ms without, saves {(bare - mine) * 1000:.1f}"
            )

    _with_prices(measured)


if __name__ == "__main__":
    main()
