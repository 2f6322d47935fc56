"""The stage that all schedules of a process share: two markets, their exchanges, and one clock."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache

from btcts.config import BTC_USD
from btcts.providers import open_providers
from btcts.providers.base import Provider
from simulation.place import WrongClock
from support.clocks import FakeClock
from support.exchanges import Exchanges, Market, SimulatedMarket, ThinMarket, Traded
from support.series import MINUTE

EXCHANGES = ("coinbase", "kraken", "bitstamp", "bitfinex", "gemini")
PATIENCE_S = 5.0
COLLECTORS = 2
"""So many run at the same time, each with connections of its own to the providers."""


def is_quiet(minute_ms: int) -> bool:
    """Tell whether the thin market has no trades in that minute: one in nine, now and then a quarter of an hour."""
    number = minute_ms // MINUTE
    return number * 7_919 % 101 < 11 or number % 311 < 15


MARKETS = {"busy": SimulatedMarket, "thin": lambda: ThinMarket(is_quiet, seed=2)}


@dataclass
class Patience:
    """An endpoint whose timeout can be changed while it is in use."""

    url: str
    timeout_s: float = PATIENCE_S


@dataclass
class Venue:
    """A market, the exchanges on which it is traded, and the ways to them, which outlast a schedule."""

    market: Market
    exchanges: Exchanges
    endpoints: dict[str, Patience]
    providers: list[dict[str, Provider]]

    def __post_init__(self) -> None:
        self.traded = cache(self.market.candle)

    def candle(self, minute_ms: int) -> Traded | None:
        """Return the candle of a minute that is over."""
        return self.traded(minute_ms)


class Stage:
    """The stage that all schedules of a process share: two markets and one clock."""

    def __init__(self, true: FakeClock, venues: dict[str, Venue]) -> None:
        self.true = true
        self.clock = WrongClock(true)
        self.venues = venues


@contextmanager
def open_stage() -> Iterator[Stage]:
    """Open the exchanges of both markets."""
    with ExitStack() as stack:
        stage = Stage(FakeClock(0), {})
        for name, make in MARKETS.items():
            exchanges = stack.enter_context(Exchanges(make(), now_ms=stage.true.now_ms))
            endpoints = {each: Patience(exchanges.url(each)) for each in EXCHANGES}
            opened = [
                stack.enter_context(open_providers(EXCHANGES, endpoints, market=BTC_USD, clock=stage.clock))
                for _ in range(COLLECTORS)
            ]
            providers = [{each.name: each for each in some} for some in opened]
            stage.venues[name] = Venue(exchanges.market, exchanges, endpoints, providers)
        yield stage
