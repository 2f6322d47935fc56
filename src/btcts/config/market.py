"""The market whose prices are kept."""

from btcts.domain.market import Market

BTC_USD = Market("BTC", "USD", prefix="btc:price", file_suffix="", decimals=2)
"""Its files have no suffix: they are older than the idea of a second market."""
