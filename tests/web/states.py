"""Overview documents of every state that the page has to tell apart."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from btcts.domain.layout import RESOLUTIONS
from btcts.domain.model import Slot
from btcts.render.show.documents import view_json
from btcts.services.show import View
from render.views import Walk, polled, view_of, walk, with_slots, with_trades, without

RECORDED = Path(__file__).parents[1] / "render" / "recorded"


def encode_overview(minutes: Walk, *, age_s: float = 2.0, simulated: bool = False, **fields: Any) -> str:
    """Encode the overview of a walk, with other fields of the view."""
    view = with_slots(view_of(minutes, *RESOLUTIONS, age_s=age_s, simulated=simulated), with_trades)
    return encode_view(view, **fields)


def encode_view(view: View, **fields: Any) -> str:
    """Encode a view, with other fields."""
    known: dict[str, Any] = {"members": ("bitstamp", "coinbase", "kraken"), **fields}
    return view_json(replace(view, **known))


def make_gaps() -> str:
    """Leave out an hour, a quarter and single minutes, and let polls alone tell the last half hour."""
    minutes = walk()
    gappy = without(minutes, range(3, 5), range(21, 39), range(300, 400), range(900, 930))
    mixed = {
        start: polled({start: minute})[start] if max(minutes) - start < 1_200_000 else minute
        for start, minute in gappy.items()
    }
    return encode_view(with_slots(view_of(mixed, *RESOLUTIONS, age_s=2.0), _mark_reasons))


def _mark_reasons(slots: Sequence[Slot]) -> list[Slot]:
    missing = [slot for slot in slots if slot.missing]
    return [slot._replace(reason="providers_down") if slot in missing[: len(missing) // 3] else slot for slot in slots]


def make_storm() -> str:
    """Let the price swing wildly, with one provider left beside those that differ."""
    far = (("bitfinex", 0.0312), ("gemini", -0.0184), ("kraken", -0.1245))
    return encode_overview(walk(swing=0.03), age_s=0.0, members=("coinbase",), flag="disputed", deviating=far)


def make_states() -> dict[str, str]:
    """Return the document of each state by its name."""
    return {
        "full": encode_overview(walk()),
        "gaps": make_gaps(),
        "stale": encode_overview(walk(), age_s=424.0),
        "empty": encode_view(view_of({}, *RESOLUTIONS), members=()),
        "simulated": encode_overview(walk(), simulated=True, members=("simulated",)),
        "storm": make_storm(),
    }


def read_status(state: str) -> dict[str, Any]:
    """Return the recorded document of `btcts status` in that state."""
    calls = json.loads((RECORDED / f"{state}.json").read_text(encoding="utf-8"))
    documents: list[dict[str, Any]] = calls["status --format json"]
    return documents[0]
