"""JSON and CSV for programs; `schemas/` describes the JSON of `show` field by field.

A JSON document stands on one line, so that several make a stream. Prices are written as they are stored: with the
fewest digits that read back as the same number. No text ends in a line end; printing adds it.
"""

import csv
import io
import json
from collections.abc import Iterable, Sequence
from typing import Any

from btcts.layout import MARKET
from btcts.model import Slot
from btcts.render.times import iso
from btcts.services.show import Shown, View

SCHEMA = 1
"""The version of the JSON documents; raised when a field goes away or changes its meaning."""

SLOT_FIELDS = ("start_ms", "start", "close", "min", "max", "closed", "settled", "minutes", "missing", "reason")


def show_json(view: View) -> str:
    """The slots of one resolution, as `schemas/show.json` says."""
    (shown,) = view.shown
    return _json(_head(view) | {"resolution": shown.resolution.name} | _slots(shown))


def overview_json(view: View) -> str:
    """The slots of every resolution, as `schemas/overview.json` says."""
    return _json(_head(view) | {"resolutions": {each.resolution.name: _slots(each) for each in view.shown}})


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
    }


def _slots(shown: Shown) -> dict[str, Any]:
    return {"bucket_ms": shown.resolution.bucket_ms, "slots": [_slot(each) for each in shown.slots]}


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
