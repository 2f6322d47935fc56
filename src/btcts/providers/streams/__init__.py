"""Streams of trades, beside the polls of the same exchanges."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING

from btcts.providers import Endpoint

if TYPE_CHECKING:
    from btcts.providers.streams.base import Subscription
    from btcts.providers.streams.stream import Streams

_CLASSES = {
    "coinbase": "CoinbaseStream",
    "kraken": "KrakenStream",
    "bitstamp": "BitstampStream",
    "bitfinex": "BitfinexStream",
    "gemini": "GeminiStream",
}


@contextmanager
def run_streams(endpoints: Mapping[str, Endpoint], *, now_ms: Callable[[], int]) -> Iterator["Streams"]:
    """Run the streams of these providers, and yield what they bring; `now_ms` tells when it arrives.

    Raises:
        ConfigError: the environment names an unusable proxy for one of them, or unusable certificates.
    """
    from btcts.providers.connections import Connections
    from btcts.providers.streams.connection import open_connection, parse_stream_url
    from btcts.providers.streams.stream import Stream, Streams
    from btcts.system.sockets import Dialer

    with closing(Connections(Dialer())) as connections:
        streams = []
        for name, endpoint in endpoints.items():
            address = parse_stream_url(endpoint.stream_url)
            connections.choose(address)
            connect = partial(open_connection, connections, address, timeout_s=endpoint.timeout_s, now_ms=now_ms)
            streams.append(Stream(_load_class(name), connect, now_ms))
        with Streams(streams, now_ms) as running:
            yield running


def _load_class(name: str) -> Callable[[], "Subscription"]:
    found: Callable[[], Subscription] = getattr(import_module(f"btcts.providers.streams.{name}"), _CLASSES[name])
    return found
