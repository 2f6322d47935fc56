"""The cost of starting commands, beside bare programs that do nothing but what is named.

    python benchmarks/startup.py [RUNS]

Each run counts the instructions of the command and of its bare counterpart by `valgrind --tool=callgrind`, where it is
installed, else the processor time of both in turn; a figure is the ratio. A second table shows what each trick of
`cli/startup.py` saves.
"""

import os
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from bare_app import write_bare_app
from report import Row, print_rows

if TYPE_CHECKING:
    from support.exchanges import Exchanges

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

BTCTS = ("-c", "from btcts.cli import startup; from btcts.cli.main import main; main()")
BARE = ("-c", "import bare_app; bare_app.app()")
COMPLETION = {"_BTCTS_COMPLETE": "complete_zsh", "_TYPER_COMPLETE_ARGS": "btcts sh"}
NAMES = ("coinbase", "kraken", "bitstamp")
TICKERS = ("products/BTC-USD/ticker", "0/public/Trades?pair=XBTUSD&count=1", "api/v2/ticker/btcusd/")
VALGRIND = shutil.which("valgrind")


class Pair(NamedTuple):
    """A command, what it is measured against, and the bar of the ratio."""

    name: str
    command: Sequence[str]
    bare: Sequence[str]
    bar: float
    environ: Mapping[str, str] = {}


def list_pairs(redis: str) -> list[Pair]:
    """List what is measured; a redis-server with prices answers at `redis`."""
    typer = ("-c", "import typer")
    bare_show = (*BARE, "show", "--redis", redis)
    collect, bare_collect = (*BTCTS, "collect", "--once", "--redis", redis), (*BARE, "collect", "--redis", redis)
    return [
        Pair("--version / import typer", (*BTCTS, "--version"), typer, 1.2),
        Pair("completion / import typer", BTCTS, typer, 1.2, COMPLETION),
        Pair("--help / bare help", (*BTCTS, "--help"), (*BARE, "--help"), 1.2),
        Pair("show 15min / bare app that pings", (*BTCTS, "show", "15min", "--redis", redis), bare_show, 1.1),
        Pair("status / bare app that pings", (*BTCTS, "status", "--redis", redis), bare_show, 1.1),
        Pair("collect --once / bare app on httpx", collect, bare_collect, 1.1),
        Pair("collect --once / bare app on httpcore", collect, bare_collect, 1.1, {"CLIENT": "httpcore"}),
    ]


def list_tricks(pairs: Sequence[Pair]) -> Iterator[Pair]:
    """List each trick on a command that it is for: with it, and without it."""
    _, completion, _, show, _, collect, _ = pairs
    used = {
        "stop_collecting_garbage": (show, collect),
        "convert_plain_values": (show,),
        "import_redis_without_asyncio": (show,),
        "complete_without_rich": (completion,),
    }
    for trick, helped in used.items():
        for pair in helped:
            without = [part.replace("main()", f"startup.{trick} = lambda: None; main()") for part in pair.command]
            yield Pair(f"{trick}: {pair.name.partition(' / ')[0]}", pair.command, without, 1, pair.environ)


def measure(pair: Pair, environ: Mapping[str, str], runs: int, fresh: Sequence[str]) -> Iterator[tuple[float, float]]:
    """Measure the command and its counterpart in turn, in millions of instructions or in ms of processor time.

    The command `fresh` runs before each of them, so that prices are fresh. A first run of both compiles.
    """
    spend = _count_instructions if VALGRIND else _spend_processor_time
    given = {**environ, **pair.environ, "PYTHONHASHSEED": "0"}
    for run in range(runs + 1):
        _run([sys.executable, *fresh], given)
        if run == 0:
            _run([sys.executable, *pair.command], given)
            _run([sys.executable, *pair.bare], given)
        else:
            yield spend(pair.command, given), spend(pair.bare, given)


def _count_instructions(command: Sequence[str], environ: Mapping[str, str]) -> float:
    with tempfile.NamedTemporaryFile() as counted:
        valgrind = [str(VALGRIND), "--tool=callgrind", f"--callgrind-out-file={counted.name}", "--log-file=/dev/null"]
        _run([*valgrind, sys.executable, *command], environ)
        total = re.search(r"^totals: (\d+)", Path(counted.name).read_text(), re.MULTILINE)
    if total is None:
        raise SystemExit("valgrind counted nothing")
    return int(total[1]) / 1e6


def _spend_processor_time(command: Sequence[str], environ: Mapping[str, str]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    _run([sys.executable, *command], environ)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime) * 1000


def _run(command: Sequence[str], environ: Mapping[str, str]) -> None:
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run(command, env=kept | environ, stdout=subprocess.DEVNULL, check=False)
    if done.returncode:
        raise SystemExit(f"{command} ended with {done.returncode}")


def _with_prices(use: Callable[[Path, "Exchanges"], int]) -> int:
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
            server.ensure(lambda line: None)
            with (
                open_embedded_store(server, BTC_USD, clock=clock) as store,
                Exchanges(SimulatedMarket(), now_ms=clock.now_ms) as exchanges,
                open_providers(["coinbase", "kraken"], exchanges.endpoints(), market=BTC_USD, clock=clock) as providers,
                Poller(providers) as poller,
            ):
                once(Collector(store, poller, cadence_s=None))
                return use(server.socket, exchanges)
        finally:
            server.stop()


def _measure_all(socket: Path, exchanges: "Exchanges", runs: int) -> int:
    urls = {name: exchanges.url(name) for name in NAMES}
    environ = {f"BTCTS_PROVIDERS_{name.upper()}_URL": url for name, url in urls.items()}
    environ |= {f"BTCTS_PROVIDERS_{name.upper()}_TIMEOUT_S": "60" for name in NAMES}  # valgrind takes its time
    environ["BTCTS_COLLECT_PROVIDERS"] = ",".join(NAMES)
    environ["URLS"] = " ".join(f"{urls[name]}/{path}" for name, path in zip(NAMES, TICKERS, strict=True))
    pairs = list_pairs(f"unix://{socket}")
    fresh = pairs[-1].command
    with tempfile.TemporaryDirectory() as folder:
        write_bare_app(Path(folder))
        environ["PYTHONPATH"] = folder
        measured = ((pair, measure(pair, environ, runs, fresh)) for pair in pairs)
        code = print_rows(Row(pair.name, pair.bar, [mine / bare for mine, bare in both]) for pair, both in measured)
        unit = "million instructions" if VALGRIND else "ms"
        for pair in list_tricks(pairs):
            mine, without = map(statistics.median, zip(*measure(pair, environ, runs, fresh), strict=True))
            print(f"{pair.name:<48} saves {without - mine:.0f} of {without:.0f} {unit}")
    return code


def main() -> int:
    """Print both tables; 1 where a bar is missed."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 1 if VALGRIND else 15
    return _with_prices(lambda socket, exchanges: _measure_all(socket, exchanges, runs))


if __name__ == "__main__":
    sys.exit(main())
