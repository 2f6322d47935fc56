"""How far the price moved of late (pure): the newest price beside the slots that reach so far back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from btcts.domain.layout import HOUR, MINUTE
from btcts.domain.model import HOUR_MS, MINUTE_MS, Slot

DAY_MS = 24 * HOUR_MS

SPANS = {
    "5min": (MINUTE, 5 * MINUTE_MS),
    "15min": (MINUTE, 15 * MINUTE_MS),
    "1h": (MINUTE, HOUR_MS),
    "24h": (HOUR, DAY_MS),
}
"""How long ago a move begins, and the resolution that is asked for the price of then."""

Slots = Mapping[str, Sequence[Slot]]
"""Slots by the name of their resolution, ascending."""


@dataclass(frozen=True, slots=True)
class PriceMove:
    """From the price of `then` to that of `now`, in USD."""

    then: float
    now: float

    @property
    def usd(self) -> float:
        """How far, in USD."""
        return self.now - self.then

    @property
    def ratio(self) -> float:
        """How far, as a fraction of the price of then: 0.01 is 1 %."""
        return self.now / self.then - 1


def compute_move(span: str, slots: Slots, newest: float | None, now_ms: int) -> PriceMove | None:
    """The move over one of `SPANS`, from the close of the slot in which that long ago lies.

    So it begins a little later: for 24 h up to an hour, for the others up to a minute. None where it is not known.
    """
    reaching = _find_reaching(span, slots, now_ms)
    then = reaching[0].close if reaching else None
    return PriceMove(then, newest) if then and newest is not None else None


def find_day_range(slots: Slots, now_ms: int) -> tuple[float, float] | None:
    """The lowest and the highest price of the last 24 hours and of what is open; None where they are not known."""
    hours = _find_reaching("24h", slots, now_ms)
    lows = [slot.min for slot in hours if slot.min is not None]
    highs = [slot.max for slot in hours if slot.max is not None]
    return (min(lows), max(highs)) if lows and highs else None


def _find_reaching(span: str, slots: Slots, now_ms: int) -> Sequence[Slot]:
    """The slots from the one in which that long ago lies; none when it is not among them."""
    resolution, ago_ms = SPANS[span]
    start_ms = resolution.start_of(now_ms - ago_ms)
    since = [slot for slot in slots.get(resolution.name, ()) if slot.start_ms >= start_ms]
    return since if since and since[0].start_ms == start_ms else ()
