"""The slots of one resolution as columns of text."""

from collections.abc import Sequence
from itertools import pairwise

from btcts.model import MINUTE_MS, Slot
from btcts.render.columns import Cell, Column
from btcts.render.figures import countdown, percent, price, signed
from btcts.render.times import slot_starts
from btcts.services.show import Shown

LAYOUTS = (
    "start close change percent min max range minutes state",
    "start close percent min max range minutes state",
    "start close percent min max range minutes brief",
    "start close percent min max minutes brief",
    "start close percent min max brief",
    "start close percent brief",
    "start close percent word",
    "start close word",
    "start close",
    "close",
)
"""The columns to draw, the richest choice first; what can be worked out from the others is given up first."""


def slot_columns(shown: Shown, *, now_ms: int, places: int, utc: bool) -> dict[str, Column]:
    """Every column there is for these slots, by its name in `LAYOUTS`; prices have `places` decimals."""
    return (
        price_columns(shown.slots, places=places, utc=utc)
        | _change_columns(shown.slots, places=places)
        | _state_columns(shown, now_ms=now_ms)
    )


def price_columns(slots: Sequence[Slot], *, places: int, utc: bool) -> dict[str, Column]:
    """When the slots start and what the price did in each: `start`, `close`, `min`, `max` and `range`."""
    heading, starts = slot_starts([each.start_ms for each in slots], utc=utc)

    def column(title: str, values: list[float | None], absent: str = "") -> Column:
        texts = [absent if value is None else price(value, places) for value in values]
        return _column(title, slots, texts)

    ranges = [each.max - each.min if each.max is not None and each.min is not None else None for each in slots]
    return {
        "start": _column(heading, slots, starts, words=True),
        "close": column("Close", [each.close for each in slots], absent="no price"),
        "min": column("Min", [each.min for each in slots]),
        "max": column("Max", [each.max for each in slots]),
        "range": column("Range", ranges),
    }


def trend(change: str) -> str:
    """The style of a written change; its sign says the same."""
    return {"+": "green", "-": "red"}.get(change[:1], "")


def absences(slots: Sequence[Slot]) -> str:
    """How many closed slots have no price at all and why, such as `2 (not reached)`; empty when there is none."""
    missing = [each for each in slots if each.closed and each.missing]
    reasons = dict.fromkeys(_spoken(each.reason) for each in missing if each.reason)
    if not missing:
        return ""
    return f"{len(missing)} ({', '.join(reasons)})" if reasons else str(len(missing))


def _change_columns(slots: Sequence[Slot], *, places: int) -> dict[str, Column]:
    """How the close differs from that of the slot before, where both have one: `change` and `percent`."""
    changes, percents = [], []
    for before, close in pairwise([None, *(each.close for each in slots)]):
        if not before or close is None:
            changes.append("")
            percents.append("")
        else:
            changes.append(signed(close - before, places))
            percents.append(percent(close / before - 1))
    return {
        name: Column("Change", tuple(Cell(text, trend(text)) for text in texts))
        for name, texts in (("change", changes), ("percent", percents))
    }


def _state_columns(shown: Shown, *, now_ms: int) -> dict[str, Column]:
    """How far each slot can be relied on: `minutes`, and `state` with its shorter forms `brief` and `word`."""
    whole = shown.resolution.bucket_ms // MINUTE_MS
    states = [_state(each, whole, now_ms) for each in shown.slots]
    columns = {
        name: Column("State", tuple(each[form] for each in states), words=True)
        for form, name in enumerate(("state", "brief", "word"))
    }
    if whole > 1:
        columns["minutes"] = _column("Mins", shown.slots, [f"{each.minutes}/{whole}" for each in shown.slots])
    return columns


def _state(slot: Slot, whole: int, now_ms: int) -> tuple[Cell, Cell, Cell]:
    """The state in three forms, each shorter than the one before."""
    if not slot.closed:
        left = countdown(slot.start_ms + whole * MINUTE_MS - now_ms)
        brief = Cell(f"open {left}", "bold")
        return Cell(f"open, {left} left", "bold"), brief, brief
    if slot.minutes < whole:
        word, style = "gap", "yellow"
    else:
        word, style = ("settled", "") if slot.settled else ("live", "yellow")
    full = Cell(f"{word}: {_spoken(slot.reason)}" if slot.reason else word, style)
    return full, full, Cell(word, style)


def _spoken(reason: str) -> str:
    return reason.replace("_", " ")


def _column(heading: str, slots: Sequence[Slot], texts: Sequence[str], *, words: bool = False) -> Column:
    cells = (Cell(text, _style(slot)) for text, slot in zip(texts, slots, strict=True))
    return Column(heading, tuple(cells), words)


def _style(slot: Slot) -> str:
    if slot.missing:
        return "dim"
    return "" if slot.closed else "bold"
