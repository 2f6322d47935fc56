"""`show` in a terminal."""
