"""The work of each command: one module per command, independent of terminals, servers and networks."""
