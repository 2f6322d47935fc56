"""Providers for the tests, and answers made by hand."""

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qsl

from btcts.domain.clock import Clock
from btcts.domain.model import HOUR_MS, MINUTE_MS, Span
from btcts.providers import Endpoint
from btcts.providers.addresses import Address, parse_url
from btcts.providers.api import Api
from btcts.providers.base import Provider
from btcts.providers.bitfinex import Bitfinex
from btcts.providers.bitstamp import Bitstamp
from btcts.providers.coinbase import Coinbase
from btcts.providers.coinmarketcap import CoinMarketCap
from btcts.providers.gemini import Gemini
from btcts.providers.http import Client, Reply
from btcts.providers.kraken import Kraken
from btcts.providers.pages import Paging
from btcts.providers.simulated import Simulated
from support.clocks import FakeClock

NOW_MS = 1_767_268_834_567
"""2026-01-01T12:00:34.567Z"""

KEY = "b54bcf4d-1bca-4e8e-9a24-22ff2c3d462c"

EXCHANGES = {"coinbase": Coinbase, "kraken": Kraken, "bitstamp": Bitstamp, "bitfinex": Bitfinex, "gemini": Gemini}
PAGING: dict[str, Paging] = {name: sys.modules[kind.__module__].PAGING for name, kind in EXCHANGES.items()}
EVERY_MINUTE = [name for name, paging in PAGING.items() if paging.every_minute]
"""The exchanges that have a row for each minute."""

ON_HTTP = ("coinmarketcap", *EXCHANGES)
ALL = (*ON_HTTP, "simulated")

CLOSED_MS = NOW_MS // MINUTE_MS * MINUTE_MS
"""The end of the last closed minute."""

HOUR = Span(CLOSED_MS - HOUR_MS, CLOSED_MS)

CALLS: dict[str, Callable[[Provider], Any]] = {
    "latest": lambda provider: provider.latest(),
    "candles": lambda provider: provider.candles(HOUR),
}
ASKED = [(name, call) for name in ON_HTTP for call in CALLS if (name, call) != ("coinmarketcap", "candles")]
"""Every provider on HTTP with each of its calls that asks for something."""

Opened = Callable[..., Provider]


def provider_at(endpoint: Endpoint, name: str, client: Client, clock: Clock) -> Provider:
    """One provider; CoinMarketCap has the key."""
    if name == "simulated":
        return Simulated(clock)
    api = Api(name, endpoint, client, clock)
    return CoinMarketCap(api, KEY) if name == "coinmarketcap" else EXCHANGES[name](api)


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that was made of an API."""

    path: str
    query: dict[str, str]
    headers: Mapping[str, str]


def reply(status: int, body: object = "", headers: Mapping[str, str] | None = None) -> Reply:
    """A whole response; a body other than a text is sent as JSON."""
    text = body if isinstance(body, str) else json.dumps(body, separators=(",", ":"))
    lower = {name.lower(): value for name, value in (headers or {}).items()}
    return Reply(parse_url("https://exchange.test"), status, lower, text.encode())


class Answers(Client):
    """An API that answers each path from a table, and remembers what it was asked.

    The table holds JSON as text or as a value, or whole responses; or it is a function of the request.
    """

    def __init__(self, table: Mapping[str, Any] | Callable[[Asked], Any]) -> None:
        self.table = table
        self.requests: list[Asked] = []
        self.clock = FakeClock(NOW_MS)

    def api(self, name: str, timeout_s: float = 5.0) -> Api:
        """The API as a provider is given it."""
        return Api(name, Endpoint(f"https://{name}.test", timeout_s), self, self.clock)

    @property
    def paths(self) -> list[str]:
        """The paths that were asked for, in order."""
        return [asked.path for asked in self.requests]

    @property
    def query(self) -> dict[str, str]:
        """The query of the last request."""
        return self.requests[-1].query

    def get(self, address: Address, secrets: Mapping[str, str] | None = None, *, timeout_s: float) -> Reply:
        """Return the answer of the table."""
        path, _, query = address.target.partition("?")
        asked = Asked(path, dict(parse_qsl(query)), secrets or {})
        self.requests.append(asked)
        found = self.table(asked) if callable(self.table) else self.table[path]
        return replace(found, where=address) if isinstance(found, Reply) else reply(200, found)
