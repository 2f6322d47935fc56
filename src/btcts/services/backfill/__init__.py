"""`backfill`: settle minutes by hand, from the candles of providers or of a file."""
