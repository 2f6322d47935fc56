"""The axes of a chart in figures: round prices, round times, and where their labels have room."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from btcts.domain.model import HOUR_MS, MINUTE_MS
from btcts.render.figures import moment

QUIET = 0.001
"""Smallest share of the price that an axis spans, so that noise does not look like a move."""

LADDER = sorted(
    (step / rhythm, -rhythm, step) for step in (1.0, 2.0, 2.5, 5.0, 10.0, 20.0, 25.0, 50.0) for rhythm in (2, 3, 4, 5)
)
"""Row height, negated rows per label, and price step between labels, times a power of ten; of equal heights the one
with the fewest labels comes first."""

ROUND_TIMES_MS = [
    *(count * MINUTE_MS for count in (1, 2, 5, 10, 15, 20, 30)),
    *(count * HOUR_MS for count in (1, 2, 3, 4, 6, 8, 12, 24)),
]


class Label(NamedTuple):
    """A text beside an axis; `at` counts rows from the bottom or slots from the left."""

    at: int
    text: str


class Placed(NamedTuple):
    """A label that begins at `start`."""

    at: int
    text: str
    start: float


@dataclass(frozen=True)
class PriceAxis:
    """Rows of equal height from the bottom up; a multiple of `step` lies in the middle of every `rhythm`-th.

    `first` says how many rows the lowest one lies above zero dollars.
    """

    first: int
    rows: int
    step: float
    rhythm: int

    def height(self, price: float) -> float:
        """Rows from the lower edge to `price`; inside the axis it is in [0, rows)."""
        return _locate_row(price, self.step / self.rhythm) - self.first

    @cached_property
    def labels(self) -> tuple[Label, ...]:
        """The round prices, ascending, with as many decimals as the step has."""
        places = len(f"{self.step:.12f}".rstrip("0").partition(".")[2])
        lowest = -(-self.first // self.rhythm) * self.rhythm
        rows = range(lowest, self.first + self.rows, self.rhythm)
        return tuple(Label(row - self.first, f"{row // self.rhythm * self.step:,.{places}f}") for row in rows)


def fit_price_axis(low: float, high: float, *, rows: int) -> PriceAxis:
    """Return the axis on which `low` to `high` fill as many of the `rows` (at least four) as round labels allow."""
    margin = max(0.0, high * QUIET - (high - low)) / 2
    low, high = low - margin, high + margin
    power = 10.0 ** math.floor(math.log10((high - low) / rows))
    fitting = (
        _fit_around(low, high, rows, step * power, -rhythm) for _, rhythm, step in LADDER if -2 * rhythm <= rows + 1
    )
    return next(axis for axis in fitting if axis.height(high) < rows)


def _fit_around(low: float, high: float, rows: int, step: float, rhythm: int) -> PriceAxis:
    """Return the axis that centres `low` to `high`, shifted up where it would reach below zero."""
    bottom, top = (math.floor(_locate_row(price, step / rhythm)) for price in (low, high))
    spare = max(0, rows - 1 - (top - bottom))
    return PriceAxis(max(0, bottom - spare // 2), rows, step, rhythm)


def _locate_row(price: float, span: float) -> float:
    """Return the row coordinate of `price`; the middle of row 0 is zero dollars."""
    return price / span + 0.5


def label_times(starts_ms: Sequence[int], *, bucket_ms: int, apart: float, utc: bool) -> Iterator[Label]:
    """Label the slots at round times of day, with the finest step that keeps labels at least `apart` slots apart."""
    fine = [step_ms for step_ms in ROUND_TIMES_MS if step_ms % bucket_ms == 0 and step_ms >= apart * bucket_ms]
    step_ms = min(fine, default=ROUND_TIMES_MS[-1])
    for at, start_ms in enumerate(starts_ms):
        start = moment(start_ms, utc=utc)
        of_day_ms = start.hour * HOUR_MS + start.minute * MINUTE_MS
        if of_day_ms // bucket_ms * bucket_ms % step_ms == 0:
            yield Label(at, f"{start:%H:%M}")


def label_days(starts_ms: Iterable[int], *, utc: bool) -> Iterator[Label]:
    """Label the first slot and the first of each day; the zone is named when the UTC offset changes between them."""
    starts = [moment(start_ms, utc=utc) for start_ms in starts_ms]
    form = "%a %d %b" if len({start.utcoffset() for start in starts}) == 1 else "%a %d %b %Z"
    before = ""
    for at, start in enumerate(starts):
        text = start.strftime(form)
        if text != before:
            yield Label(at, text)
        before = text


def place_labels(wanted: Iterable[Placed], *, letter: float, room: float) -> list[Placed]:
    """Keep the labels that do not collide, preferring those on the right; `letter` is the width of a character.

    Labels that stick out at an edge are moved inwards.
    """
    kept: list[Placed] = []
    free = room + 2 * letter
    for label in sorted(wanted, key=lambda label: label.start, reverse=True):
        width = len(label.text) * letter
        start = max(0.0, min(label.start, room - width))
        if start + width + 2 * letter <= free:
            kept.append(label._replace(start=start))
            free = start
    return kept
