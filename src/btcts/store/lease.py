"""The lease of a rebuild: while it holds, other writers wait, or they would starve the rebuild.

It is a field of the state hash, `<until ms> <host> <process> <token>` by the server's TIME, and no more than a hint:
WATCH decides, and a writer that has waited long enough goes ahead. A lease is ignored when its rebuild is known to be
over; one from another host, or one that a step of the clock has moved, lapses.
"""

import os
import re
import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from btcts.domain.untrusted import Unreadable, excerpt
from btcts.store.link import Link, now_of

LEASE_FIELD = "rebuild_until_ms"
LEASE_MS = 2_000
"""The length of a lease; an attempt of a rebuild takes 0.1 s, with a day of ticks each second up to one second."""

PAUSE_S = 0.05
APPEND_PAUSES = 20
"""The pauses an append makes for a rebuild: a second in all, since a price must not be late."""

_REBUILD_PAUSES = 40
"""The same for a rebuild: long enough for the lease of another to lapse."""

_WRITTEN = re.compile(r"(\d{1,15}) (\S{1,255}) ([1-9]\d{0,8}) (\w{1,64})")
_UNDER_WAY: set["Holder"] = set()


class Holder(NamedTuple):
    """A rebuild: the host and the process it runs in, and what tells it from others there."""

    host: str
    process: int
    token: str

    def is_gone(self) -> bool:
        """Tell whether the process is known to have ended; other hosts' processes are not known."""
        if self.host != _name_host():
            return False
        if self.process == os.getpid():
            return self not in _UNDER_WAY
        try:
            os.kill(self.process, 0)
        except ProcessLookupError:
            return True
        except PermissionError:
            pass  # it runs, as another user
        return False


@contextmanager
def register_holder() -> Iterator[Holder]:
    """Register the holder of the leases of one rebuild until the block ends."""
    holder = Holder(_name_host(), os.getpid(), secrets.token_hex(8))
    _UNDER_WAY.add(holder)
    try:
        yield holder
    finally:
        _UNDER_WAY.discard(holder)


def parse(lease: str, now_ms: int) -> tuple[int, Holder]:
    """Return the end of a lease and its holder, by the server's time `now_ms`.

    Raises:
        Unreadable: it is none, or holds for longer than any does.
    """
    written = _WRITTEN.fullmatch(lease)
    if written is None or int(written[1]) > now_ms + LEASE_MS:
        raise Unreadable(f"{excerpt(lease)} is no lease of at most {LEASE_MS} ms")
    return int(written[1]), Holder(written[2], int(written[3]), written[4])


def wait(link: Link, pauses: int = APPEND_PAUSES, holder: Holder | None = None) -> int:
    """Wait while somebody else has the lease, for `pauses` at most; return the server's TIME at the end."""
    for pause in range(pauses + 1):
        time, lease = link.ask_all([("TIME",), ("HGET", link.layout.state, LEASE_FIELD)])
        now_ms = now_of(time)
        if pause == pauses or not is_held(lease, now_ms, holder):
            break
        link.clock.sleep(PAUSE_S)
    return now_ms


def take(link: Link, holder: Holder) -> None:
    """Take the lease, after waiting for any other holder."""
    until_ms = wait(link, _REBUILD_PAUSES, holder) + LEASE_MS
    host, process, token = holder
    link.ask("HSET", link.layout.state, LEASE_FIELD, f"{until_ms} {host} {process} {token}")


def is_held(lease: object, now_ms: int, but: Holder | None = None) -> bool:
    """Tell whether another rebuild holds the lease at `now_ms` (server time) and may still be running."""
    if not isinstance(lease, str):
        return False
    try:
        until_ms, holder = parse(lease, now_ms)
    except Unreadable:
        return False
    return now_ms < until_ms and holder != but and not holder.is_gone()


def _name_host() -> str:
    return "_".join(socket.gethostname().split()) or "unnamed"
