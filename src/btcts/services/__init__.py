"""What each command does: one module per command, free of terminals, servers and networks."""
