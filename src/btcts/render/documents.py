"""JSON and CSV for programs; `docs/schemas/` describes the JSON of `show` field by field.

A JSON document stands on one line, so that several make a stream. Prices are written as they are stored: with the
fewest digits that read back as the same number. No text ends in a line end; printing adds it. What is worked out is
worked out from the slots in the document, and null where they do not suffice.
"""

import csv
import io
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from btcts.domain.layout import MARKET
from btcts.domain.model import MINUTE_MS, Slot
from btcts.domain.moves import SPANS, Move, day_range, move
from btcts.domain.volatility import Range, Volatility, volatility
from btcts.render.times import iso
from btcts.services.show import Shown, View

SCHEMA = 1
"""The version of the JSON documents; raised when a field goes away or changes its meaning."""

SLOT_FIELDS = ("start_ms", "start", "close", "min", "max", "closed", "settled", "minutes", "missing", "reason")


def show_json(view: View) -> str:
    """The slots of one resolution, as `docs/schemas/show.json` says."""
    (shown,) = view.shown
    return _json(_head(view) | {"resolution": shown.resolution.name} | _resolution(shown))


def overview_json(view: View) -> str:
    """The slots of every resolution, as `docs/schemas/overview.json` says."""
    resolutions = {each.resolution.name: _resolution(each) for each in view.shown}
    return _json(_head(view) | _moves(view) | {"resolutions": resolutions})


def show_csv(view: View) -> str:
    """The slots of one resolution under a header line; null is empty."""
    (shown,) = view.shown
    return _csv(SLOT_FIELDS, (_slot(each).values() for each in shown.slots))


def overview_csv(view: View) -> str:
    """The slots of every resolution under a header line, the name of the resolution in the first column."""
    rows = ((each.resolution.name, *_slot(slot).values()) for each in view.shown for slot in each.slots)
    return _csv(("resolution", *SLOT_FIELDS), rows)


def _head(view: View) -> dict[str, Any]:
    newest = view.newest
    return {
        "schema": SCHEMA,
        "market": MARKET,
        "simulated": view.simulated,
        "generated_ms": view.now_ms,
        "newest_ms": newest and newest.time_ms,
        "price": newest and newest.price,
        "age_s": view.age_s,
        "stale": view.stale,
        "members": view.members,
        "flag": view.flag,
        "deviating": [{"provider": provider, "deviation": ratio} for provider, ratio in view.deviating],
    }


def _moves(view: View) -> dict[str, Any]:
    slots = {each.resolution.name: each.slots for each in view.shown}
    newest = view.newest.price if view.newest else None
    low, high = day_range(slots, view.now_ms) or (None, None)
    return {
        "change": {span: _move(move(span, slots, newest, view.now_ms)) for span in SPANS},
        "low_24h": low,
        "high_24h": high,
    }


def _move(moved: Move | None) -> dict[str, float] | None:
    return None if moved is None else {"from": moved.then, "usd": moved.usd, "ratio": moved.ratio}


def _resolution(shown: Shown) -> dict[str, Any]:
    bucket_ms = shown.resolution.bucket_ms
    return {
        "bucket_ms": bucket_ms,
        "slots": [_slot(each) for each in shown.slots],
        "gaps": _gaps(shown.slots, bucket_ms // MINUTE_MS),
        "volatility": _volatility(volatility(shown.slots, bucket_ms)),
    }


def _gaps(slots: Iterable[Slot], whole: int) -> dict[str, Any]:
    """The closed slots that lack some of their `whole` minutes."""
    lacking = [each for each in slots if each.closed and each.minutes < whole]
    empty = sum(each.missing for each in lacking)
    return {
        "empty": empty,
        "incomplete": len(lacking) - empty,
        "minutes": sum(whole - each.minutes for each in lacking),
        "reasons": Counter(each.reason or "unknown" for each in lacking),
    }


def _volatility(measured: Volatility) -> dict[str, Any]:
    total = measured.range
    return {
        "low": total and total.low,
        "high": total and total.high,
        "range": _range(total),
        "widest": _range(measured.widest),
        "returns": measured.returns,
        "realised": measured.realised,
        "realised_per_year": measured.realised_per_year,
        "ranges": measured.ranges,
        "parkinson": measured.parkinson,
        "parkinson_per_year": measured.parkinson_per_year,
    }


def _range(measured: Range | None) -> dict[str, Any] | None:
    return measured and {"start_ms": measured.start_ms, "usd": measured.width, "ratio": measured.ratio}


def _slot(slot: Slot) -> dict[str, Any]:
    values = (
        slot.start_ms,
        iso(slot.start_ms),
        slot.close,
        slot.min,
        slot.max,
        slot.closed,
        slot.settled,
        slot.minutes,
        slot.missing,
        slot.reason,
    )
    return dict(zip(SLOT_FIELDS, values, strict=True))


def _json(document: dict[str, Any]) -> str:
    return json.dumps(document, allow_nan=False)


def _csv(fields: Sequence[str], rows: Iterable[Iterable[Any]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(fields)
    writer.writerows([_csv_value(each) for each in row] for row in rows)
    return text.getvalue().removesuffix("\n")


def _csv_value(value: Any) -> Any:
    return str(value).lower() if isinstance(value, bool) else value
