"""Recent moves of the price (pure): the newest price compared with the slot of some time ago."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from btcts.domain.layout import HOUR, MINUTE
from btcts.domain.model import DAY_MS, HOUR_MS, MINUTE_MS, Slot

SPANS = {
    "5min": (MINUTE, 5 * MINUTE_MS),
    "15min": (MINUTE, 15 * MINUTE_MS),
    "1h": (MINUTE, HOUR_MS),
    "24h": (HOUR, DAY_MS),
}
"""The resolution that holds the price at the start of a move, and the length of the move."""

Slots = Mapping[str, Sequence[Slot]]
"""Slots by the name of their resolution, ascending."""


@dataclass(frozen=True, slots=True)
class PriceMove:
    """A move from the price `then` to the price `now`."""

    then: float
    now: float

    @property
    def amount(self) -> float:
        """The difference in the currency of the market."""
        return self.now - self.then

    @property
    def ratio(self) -> float:
        """The difference as a fraction of the earlier price: 0.01 is 1 %."""
        return self.now / self.then - 1


def compute_move(span: str, slots: Slots, newest: float | None, now_ms: int) -> PriceMove | None:
    """Return the move over one of `SPANS`, from the close of the slot that contains its start; None if unknown.

    The close is later than the start: for 24 h up to an hour, for the others up to a minute.
    """
    reaching = _find_reaching(span, slots, now_ms)
    then = reaching[0].close if reaching else None
    return PriceMove(then, newest) if then and newest is not None else None


def find_day_range(slots: Slots, now_ms: int) -> tuple[float, float] | None:
    """Return the lowest and highest price of the last 24 hours and the open hour, or None if unknown."""
    hours = _find_reaching("24h", slots, now_ms)
    lows = [slot.min for slot in hours if slot.min is not None]
    highs = [slot.max for slot in hours if slot.max is not None]
    return (min(lows), max(highs)) if lows and highs else None


def _find_reaching(span: str, slots: Slots, now_ms: int) -> Sequence[Slot]:
    """Return the slots from the one that contains the start of the span; none if that one is missing."""
    resolution, ago_ms = SPANS[span]
    start_ms = resolution.start_of(now_ms - ago_ms)
    since = [slot for slot in slots.get(resolution.name, ()) if slot.start_ms >= start_ms]
    return since if since and since[0].start_ms == start_ms else ()
