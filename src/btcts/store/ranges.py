"""Queries for ranges of series, and readers of the replies."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from btcts.domain.layout import Layout
from btcts.domain.model import Tick
from btcts.store.link import Command, Link

STAMPS_PER_QUERY = 128
"""The most stamps that FILTER_BY_TS takes."""

Queries = dict[str, Command]
"""Commands by the names under which `ask` returns the replies."""

Samples = dict[int, float]
"""Values by stamp, or by start of bucket, ascending."""


def ask(link: Link, queries: Queries, *, at_one_moment: bool = False) -> dict[str, Any]:
    """Return the replies by name, in one round trip, ranges as samples."""
    replies = link.ask_all(list(queries.values()), at_one_moment=at_one_moment)
    return {
        name: read_samples(reply) if command[0] == "TS.RANGE" else reply
        for (name, command), reply in zip(queries.items(), replies, strict=True)
    }


def query_range(key: str, first_ms: int, last_ms: int | None) -> Command:
    """Return the query for a series from `first_ms` to `last_ms` (None: to the end), both included."""
    return ("TS.RANGE", key, max(0, first_ms), "+" if last_ms is None else max(0, last_ms))


def query_buckets(layout: Layout, first_ms: int, last_ms: int | None, aggregator: str, bucket_ms: int) -> Command:
    """Return the query for the ticks of such a range in buckets."""
    return (*query_range(layout.tick, first_ms, last_ms), "AGGREGATION", aggregator, bucket_ms)


def query_stamps(layout: Layout, stamps: Sequence[int]) -> Iterator[Command]:
    """Yield the queries for ticks at exactly these stamps (ascending); Redis scans only the span between them."""
    for start in range(0, len(stamps), STAMPS_PER_QUERY):
        wanted = stamps[start : start + STAMPS_PER_QUERY]
        yield ("TS.RANGE", layout.tick, wanted[0], wanted[-1], "FILTER_BY_TS", *wanted)


def read_samples(reply: Any) -> Samples:
    """Return the samples of a range by stamp; none where the series does not exist.

    Of two at one stamp the first counts: LATEST puts an open bucket behind the one that was carried over.
    """
    return dict(reversed(read_list(reply)))


def read_newest(reply: Any) -> Tick | None:
    """Return the tick that TS.GET replies with; none where the series is empty or does not exist."""
    return Tick(reply[0], float(reply[1])) if isinstance(reply, list) and reply else None


def read_list(reply: Any) -> list[Any]:
    """Return the reply if it is a list; an empty one instead of an error."""
    return reply if isinstance(reply, list) else []


def read_hash(reply: Any) -> Mapping[str, str]:
    """Return the reply if it is a hash; an empty one instead of an error."""
    return reply if isinstance(reply, dict) else {}
