"""Adapters to price APIs. Unused providers are never imported, and httpcore only when a provider needs it."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from btcts.domain.clock import Clock
from btcts.domain.layout import Market
from btcts.errors import ConfigError

if TYPE_CHECKING:
    from btcts.providers.api import Api
    from btcts.providers.base import Provider


class Endpoint(NamedTuple):
    """A provider's base URL, its time limit per answer, from the name look-up to the last byte, and its stream."""

    url: str
    timeout_s: float = 5.0
    stream_url: str = ""


DEFAULTS: Mapping[str, Endpoint] = MappingProxyType(
    {
        "coinmarketcap": Endpoint("https://pro-api.coinmarketcap.com"),
        "coinbase": Endpoint("https://api.exchange.coinbase.com", stream_url="wss://ws-feed.exchange.coinbase.com"),
        "kraken": Endpoint("https://api.kraken.com", stream_url="wss://ws.kraken.com/v2"),
        "bitstamp": Endpoint("https://www.bitstamp.net", stream_url="wss://ws.bitstamp.net"),
        "bitfinex": Endpoint("https://api-pub.bitfinex.com", stream_url="wss://api-pub.bitfinex.com/ws/2"),
        "gemini": Endpoint("https://api.gemini.com", stream_url="wss://ws.gemini.com"),
        "simulated": Endpoint(""),
    }
)
"""The endpoint of each provider; the simulated one has no address, and some have no stream."""

MARKET = "BTC-USD"
"""The market that every adapter asks for, under the name that it has there."""

NAMES: tuple[str, ...] = tuple(DEFAULTS)

_CLASSES = {
    "coinmarketcap": "CoinMarketCap",
    "coinbase": "Coinbase",
    "kraken": "Kraken",
    "bitstamp": "Bitstamp",
    "bitfinex": "Bitfinex",
    "gemini": "Gemini",
    "simulated": "Simulated",
}


def default_endpoints() -> Mapping[str, tuple[str, float, str]]:
    """Return the default base URL, timeout and stream URL of every provider, in the form the settings take."""
    return DEFAULTS


def find_reaches(names: Iterable[str]) -> dict[str, int]:
    """Return how far the candles of the providers called `names` reach back, in ms; 0 for none."""
    return {name: _find_class(name).reach_ms for name in names}


@contextmanager
def open_providers(
    names: Sequence[str],
    endpoints: Mapping[str, Endpoint],
    *,
    market: Market,
    clock: Clock,
    api_key: str | None = None,
) -> Iterator[list["Provider"]]:
    """Open the providers called `names`, in that order, on one HTTP client that is closed at the end.

    A name missing from `endpoints` gets its default endpoint; `api_key` is CoinMarketCap's.

    Raises:
        ConfigError: no provider has one of the names, or they do not know the market.
    """
    if unknown := [name for name in names if name not in NAMES]:
        raise ConfigError(f"no provider is called {unknown[0]!r}; there are {', '.join(NAMES)}")
    if market.name != MARKET:
        raise ConfigError(f"no provider knows the market {market.name}; there is {MARKET}")
    if not set(names) - {"simulated"}:
        yield [_create_provider(name, None, clock, api_key) for name in names]
        return
    from btcts.providers.api import Api
    from btcts.providers.http import Client

    chosen = {name: endpoints.get(name, DEFAULTS[name]) for name in names if name != "simulated"}
    with Client(*(endpoint.url for endpoint in chosen.values())) as client:
        apis = {name: Api(name, endpoint, client, clock) for name, endpoint in chosen.items()}
        yield [_create_provider(name, apis.get(name), clock, api_key) for name in names]


def _create_provider(name: str, api: "Api | None", clock: Clock, api_key: str | None) -> "Provider":
    create: Callable[..., Provider] = _find_class(name)
    if api is None:
        return create(clock)
    return create(api, api_key) if name == "coinmarketcap" else create(api)


def _find_class(name: str) -> Any:
    return getattr(import_module(f"btcts.providers.{name}"), _CLASSES[name])
