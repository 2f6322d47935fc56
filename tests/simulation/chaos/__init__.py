"""Schedules of faults, drawn by seed: real redis-servers that are killed, a proxy that cuts, providers that lie."""
