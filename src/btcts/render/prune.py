"""The outcome of `prune`: lines for people, or JSON as `docs/schemas/prune.json` says."""

from collections.abc import Iterator
from typing import Any

from btcts.domain.layout import Market
from btcts.render.documents import begin_document, dump_document
from btcts.render.figures import known_iso
from btcts.services.prune import Pruned
from btcts.store import Excess


def prune_lines(pruned: Pruned, *, dry_run: bool) -> Iterator[str]:
    """List the series that hold too much, and the unknown keys, one per line."""
    done = "would remove" if dry_run else "removed"
    for excess in pruned.removed:
        kind = "in the future" if excess.future else "too old"
        first, last = (known_iso(ms) or f"{ms} ms" for ms in (excess.first_ms, excess.last_ms))
        yield f"{excess.key}: {done} {excess.count} {kind}, {first} to {last}"
    if pruned.poisoned:
        yield f"{pruned.tick_key}: {done} the ticks in the future, by a rebuild from the others"
    if not pruned.removed and not pruned.poisoned:
        yield f"nothing to remove at {pruned.where}"
    for key in pruned.unknown:
        yield f"{key}: not part of the layout, left alone"


def prune_json(pruned: Pruned, market: Market, *, dry_run: bool) -> str:
    """Encode the outcome as one object on one line."""
    document = begin_document(market) | {
        "where": pruned.where,
        "dry_run": dry_run,
        "removed": [_encode_excess(excess) for excess in pruned.removed],
        "future_ticks": pruned.poisoned,
        "unknown": pruned.unknown,
    }
    return dump_document(document)


def _encode_excess(excess: Excess) -> dict[str, Any]:
    return {
        "key": excess.key,
        "count": excess.count,
        "future": excess.future,
        "first_ms": excess.first_ms,
        "first": known_iso(excess.first_ms),
        "last_ms": excess.last_ms,
        "last": known_iso(excess.last_ms),
    }
