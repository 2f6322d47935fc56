"""The volatility of the slots shown, as columns of text and a sentence on the data behind it."""

from btcts.domain.volatility import Volatility
from btcts.render.columns import Column
from btcts.render.figures import counted, format_starts, price, share
from btcts.services.show import Shown

LAYOUTS = ("name amount ratio year", "name amount ratio")

RATIO_PLACES = 3
"""Decimals, in percent, of moves within a slot: in a calm minute they are a few hundredths of a percent."""

YEAR_PLACES = 1
"""Decimals, in percent, of an annualised volatility."""


def build_volatility_columns(
    measured: Volatility, shown: Shown, *, currency: str, places: int, utc: bool
) -> dict[str, Column]:
    """Return a row per figure, by the names in `LAYOUTS`; none without a price, a dash with too few of them.

    The widest slot is named as in the table of the slots.
    """
    total, widest = measured.range, measured.widest
    if total is None or widest is None:
        return {}
    _, starts = format_starts([slot.start_ms for slot in shown.slots], utc=utc)
    when = next(start for start, slot in zip(starts, shown.slots, strict=True) if slot.start_ms == widest.start_ms)
    amounts = (total.high, total.low, total.width, widest.width)
    ratios = (total.ratio, widest.ratio, measured.realised, measured.parkinson)
    years = (measured.realised_per_year, measured.parkinson_per_year)
    return {
        "name": Column.plain(
            "Volatility", ("High", "Low", "Range", f"Widest {when}", "Realised", "Parkinson"), words=True
        ),
        "amount": Column.plain(currency, (*(price(value, places) for value in amounts), "", "")),
        "ratio": Column.plain("%", ("", "", *(_format_share(ratio, RATIO_PLACES) for ratio in ratios))),
        "year": Column.plain("A year", ("", "", "", "", *(_format_share(ratio, YEAR_PLACES) for ratio in years))),
    }


def describe_basis(measured: Volatility) -> str:
    """Describe the data behind the figures, and the base of their percentages."""
    slots, returns = counted(measured.ranges, "closed slot"), counted(measured.returns, "return")
    return f"From {slots}, {returns}; ranges in % of the low, volatility per slot."


def _format_share(fraction: float | None, places: int) -> str:
    return "-" if fraction is None else share(fraction, places)
