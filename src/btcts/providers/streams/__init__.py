"""Streams of trades, beside the polls of the same exchanges."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from functools import partial

from btcts.providers import Endpoint
from btcts.providers.connections import Connections
from btcts.providers.streams.base import Subscription
from btcts.providers.streams.bitfinex import BitfinexStream
from btcts.providers.streams.bitstamp import BitstampStream
from btcts.providers.streams.coinbase import CoinbaseStream
from btcts.providers.streams.connection import open_connection, parse_stream_url
from btcts.providers.streams.gemini import GeminiStream
from btcts.providers.streams.kraken import KrakenStream
from btcts.providers.streams.stream import Stream, Streams
from btcts.system.sockets import Dialer

SUBSCRIPTIONS: Mapping[str, Callable[[], Subscription]] = {
    "coinbase": CoinbaseStream,
    "kraken": KrakenStream,
    "bitstamp": BitstampStream,
    "bitfinex": BitfinexStream,
    "gemini": GeminiStream,
}


@contextmanager
def run_streams(endpoints: Mapping[str, Endpoint], *, now_ms: Callable[[], int]) -> Iterator[Streams]:
    """Run the streams of these providers, and yield what they bring; `now_ms` tells when it arrives.

    Raises:
        ConfigError: the environment names an unusable proxy for one of them, or unusable certificates.
    """
    with closing(Connections(Dialer())) as connections:
        streams = []
        for name, endpoint in endpoints.items():
            address = parse_stream_url(endpoint.stream_url)
            connections.choose(address)
            connect = partial(open_connection, connections, address, timeout_s=endpoint.timeout_s, now_ms=now_ms)
            streams.append(Stream(SUBSCRIPTIONS[name], connect, now_ms))
        with Streams(streams, now_ms) as running:
            yield running
