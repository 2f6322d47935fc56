"""`watch`: alerts on levels, moves and stale prices."""
