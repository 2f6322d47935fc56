"""Candle charts, for terminals and as SVG."""
