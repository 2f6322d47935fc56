"""Traffic of a collector with its providers in a day, at an interval of 10 s, in requests and bytes, uncompressed.

    python benchmarks/traffic.py [HOURS]

Local exchanges count requests and the bodies of their answers while a fake clock goes on; the figures
of HOURS (6) are scaled to a day. The window is full at the start.
"""

import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from report import Row, print_rows

from btcts.config import BTC_USD
from btcts.providers import open_providers
from btcts.providers.poller import Poller
from btcts.services.collect.collector import Collector
from btcts.store import Store
from simulation.place import CANDLES
from support.clocks import FakeClock
from support.exchanges import Exchanges, Request, SimulatedMarket
from support.exchanges.server import Reply
from support.series import NOW
from support.servers import Server, connect

FIVE = ("coinbase", "kraken", "bitstamp", "bitfinex", "gemini")
INTERVAL_MS = 10_000
MEGABYTE = 1_000_000

Kind = tuple[str, str]
"""The name of a provider, and prices or candles."""


class CountingExchanges(Exchanges):
    """The local exchanges, which count their requests and the bodies of their answers."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__(SimulatedMarket(), now_ms=clock.now_ms)
        self.asked: Counter[Kind] = Counter()
        self.sent: Counter[Kind] = Counter()

    def reply(self, request: Request) -> Reply:
        """Count, and answer as ever."""
        answer = super().reply(request)
        kind = request.provider, "candles" if CANDLES[request.provider] in request.path else "prices"
        self.asked[kind] += 1
        self.sent[kind] += len(answer.body)
        return answer


def collect(server: Server, hours: float) -> CountingExchanges:
    """Collect for so long; return the exchanges with their counts."""
    clock = FakeClock(NOW)
    with connect(server.socket) as client, CountingExchanges(clock) as exchanges:
        store = Store(client, BTC_USD, clock=clock, where="here")
        opened = open_providers(FIVE, exchanges.endpoints(), market=BTC_USD, clock=clock)
        with opened as providers, Poller(providers) as poller:
            collector = Collector(store, poller, clock, cadence_s=INTERVAL_MS / 1000)
            collector.cycle(patience_s=30)
            exchanges.asked.clear()
            exchanges.sent.clear()
            for _ in range(round(hours * 3_600_000 / INTERVAL_MS)):
                clock.advance(INTERVAL_MS)
                collector.cycle(patience_s=1)
        return exchanges


def list_rows(exchanges: CountingExchanges, days: float) -> Iterator[Row]:
    """List the bars; the requests for prices follow from the interval."""
    for kind in sorted(exchanges.asked):
        requests, megabytes = exchanges.asked[kind] / days, exchanges.sent[kind] / days / MEGABYTE
        print(f"{' '.join(kind):<48} {requests:9.0f} requests a day, {megabytes:6.2f} MB")
    yield Row("requests a day", 10_000, [exchanges.asked.total() / days], "")
    candles = sum(count for (_, what), count in exchanges.asked.items() if what == "candles")
    yield Row("requests for candles a day", 10_000, [candles / days], "")
    yield Row("upstream a day", 25, [exchanges.sent.total() / days / MEGABYTE], "MB")


def main() -> int:
    """Print the table; 1 where a bar is missed."""
    hours = float(sys.argv[1]) if len(sys.argv) > 1 else 6.0
    with tempfile.TemporaryDirectory() as folder:
        server = Server(Path(folder)).start()
        try:
            return print_rows(list_rows(collect(server, hours), hours / 24))
        finally:
            server.kill()


if __name__ == "__main__":
    sys.exit(main())
