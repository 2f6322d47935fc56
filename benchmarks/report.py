"""The table that all benchmarks print: what was measured, the bar, the figure, its spread, and the verdict."""

import statistics
from collections.abc import Iterable, Sequence
from typing import NamedTuple


class Row(NamedTuple):
    """A bar, which is the most that the figure may be, and the figure of each run."""

    name: str
    bar: float
    figures: Sequence[float]
    unit: str = "x"


def print_rows(rows: Iterable[Row]) -> int:
    """Print a line for each row as soon as it is measured; return the exit code, 1 where a bar is missed."""
    missed = False
    for name, bar, figures, unit in rows:
        figure = statistics.median(figures)
        missed = missed or figure > bar
        spread = f"{min(figures):.2f} to {max(figures):.2f}"
        verdict = "holds" if figure <= bar else "MISSED"
        print(f"{name:<48} bar {bar:>8.2f} {unit:<4} {figure:>9.2f}   {spread:<20} {verdict}", flush=True)
    return int(missed)
