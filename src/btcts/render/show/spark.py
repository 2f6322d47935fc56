"""Prices as one line of characters: a series of them, or where one stands in a range."""

from collections.abc import Sequence

BLOCKS = "▁▂▃▄▅▆▇█"
ASCII = "_.-~=+*#"

MISSING = "·"
ASCII_MISSING = "?"

RANGE = tuple("├─┤●")
ASCII_RANGE = tuple("[-]*")


def draw_spark(prices: Sequence[float | None], *, ascii_only: bool) -> str:
    """Draw a character per price, scaled from the lowest to the highest price; None is marked as missing."""
    ramp, missing = (ASCII, ASCII_MISSING) if ascii_only else (BLOCKS, MISSING)
    present = [price for price in prices if price is not None]
    if not present:
        return missing * len(prices)
    low, high = min(present), max(present)
    return "".join(missing if price is None else ramp[_scale_level(price, low, high, len(ramp))] for price in prices)


def draw_place(price: float, low: float, high: float, *, width: int, ascii_only: bool) -> str:
    """Draw the range from `low` to `high` with a mark at `price`, such as `├──●───┤`.

    The mark takes an end only where the price is at that end of the range or beyond; a range of one price is marked in
    the middle. `width` counts the ends and is odd, and at least 3.
    """
    start, line, end, mark = ASCII_RANGE if ascii_only else RANGE
    cells = [start, *line * (width - 2), end]
    cells[_locate_mark(price, low, high, width)] = mark
    return "".join(cells)


def _locate_mark(price: float, low: float, high: float, width: int) -> int:
    if low == high:
        return width // 2
    if not low < price < high:
        return 0 if price <= low else width - 1
    return 1 + _scale_level(price, low, high, width - 2)


def _scale_level(price: float, low: float, high: float, levels: int) -> int:
    if low == high:
        return levels // 2 - 1
    return min(levels - 1, int((price - low) / (high - low) * levels))
