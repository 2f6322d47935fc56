"""Serve the local exchanges by hand on real time, until interrupted.

The lines it prints lead btcts to them: `python tests/support/exchanges > exchanges.sh &`, then `. ./exchanges.sh`.
"""

import argparse
import signal
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from support.exchanges import Market
    from support.exchanges.stream_server import StreamServer

DAY_MS = 86_400_000


def main() -> None:
    """Parse the arguments, say where the exchanges are, serve."""
    sys.path[0] = str(Path(__file__).parents[2])
    from support.exchanges import BarsMarket, Exchanges, Fault, SimulatedMarket
    from support.exchanges.server import PROVIDERS
    from support.exchanges.stream_server import StreamServer
    from support.exchanges.voices import VOICES

    parser = argparse.ArgumentParser(description="Serve the price APIs.")
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on; 0.0.0.0 is all of them")
    parser.add_argument("--port", type=int, default=8765)
    parser.add_argument("--csv", type=Path, help="a recording of one-second bars, whose last day plays as today")
    parser.add_argument(
        "--factor",
        type=_parse_factor,
        action="append",
        default=[],
        metavar="NAME=FACTOR",
        help="multiply all prices of one of them, as in kraken=1.05; can be repeated",
    )
    arguments = parser.parse_args()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell has its background jobs ignore it
    market = SimulatedMarket()
    if arguments.csv:
        market = BarsMarket(arguments.csv)
        days = _now_ms() // DAY_MS - (market.end_ms - 1) // DAY_MS
        market = BarsMarket(arguments.csv, shift_ms=days * DAY_MS)
    with (
        Exchanges(market, now_ms=_now_ms, port=arguments.port, host=arguments.host) as exchanges,
        ExitStack() as stack,
        suppress(KeyboardInterrupt),
    ):
        streams = {name: stack.enter_context(StreamServer(name)) for name in VOICES}
        for name, factor in arguments.factor:
            exchanges.fault(name, Fault(factor=factor))
        for name in PROVIDERS:
            sys.stdout.write(f"export BTCTS_PROVIDERS_{name.upper()}_URL={exchanges.url(name)}\n")
        sys.stdout.write(f"export BTCTS_COLLECT_PROVIDERS={','.join(PROVIDERS)}\n")
        for name, stream in streams.items():
            sys.stdout.write(f"export BTCTS_PROVIDERS_{name.upper()}_STREAM_URL={stream.url}\n")
        sys.stdout.flush()
        _trade(market, streams, dict(arguments.factor))


def _trade(market: "Market", streams: Mapping[str, "StreamServer"], factors: Mapping[str, float]) -> NoReturn:
    """Tell each second's trade on all streams, without end."""
    from btcts.domain.trades import NS_PER_MS, Trade

    told = _now_ms() // 1000
    while True:
        threading.Event().wait(told + 1 - time.time())
        told += 1
        price = market.price(told * 1000)
        for name, stream in streams.items():
            if price is not None:
                stream.say([Trade(told * 1000 * NS_PER_MS, told, price * factors.get(name, 1.0))])
            stream.beat()


def _parse_factor(text: str) -> tuple[str, float]:
    name, _, factor = text.partition("=")
    return name, float(factor)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


main()
