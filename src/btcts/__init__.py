"""The recent Bitcoin price in Redis TimeSeries at four resolutions.

`open_store()` gives the store to read from: `latest()`, `slots(resolution)`, `ticks(span)`.
"""

from typing import TYPE_CHECKING, Any

from btcts.version import __version__

if TYPE_CHECKING:
    from btcts.connect import open_store as open_store

__all__ = ["__version__", "open_store"]


def __getattr__(name: str) -> Any:
    """Import the store on first use only: it brings redis with it, which `btcts --version` does without."""
    if name == "open_store":
        from btcts.connect import open_store

        return open_store
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
