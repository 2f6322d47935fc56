"""Providers that lie, alone and together, and whether a collector believes them: the table of lies."""
