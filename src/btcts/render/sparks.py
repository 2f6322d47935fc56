"""A series of prices as one line of characters."""

from collections.abc import Sequence

BLOCKS = "▁▂▃▄▅▆▇█"
ASCII = "_.-~=+*#"

MISSING = "·"
ASCII_MISSING = "?"


def spark(prices: Sequence[float | None], *, ascii_only: bool) -> str:
    """One character per price, the lowest to the highest over the whole range; None is marked as missing."""
    ramp, missing = (ASCII, ASCII_MISSING) if ascii_only else (BLOCKS, MISSING)
    present = [each for each in prices if each is not None]
    if not present:
        return missing * len(prices)
    low, high = min(present), max(present)
    return "".join(missing if each is None else ramp[_level(each, low, high, len(ramp))] for each in prices)


def _level(price: float, low: float, high: float, levels: int) -> int:
    if low == high:
        return levels // 2 - 1
    return min(levels - 1, int((price - low) / (high - low) * levels))
