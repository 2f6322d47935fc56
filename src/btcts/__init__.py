"""The recent Bitcoin price in Redis TimeSeries at four resolutions.

`open_store()` returns a store to read from: `latest()`, `slots(resolution)`, `ticks(span)`. `volatility_of()` measures
the volatility of its slots, `to_pandas()` converts slots and ticks to pandas. Every failure is a `BtctsError`.
"""

from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from btcts.connect import open_store
    from btcts.domain.frames import to_pandas
    from btcts.domain.layout import RESOLUTIONS, Resolution
    from btcts.domain.model import Slot, Span, Tick
    from btcts.domain.statistics import Volatility, volatility_of
    from btcts.errors import BtctsError, ConfigError, EmbeddedError, StoreError, StoreUnreachable
    from btcts.store import Store

__all__ = [
    "RESOLUTIONS",
    "BtctsError",
    "ConfigError",
    "EmbeddedError",
    "Resolution",
    "Slot",
    "Span",
    "Store",
    "StoreError",
    "StoreUnreachable",
    "Tick",
    "Volatility",
    "__version__",
    "open_store",
    "to_pandas",
    "volatility_of",
]

_HOMES = {
    "connect": ("open_store",),
    "domain.frames": ("to_pandas",),
    "domain.layout": ("RESOLUTIONS", "Resolution"),
    "domain.model": ("Slot", "Span", "Tick"),
    "domain.statistics": ("Volatility", "volatility_of"),
    "errors": ("BtctsError", "ConfigError", "EmbeddedError", "StoreError", "StoreUnreachable"),
    "store": ("Store",),
}

if not TYPE_CHECKING:  # for type checkers, which read the imports above, every name would exist

    def __getattr__(name: str) -> object:
        """Import on first use: the store imports redis, which `btcts --version` does not need."""
        from importlib import import_module

        for home, names in _HOMES.items():
            if name in names:
                return getattr(import_module(f"{__name__}.{home}"), name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
