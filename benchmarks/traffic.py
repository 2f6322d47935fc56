"""Traffic of a collector with its providers in a day, at an interval of 10 s, in requests and bytes, uncompressed.

    python benchmarks/traffic.py [HOURS]

Local exchanges count requests and the bodies of their answers while a fake clock goes on; the figures
of HOURS (6) are scaled to a day. The window is full at the start. First with streams, which bring a trade a second from
each exchange, then without.
"""

import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from report import Row, print_rows

from btcts.config import BTC_USD
from btcts.domain.trades import Trade
from btcts.providers import open_providers
from btcts.providers.poller import Poller
from btcts.providers.streams.base import Subscription
from btcts.providers.streams.bitfinex import BitfinexStream
from btcts.providers.streams.bitstamp import BitstampStream
from btcts.providers.streams.coinbase import CoinbaseStream
from btcts.providers.streams.gemini import GeminiStream
from btcts.providers.streams.kraken import KrakenStream
from btcts.services.collect.collector import Collector
from btcts.services.collect.loop import forever
from btcts.store import Store
from simulation.place import CANDLES
from support.clocks import FakeClock
from support.exchanges import Exchanges, Market, Request, SimulatedMarket
from support.exchanges.server import Reply
from support.exchanges.voices import VOICES
from support.series import NOW
from support.servers import Server, connect
from support.streams import MarketStreams

FIVE = ("coinbase", "kraken", "bitstamp", "bitfinex", "gemini")
PROVIDERS = ("coinmarketcap", *FIVE)
INTERVAL_S = 10.0
DAY_S = 86_400
MEGABYTE = 1_000_000

STREAMS: tuple[Subscription, ...] = (
    CoinbaseStream(),
    KrakenStream(),
    BitstampStream(),
    BitfinexStream(),
    GeminiStream(),
)

Kind = tuple[str, str]
"""The name of a provider, and prices or candles."""


class CountingExchanges(Exchanges):
    """The local exchanges, which count their requests and the bodies of their answers."""

    def __init__(self, market: Market, *, now_ms: Callable[[], int]) -> None:
        super().__init__(market, now_ms=now_ms)
        self.asked: Counter[Kind] = Counter()
        self.sent: Counter[Kind] = Counter()

    def reply(self, request: Request) -> Reply:
        """Count, and answer as ever."""
        answer = super().reply(request)
        kind = request.provider, "candles" if CANDLES.get(request.provider, "?") in request.path else "prices"
        self.asked[kind] += 1
        self.sent[kind] += len(answer.body)
        return answer


def collect(server: Server, hours: float, *, streams: bool) -> CountingExchanges:
    """Collect for so long, with streams or without; return the exchanges with their counts."""
    clock = FakeClock(NOW)
    with (
        connect(server.socket) as client,
        CountingExchanges(SimulatedMarket(), now_ms=clock.now_ms) as exchanges,
        open_providers(PROVIDERS, exchanges.endpoints(), market=BTC_USD, clock=clock) as providers,
        Poller(providers) as poller,
    ):
        store = Store(client, BTC_USD, clock=clock, where="here")
        source = MarketStreams(exchanges.market, clock, FIVE) if streams else None
        collector = Collector(store, poller, cadence_s=INTERVAL_S, streams=source)
        collector.cycle(patience_s=30)
        exchanges.asked.clear()
        exchanges.sent.clear()
        end_ms = clock.now_ms() + round(hours * 3_600_000)
        for _ in forever(collector, interval_s=INTERVAL_S, phase_s=7, stopped=lambda: clock.now_ms() >= end_ms):
            pass
        return exchanges


def print_counts(exchanges: CountingExchanges, days: float) -> None:
    """Print what each provider was asked for."""
    for kind in sorted(exchanges.asked):
        requests, megabytes = exchanges.asked[kind] / days, exchanges.sent[kind] / days / MEGABYTE
        print(f"{' '.join(kind):<48} {requests:9.0f} requests a day, {megabytes:6.2f} MB")


def print_streamed() -> None:
    """Print how much the streams bring, by a trade a second, and signs of life."""
    for subscription in STREAMS:
        name = subscription.name
        voice = VOICES[name]([], lambda: NOW * 10**6)
        for message in subscription.greet():
            voice.answer(message)
        trade = sum(map(len, voice.say_trades([Trade(NOW * 10**6, 1_090_000_042, 61_250.55)])))
        ping = subscription.ping(1)
        answers = voice.answer(ping) if ping else voice.say_heartbeat()
        alive = sum(map(len, answers)) / (3 if ping else 1)
        megabytes = DAY_S * (trade + alive) / MEGABYTE
        print(f"{name + ' stream':<48} {trade:9} bytes a trade, {megabytes:6.2f} MB a day")


def list_rows(server: Server, hours: float) -> Iterator[Row]:
    """List the bars; without streams the requests for prices follow from the interval."""
    days = hours / 24
    exchanges = collect(server, hours, streams=True)
    print_counts(exchanges, days)
    print_streamed()
    yield Row("requests a day", 10_000, [exchanges.asked.total() / days], "")
    yield Row("upstream a day, streams apart", 25, [exchanges.sent.total() / days / MEGABYTE], "MB")
    exchanges = collect(server, hours, streams=False)
    print("\nwithout streams")
    print_counts(exchanges, days)
    candles = sum(count for (_, what), count in exchanges.asked.items() if what == "candles")
    yield Row("requests for candles a day", 10_000, [candles / days], "")
    yield Row("upstream a day", 25, [exchanges.sent.total() / days / MEGABYTE], "MB")


def main() -> int:
    """Print the table; 1 where a bar is missed."""
    hours = float(sys.argv[1]) if len(sys.argv) > 1 else 6.0
    with tempfile.TemporaryDirectory() as folder:
        server = Server(Path(folder)).start()
        try:
            return print_rows(list_rows(server, hours))
        finally:
            server.kill()


if __name__ == "__main__":
    sys.exit(main())
