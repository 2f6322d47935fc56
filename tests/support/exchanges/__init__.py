"""The price APIs on loopback, in their documented shapes, quirks and faults; see `Exchanges`.

By hand, on real time: `python tests/support/exchanges --port 8765 [--csv FILE] [--factor kraken=1.05]`.
"""

from support.exchanges.faults import Fault
from support.exchanges.market import BarsMarket, Market, SimulatedMarket, ThinMarket, Traded
from support.exchanges.server import Exchanges, Request

__all__ = ["BarsMarket", "Exchanges", "Fault", "Market", "Request", "SimulatedMarket", "ThinMarket", "Traded"]
