"""Prices, candles and the layout of the stored series, as pure values and functions: no server, file or socket."""
