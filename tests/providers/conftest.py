"""A market with quiet minutes, the local exchanges that trade it, and a clock that stands still."""

import os
from collections.abc import Iterator

import pytest

from btcts.domain.clock import Clock
from btcts.domain.model import MINUTE_MS
from btcts.providers import Endpoint
from btcts.providers.base import Provider
from btcts.providers.http import Client
from providers.opening import NOW_MS, Opened, provider_at
from support.clocks import FakeClock
from support.exchanges import Exchanges, ThinMarket


def _quiet(minute_ms: int) -> bool:
    """Every seventh minute, and forty minutes in a row ten hours ago."""
    minutes_ago = (NOW_MS - minute_ms) // MINUTE_MS
    return minute_ms // MINUTE_MS % 7 == 3 or 600 <= minutes_ago < 640


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.lower().endswith("_proxy") or name.startswith("SSL") or name == "REQUEST_METHOD":
            monkeypatch.delenv(name)


@pytest.fixture
def clock() -> FakeClock:
    """A clock that stands at `NOW_MS`."""
    return FakeClock(NOW_MS)


@pytest.fixture(scope="session")
def market() -> ThinMarket:
    """The market that all exchanges trade; it remembers what it computed."""
    return ThinMarket(_quiet)


@pytest.fixture(scope="session")
def _http() -> Iterator[Client]:
    """The client of all tests; making one takes 20 ms."""
    with Client() as client:
        yield client


@pytest.fixture(scope="session")
def _running(market: ThinMarket) -> Iterator[Exchanges]:
    """The exchanges of the whole run, at a time that stands still."""
    with Exchanges(market, now_ms=lambda: NOW_MS) as exchanges:
        yield exchanges


@pytest.fixture
def exchanges(_running: Exchanges) -> Exchanges:
    """The local exchanges, well and not yet asked anything."""
    _running.reset()
    return _running


@pytest.fixture
def opened(exchanges: Exchanges, clock: FakeClock, _http: Client) -> Opened:
    """A function that opens a provider on the local exchanges."""

    def open_one(name: str, *, at: Exchanges = exchanges, by: Clock = clock, timeout_s: float = 5.0) -> Provider:
        return provider_at(Endpoint(at.url(name), timeout_s), name, _http, by)

    return open_one
