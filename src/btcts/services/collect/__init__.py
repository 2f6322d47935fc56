"""`collect`: prices and candles from the providers into the store, cycle after cycle."""
