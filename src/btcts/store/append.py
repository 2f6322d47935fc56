"""The first of the two write paths: an atomic append to the tick series."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from redis.exceptions import NoScriptError

from btcts.candles import combine
from btcts.errors import StoreError
from btcts.layout import FUTURE_SLACK_MS, HOUR
from btcts.model import Candle, Tick
from btcts.store.link import Link


@dataclass(frozen=True)
class Appended:
    """What an append did: `status` is "written", or why nothing was written and a rebuild has to."""

    now_ms: int
    status: str
    too_old: int
    too_early: int

    @property
    def written(self) -> bool:
        """Whether the ticks are in the series now, apart from the refused ones."""
        return self.status == "written"


def append(link: Link, live: Sequence[Tick], candles: Sequence[Candle]) -> Appended:
    """Add live ticks and candles in one atomic step, or report that a rebuild has to.

    Ticks before the window or more than 10 s ahead are refused and counted, the others written. Nothing is
    written when a minute behind the newest one would come into being ("merge"), the series does not exist
    ("missing") or its newest sample lies in the future ("poisoned").

    Raises:
        StoreError: a candle's minute is not over yet, or Redis refused a sample.
    """
    ordered = sorted(candles, key=lambda candle: candle.start_ms)
    arguments: list[Any] = [
        "" if link.clock.follows_server else link.clock.now_ms(),
        FUTURE_SLACK_MS,
        HOUR.entries * HOUR.bucket_ms,
        HOUR.bucket_ms,
        len(ordered),
    ]
    for candle in ordered:
        arguments += (candle.start_ms, candle.low, candle.high)
    key = link.layout.tick
    for time_ms, price in combine((), live, ordered):
        arguments += (key, time_ms, price)
    now_ms, status, too_old, too_early, _ = _call(link, arguments)
    if status == "early":
        raise StoreError("a candle of a minute that is not over was refused; check the clocks")
    return Appended(link.clock.observe(now_ms), status, too_old, too_early)


def _call(link: Link, arguments: list[Any]) -> list[Any]:
    keys = (link.layout.tick, link.layout.state)
    with link.translated():
        try:
            reply = link.client.evalsha(_digest(), len(keys), *keys, *arguments)
        except NoScriptError:
            reply = link.client.eval(_script(), len(keys), *keys, *arguments)
    return list(reply)


@cache
def _script() -> str:
    return resources.files("btcts.store").joinpath("append.lua").read_text(encoding="utf-8")


@cache
def _digest() -> str:
    return hashlib.sha1(_script().encode(), usedforsecurity=False).hexdigest()
