"""The recent Bitcoin price in Redis TimeSeries at four resolutions."""

__version__ = "0.1.0"
