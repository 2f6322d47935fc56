"""The data that `verify` compares: all ticks and the ten compactions as of one moment."""

from collections.abc import Container, Mapping
from dataclasses import dataclass
from typing import Any

from redis.exceptions import ResponseError

from btcts.domain.layout import Layout
from btcts.domain.model import Tick
from btcts.store.carried import CARRIED_FIELD, find_known
from btcts.store.check import Inspection
from btcts.store.link import Link, now_of


@dataclass(frozen=True)
class Audit:
    """The content of Redis at `now_ms`.

    `ticks` are those that the retention shows, from `first_ms` on, ascending; `compactions` has the samples of each
    that exists, the open bucket last where `latest` says that it can be read; `carried` names by key the buckets
    whose ticks were lost.
    """

    layout: Layout
    now_ms: int
    first_ms: int
    ticks: tuple[Tick, ...]
    compactions: Mapping[str, tuple[tuple[int, float], ...]]
    carried: Mapping[str, Container[int]]
    latest: bool


def audit(link: Link, inspection: Inspection) -> Audit:
    """Read it all in one transaction, so that no write comes between the ticks and what was made of them."""
    layout = link.layout
    latest = ("LATEST",) if link.rules_look_back else ()
    replies = link.ask_all(
        [
            *(("TIME",), ("HGET", layout.state, CARRIED_FIELD), ("TS.RANGE", layout.tick, "-", "+")),
            *(("TS.RANGE", compaction.key, "-", "+", *latest) for compaction in layout.compactions),
        ],
        at_one_moment=True,
    )
    found: list[Any] = [None if isinstance(reply, ResponseError) else reply for reply in replies]
    time, carried, ticks, *compactions = found
    seen = tuple(Tick(*sample) for sample in ticks or ())
    source = inspection.series[layout.tick]
    retention_ms = source.retention_ms if source else 0
    return Audit(
        layout=layout,
        now_ms=link.clock.observe(now_of(time)),
        first_ms=seen[-1].time_ms - retention_ms if seen and retention_ms else 0,
        ticks=seen,
        compactions={
            compaction.key: tuple((start, value) for start, value in reply)
            for compaction, reply in zip(layout.compactions, compactions, strict=True)
            if reply is not None
        },
        carried=find_known(layout, carried),
        latest=link.rules_look_back,
    )
