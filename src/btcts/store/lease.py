"""The lease of a rebuild: while it holds, other writers let the rebuild go first, or they would overtake it for ever.

It is a field of the state hash, `<until ms> <holder>` by the server's TIME, and no more than a hint: WATCH decides, and
who has waited long enough goes ahead. One that nobody takes back, or that a step of the clock has moved, lapses.
"""

import re
from typing import Any

from btcts.store.link import Link, now_of
from btcts.untrusted import Unreadable, excerpt

LEASE_FIELD = "rebuild_until_ms"
LEASE_MS = 2_000
"""How long a lease holds; an attempt of a rebuild takes 0.1 s, with a tick each second for a day up to one second."""

PAUSE_S = 0.05
APPEND_PAUSES = 20
"""How often an append waits for a rebuild: for a second, for a price must not be late."""

_REBUILD_PAUSES = 40
_WRITTEN = re.compile(r"(\d{1,15}) (\w+)")


def parse(lease: str, now_ms: int) -> tuple[int, str]:
    """Until when a lease holds, and its holder; by the time of the server, which is `now_ms`.

    Raises:
        Unreadable: it is none, or holds for longer than any does.
    """
    written = _WRITTEN.fullmatch(lease)
    if written is None or int(written[1]) > now_ms + LEASE_MS:
        raise Unreadable(f"{excerpt(lease)} is no lease of at most {LEASE_MS} ms")
    return int(written[1]), written[2]


def wait(link: Link, pauses: int = APPEND_PAUSES) -> None:
    """Wait until no rebuild of others is under way, at most for so many pauses."""
    _wait(link, pauses, holder="")


def take(link: Link, holder: str) -> None:
    """Ask other writers to wait for this `holder`, who first waits for another one."""
    now_ms = _wait(link, _REBUILD_PAUSES, holder)
    link.ask("HSET", link.layout.state, LEASE_FIELD, f"{now_ms + LEASE_MS} {holder}")


def _wait(link: Link, pauses: int, holder: str) -> int:
    """Wait while somebody else than the `holder` has the lease; the server's TIME at the end."""
    for pause in range(pauses + 1):
        time, lease = link.ask_all([("TIME",), ("HGET", link.layout.state, LEASE_FIELD)])
        now_ms = now_of(time)
        if pause == pauses or not _is_held(lease, now_ms, holder):
            break
        link.clock.sleep(PAUSE_S)
    return now_ms


def _is_held(lease: Any, now_ms: int, holder: str) -> bool:
    """Whether somebody else than the `holder` has the lease at `now_ms`."""
    if not isinstance(lease, str):
        return False
    try:
        until_ms, name = parse(lease, now_ms)
    except Unreadable:
        return False
    return name != holder and now_ms < until_ms
