"""Streams of trades, beside the polls of the same exchanges."""
