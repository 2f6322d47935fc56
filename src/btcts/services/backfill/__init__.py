"""`backfill`: minutes settled by hand, from the candles of providers or of a file."""
