"""The slots as JSON, which `docs/schemas/` describes field by field, and as CSV.

Derived figures come from the slots in the document alone, and are null where those do not suffice.
"""

import csv
import io
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from btcts.domain.model import MINUTE_MS, Slot
from btcts.domain.statistics import SPANS, PriceMove, Range, Volatility, compute_move, find_day_range, volatility_of
from btcts.render.documents import dump_document
from btcts.render.figures import iso
from btcts.render.price import encode_price
from btcts.services.show import Overview, Shown, View

SLOT_FIELDS = (
    *("start_ms", "start", "close", "min", "max", "closed", "settled", "minutes", "missing", "reason"),
    *("open", "exact"),
)
"""Fields of a slot, in the order of the columns of the CSV; `start` is `start_ms` as ISO 8601."""

VOLATILITY_FIELDS = ("returns", "realised", "realised_per_year", "ranges", "parkinson", "parkinson_per_year")


def view_json(view: View) -> str:
    """Encode one resolution as `docs/schemas/show.json` says, or an overview as `docs/schemas/overview.json` says."""
    document = encode_price(view)
    if isinstance(view, Overview):
        resolutions = {shown.resolution.name: _encode_resolution(shown) for shown in view.resolutions}
        document |= _encode_moves(view) | {"resolutions": resolutions}
    else:
        document |= {"resolution": view.shown.resolution.name} | _encode_resolution(view.shown)
    return dump_document(document | {"halted": view.halted})


def view_csv(view: View) -> str:
    """List the slots under a header line, in an overview behind the name of their resolution; null is empty."""
    if isinstance(view, Overview):
        slots = ((shown.resolution.name, slot) for shown in view.resolutions for slot in shown.slots)
        return _dump_csv(("resolution", *SLOT_FIELDS), ((name, *_encode_slot(slot).values()) for name, slot in slots))
    return _dump_csv(SLOT_FIELDS, (_encode_slot(slot).values() for slot in view.shown.slots))


def _encode_moves(view: Overview) -> dict[str, Any]:
    slots = {shown.resolution.name: shown.slots for shown in view.resolutions}
    newest = view.newest.price if view.newest else None
    low, high = find_day_range(slots, view.now_ms) or (None, None)
    return {
        "change": {span: _encode_move(compute_move(span, slots, newest, view.now_ms)) for span in SPANS},
        "low_24h": low,
        "high_24h": high,
    }


def _encode_move(moved: PriceMove | None) -> dict[str, float] | None:
    return None if moved is None else {"from": moved.then, "usd": moved.amount, "ratio": moved.ratio}


def _encode_resolution(shown: Shown) -> dict[str, Any]:
    bucket_ms = shown.resolution.bucket_ms
    return {
        "bucket_ms": bucket_ms,
        "slots": [_encode_slot(slot) for slot in shown.slots],
        "gaps": _encode_gaps(shown.slots, bucket_ms // MINUTE_MS),
        "volatility": _encode_volatility(volatility_of(shown.slots, bucket_ms)),
    }


def _encode_gaps(slots: Iterable[Slot], whole: int) -> dict[str, Any]:
    """Count the closed slots that lack some of their `whole` minutes, and the minutes they lack."""
    lacking = [slot for slot in slots if slot.closed and slot.minutes < whole]
    empty = sum(slot.missing for slot in lacking)
    return {
        "empty": empty,
        "incomplete": len(lacking) - empty,
        "minutes": sum(whole - slot.minutes for slot in lacking),
        "reasons": Counter(slot.reason or "unknown" for slot in lacking),
    }


def _encode_volatility(measured: Volatility) -> dict[str, Any]:
    total = measured.range
    return {
        "low": total and total.low,
        "high": total and total.high,
        "range": _encode_range(total),
        "widest": _encode_range(measured.widest),
        **{name: getattr(measured, name) for name in VOLATILITY_FIELDS},
    }


def _encode_range(measured: Range | None) -> dict[str, Any] | None:
    return measured and {"start_ms": measured.start_ms, "usd": measured.width, "ratio": measured.ratio}


def _encode_slot(slot: Slot) -> dict[str, Any]:
    return {name: iso(slot.start_ms) if name == "start" else getattr(slot, name) for name in SLOT_FIELDS}


def _dump_csv(fields: Sequence[str], rows: Iterable[Iterable[Any]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(fields)
    writer.writerows([_format_csv_value(value) for value in row] for row in rows)
    return text.getvalue().removesuffix("\n")


def _format_csv_value(value: Any) -> Any:
    return str(value).lower() if isinstance(value, bool) else value
