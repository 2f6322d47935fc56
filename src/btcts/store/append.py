"""The first of the two write paths: an atomic append to the tick series."""

import struct
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any

from btcts.domain.candles import combine, move_off_the_mark
from btcts.domain.layout import FUTURE_SLACK_MS, HOUR
from btcts.domain.model import MINUTE_MS, Bounds, Candle, Tick, is_price
from btcts.errors import StoreError
from btcts.store import lease
from btcts.store.link import Link, call_script
from btcts.store.plan import UNFINISHED


def prepare_live(live: Iterable[Tick]) -> list[Tick]:
    """Move live ticks off the stamps that mark a minute as settled or hold its bounds.

    Raises:
        StoreError: one of them has no price.
    """
    ticks = [move_off_the_mark(tick) for tick in live]
    for tick in ticks:
        if not is_price(tick.price):
            raise StoreError(f"{tick.price!r} at {tick.time_ms} is no price; nothing was written")
    return ticks


def check_bounds(bounds: Iterable[Bounds]) -> list[Bounds]:
    """Return the bounds, ascending, the last of each minute.

    Raises:
        StoreError: one of them cannot be the range of a minute.
    """
    by_minute = {bound.minute_ms: bound for bound in bounds}
    for minute_ms, low, high in by_minute.values():
        if minute_ms % MINUTE_MS or not (is_price(low) and is_price(high) and low <= high):
            raise StoreError(f"{low!r} .. {high!r} at {minute_ms} are no bounds of a minute; nothing was written")
    return [by_minute[minute] for minute in sorted(by_minute)]


def append(
    link: Link,
    live: Iterable[Tick],
    candles: Iterable[Candle],
    *,
    bounds: Iterable[Bounds],
    fields: Mapping[str, str],
    wary: bool = False,
) -> tuple[int, bool]:
    """Add live ticks (off the mark) and candles in one atomic step; return `now` and whether it was done.

    With a live tick, unsettled minutes are held within their `bounds` (ascending), if they hold a live tick themselves
    and the database lets the rules look back. The `fields` of the state hash are set in the same step.

    Ticks before the window or more than 10 s ahead are refused, the others written. Nothing is written, and a
    rebuild has to do it, when a minute behind the newest one would come into being, when the series does not exist,
    when its newest sample lies in the future and when it would hold Redis for long; in other databases than 0 also for
    any tick behind the newest one, in a cluster when a rule is gone. What an insertion filter dropped is left to a
    rebuild, too.

    Raises:
        StoreError: a candle's minute is not over yet, Redis refused a sample, or the newest one lies in the future and
            the writer is `wary`.
    """
    by_minute = {candle.start_ms: candle for candle in candles}
    ordered = [by_minute[minute] for minute in sorted(by_minute)]
    ticks = _pack_doubles(list(chain.from_iterable(combine({}, live, ordered).items())))
    settling = _pack_doubles([value for candle in ordered for value in (candle.start_ms, candle.low, candle.high)])
    holding = _pack_doubles(list(chain.from_iterable(bounds)) if link.rules_look_back else [])
    now_ms, status = _send(link, ticks, settling, holding, *chain.from_iterable(fields.items()))
    if status == "early":
        raise StoreError(UNFINISHED)
    if status == "poisoned" and wary:
        raise StoreError(
            f"a price from the future is at {link.where}, or its clock was set back; nothing was written until the "
            "next cycle has asked the providers for the time"
        )
    return link.clock.observe(now_ms), status == "written"


def _send(link: Link, *payload: bytes | str) -> list[Any]:
    """Call the script, waiting up to a second for a running rebuild; return its reply."""
    for _ in range(lease.APPEND_PAUSES):
        now_ms, status, *held = _call(link, lease.LEASE_MS, payload)
        if status != "busy":
            return [now_ms, status]
        if not lease.is_held(*held):
            break
        link.clock.sleep(lease.PAUSE_S)
    return _call(link, "", payload)


def _call(link: Link, longest_lease_ms: int | str, payload: Sequence[bytes | str]) -> list[Any]:
    compactions = [compaction.key for compaction in link.layout.compactions] if link.layout.has_hash_tag else []
    keys = (link.layout.tick, link.layout.state, *compactions)
    arguments = (
        *("" if link.clock.follows_server else link.clock.now_ms(), FUTURE_SLACK_MS),
        *(HOUR.entries * HOUR.bucket_ms, HOUR.bucket_ms, int(link.rules_look_back)),
        *(longest_lease_ms, *payload),
    )
    return list(link.ask(*call_script("append", keys, arguments)))


def _pack_doubles(values: Sequence[float]) -> bytes:
    """Pack the values as the script takes them; stamps in ms fit a double exactly."""
    return struct.pack(f"<{len(values)}d", *values)
