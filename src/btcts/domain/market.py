"""The market whose prices are kept (pure)."""

from typing import NamedTuple


class Market(NamedTuple):
    """An asset, and the currency that it is paid in.

    `prefix` begins the names of its keys in Redis, `file_suffix` ends those of its own files and folders. Its prices
    are shown with `decimals` from 10 upward.
    """

    asset: str
    currency: str
    prefix: str
    file_suffix: str
    decimals: int

    @property
    def name(self) -> str:
        """The name in documents and on pages, such as `ETH-EUR`."""
        return f"{self.asset}-{self.currency}"

    def with_hash_tag(self) -> "Market":
        """Return the market with a prefix that keeps all its keys in one slot of a cluster: `{prefix}`."""
        return self if "{" in self.prefix else self._replace(prefix=f"{{{self.prefix}}}")

    @property
    def labels(self) -> dict[str, str]:
        """The labels of all its series."""
        return {"app": "btcts", "asset": self.asset.lower(), "quote": self.currency.lower()}
