"""The recent Bitcoin price in Redis TimeSeries at four resolutions.

`open_store()` gives the store to read from: `latest()`, `slots(resolution)`, `ticks(span)`. What comes out of it is
measured by `volatility_of()` and handed to pandas by `to_pandas()`. Every failure is a `BtctsError`.
"""

from typing import TYPE_CHECKING

from btcts.version import __version__

if TYPE_CHECKING:
    from btcts.connect import open_store
    from btcts.errors import BtctsError, ConfigError, EmbeddedError, StoreError, StoreUnreachable
    from btcts.frames import to_pandas
    from btcts.layout import RESOLUTIONS, Resolution
    from btcts.model import Slot, Span, Tick
    from btcts.store import Store
    from btcts.volatility import Volatility
    from btcts.volatility import volatility as volatility_of

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
    "RESOLUTIONS": "layout.RESOLUTIONS",
    "BtctsError": "errors.BtctsError",
    "ConfigError": "errors.ConfigError",
    "EmbeddedError": "errors.EmbeddedError",
    "Resolution": "layout.Resolution",
    "Slot": "model.Slot",
    "Span": "model.Span",
    "Store": "store.Store",
    "StoreError": "errors.StoreError",
    "StoreUnreachable": "errors.StoreUnreachable",
    "Tick": "model.Tick",
    "Volatility": "volatility.Volatility",
    "open_store": "connect.open_store",
    "to_pandas": "frames.to_pandas",
    "volatility_of": "volatility.volatility",  # `btcts.volatility` is the module
}

if not TYPE_CHECKING:  # a type checker sees the imports above; by this it would believe that every name exists

    def __getattr__(name: str) -> object:
        """Import on first use: the store brings redis with it, which `btcts --version` does without."""
        from importlib import import_module

        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        home, _, inner = _HOMES[name].partition(".")
        return getattr(import_module(f"{__name__}.{home}"), inner)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
