"""Collectors on a real Redis and the local exchanges."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack

import pytest

from btcts.config import BTC_USD
from btcts.providers import open_providers
from btcts.providers.poller import Poller
from btcts.services.collect.collector import Collector
from btcts.store import Store
from support.backups import FillOnce
from support.clocks import FakeClock
from support.exchanges import Exchanges, SimulatedMarket
from support.networks import AUTHORITY

EXCHANGES = ("coinbase", "kraken", "bitstamp", "bitfinex", "gemini")

MakeCollector = Callable[..., Collector]


@pytest.fixture(autouse=True)
def _few_authorities(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trust a single authority; to load all that there are would take as long as a cycle, for each client."""
    monkeypatch.setenv("SSL_CERT_FILE", str(AUTHORITY))


@pytest.fixture
def exchanges(clock: FakeClock) -> Iterator[Exchanges]:
    """The price APIs, which trade the simulated price."""
    with Exchanges(SimulatedMarket(), now_ms=clock.now_ms) as running:
        yield running


@pytest.fixture
def make_collector(store: Store, clock: FakeClock, exchanges: Exchanges) -> Iterator[MakeCollector]:
    """Make a collector of the store that asks these providers."""
    with ExitStack() as stack:

        def make(
            names: Sequence[str] = EXCHANGES, *, quorum: int = 1, api_key: str | None = None, timeout_s: float = 5.0
        ) -> Collector:
            endpoints = exchanges.endpoints(timeout_s)
            providers = stack.enter_context(
                open_providers(names, endpoints, market=BTC_USD, clock=clock, api_key=api_key)
            )
            poller = stack.enter_context(Poller(providers))
            return Collector(store, poller, cadence_s=10.0, quorum=quorum)

        yield make


@pytest.fixture
def settled(make_collector: MakeCollector, fill_once: FillOnce) -> Collector:
    """A collector that has had a first cycle on a window that all exchanges have settled."""
    collector = make_collector()
    fill_once("all exchanges", collector.cycle)
    collector.cycle()
    return collector
