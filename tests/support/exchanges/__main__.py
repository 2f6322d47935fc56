"""Serve the local exchanges by hand on real time, until interrupted."""

import argparse
import signal
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

DAY_MS = 86_400_000


def main() -> None:
    """Parse the arguments, say where the exchanges are, serve."""
    sys.path[0] = str(Path(__file__).parents[2])
    from support.exchanges import BarsMarket, Exchanges, SimulatedMarket
    from support.exchanges.server import PROVIDERS

    parser = argparse.ArgumentParser(description="Serve the price APIs.")
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on; 0.0.0.0 is all of them")
    parser.add_argument("--port", type=int, default=8765)
    parser.add_argument("--csv", type=Path, help="a recording of one-second bars, whose last day plays as today")
    arguments = parser.parse_args()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell has its background jobs ignore it
    market = SimulatedMarket()
    if arguments.csv:
        market = BarsMarket(arguments.csv)
        days = _now_ms() // DAY_MS - (market.end_ms - 1) // DAY_MS
        market = BarsMarket(arguments.csv, shift_ms=days * DAY_MS)
    with (
        Exchanges(market, now_ms=_now_ms, port=arguments.port, host=arguments.host) as exchanges,
        suppress(KeyboardInterrupt),
    ):
        for name in PROVIDERS:
            sys.stdout.write(f"BTCTS_PROVIDERS_{name.upper()}_URL={exchanges.url(name)}\n")
        sys.stdout.flush()
        threading.Event().wait()


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


main()
