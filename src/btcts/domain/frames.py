"""Slots and ticks as pandas data frames; pandas is imported on use, as nothing else needs it."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from btcts.domain.model import Slot, Tick

if TYPE_CHECKING:
    import pandas

SLOT_COLUMNS = {
    "close": "float64",
    "min": "float64",
    "max": "float64",
    "closed": "bool",
    "settled": "bool",
    "minutes": "int64",
    "reason": "object",
    "open": "float64",
    "exact": "bool",
}
TICK_COLUMNS = {"price": "float64"}


def to_pandas(values: Iterable[Slot] | Iterable[Tick]) -> "pandas.DataFrame":
    """Return a data frame with a row for each slot or tick, in the given order, indexed by UTC time.

    Slots are indexed by `start` and have the columns of `SLOT_COLUMNS`: prices are NaN where they are missing, `reason`
    is None where there is none. Ticks are indexed by `time` and have their `price`.
    An empty input makes an empty frame of ticks: a store always returns slots.

    Raises:
        ImportError: pandas is not installed.
    """
    try:
        import pandas
    except ModuleNotFoundError:
        raise ImportError("to_pandas() needs pandas; install it with: pip install pandas") from None
    rows = list(values)
    if rows and isinstance(rows[0], Slot):
        name, time, columns = "start", "start_ms", SLOT_COLUMNS
    else:
        name, time, columns = "time", "time_ms", TICK_COLUMNS
    index = pandas.to_datetime([getattr(row, time) for row in rows], unit="ms", utc=True).rename(name)
    data = {
        column: pandas.Series([getattr(row, column) for row in rows], index=index, dtype=kind)
        for column, kind in columns.items()
    }
    return pandas.DataFrame(data, index=index)
