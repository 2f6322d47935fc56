"""Messages to the service manager that started us: systemd's readiness protocol, sd_notify(3)."""

import os
import socket
from contextlib import suppress

PATIENCE_S = 1.0
"""Longest wait for a service manager that does not read."""


def notify(**fields: str) -> None:
    """Send these fields in one datagram to $NOTIFY_SOCKET; do nothing where nobody listens.

    `READY`, `STOPPING` and `WATCHDOG` are "1"; `STATUS` is one line for people.
    """
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    message = "\n".join(f"{name}={value}" for name, value in fields.items())
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.settimeout(PATIENCE_S)
        sender.connect("\0" + address[1:] if address.startswith("@") else address)  # abstract: in no folder
        sender.send(message.encode())


def find_watchdog_s() -> float | None:
    """Return the silence, in s, after which the service manager ends us; None without a watchdog."""
    limit_us = os.environ.get("WATCHDOG_USEC", "")
    return int(limit_us) / 1e6 if limit_us.isascii() and limit_us.isdigit() else None
