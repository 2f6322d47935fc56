"""Prices as characters: a line of them, where one stands in a range, and candlesticks.

Candlesticks have two levels to a row where the encoding has the blocks for it. Rises and falls differ without colour
too: the body of a rise is hollow, that of a fall is filled.
"""

from collections.abc import Sequence
from typing import NamedTuple

BLOCKS = "▁▂▃▄▅▆▇█"
ASCII = "_.-~=+*#"

MISSING = "·"
ASCII_MISSING = "?"

RANGE = tuple("├─┤●")
ASCII_RANGE = tuple("[-]*")

NOTHING, WICK, BODY = range(3)

LINES = (" ╷╻", "╵│╽", "╹╿┃")
"""Lines by their upper half (the text) and their lower half (the character in it): nothing, wick or body."""

CLOSES = {(False, False): "─", (False, True): "┬", (True, False): "┴", (True, True): "┼"}
"""A close, by whether the wick goes on above and below it."""

LEFT, INNER, RIGHT, THIN = (
    dict(zip(((False, False), (False, True), (True, False), (True, True)), blocks, strict=True))
    for blocks in (" ▗▝▐", " ▄▀█", " ▖▘▌", " ▁▔▔")
)
"""The parts of a body, by whether its upper and its lower half are filled; the last for one too thin to be hollow."""


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


class Shape(NamedTuple):
    """A candlestick in levels from the bottom, two to a row; the ends of the wick and of the body are part of them."""

    low: int
    high: int
    bottom: int
    top: int
    trend: int

    def draw_cells(self, row: int, width: int) -> str:
        """Draw the part of the candlestick in that row, in an odd `width` of characters."""
        upper, lower = self._choose_half(2 * row + 1), self._choose_half(2 * row)
        if not self.trend and BODY in (upper, lower):
            return _fill_width("╶", "─", CLOSES[self.high > self.top, self.low < self.bottom], "╴", width)
        if BODY not in (upper, lower) or (width == 1 and self.trend > 0):
            return LINES[upper][lower].center(width)
        return self._join_wick()._draw_body(row, width)

    def draw_ascii_cells(self, row: int, width: int) -> str:
        """Draw the part in that row in ASCII, with one level per row."""
        low, high, bottom, top = (level // 2 for level in self[:4])
        if not bottom <= row <= top:
            return ("|" if low <= row <= high else " ").center(width)
        if not self.trend:
            return _fill_width("-", "-", "+" if low < high else "-", "-", width)
        if width == 1:
            return "O" if self.trend > 0 else "#"
        inner = " " if self.trend > 0 else "#"
        return _fill_width("[", inner, inner, "]", width)

    def _choose_half(self, level: int) -> int:
        if self.bottom <= level <= self.top:
            return BODY
        return WICK if self.low <= level <= self.high else NOTHING

    def _join_wick(self) -> "Shape":
        """Extend the body to the edge of its row where a wick follows: no character is half block, half line."""
        top = self.top | 1 if self.high > self.top else self.top
        bottom = self.bottom & ~1 if self.low < self.bottom else self.bottom
        return self._replace(bottom=bottom, top=top)

    def _draw_body(self, row: int, width: int) -> str:
        upper, lower = 2 * row + 1, 2 * row
        inside = self.bottom <= upper <= self.top, self.bottom <= lower <= self.top
        if self.trend < 0:
            inner = INNER[inside]
        elif self.top - self.bottom < 2:
            inner = THIN[inside]
        else:
            inner = INNER[upper in (self.bottom, self.top), lower in (self.bottom, self.top)]
        return _fill_width(LEFT[inside], inner, inner, RIGHT[inside], width)


def _fill_width(left: str, inner: str, middle: str, right: str, width: int) -> str:
    """Return `middle` alone for one character, else `middle` padded with `inner` between the edges."""
    if width == 1:
        return middle
    side = inner * ((width - 3) // 2)
    return left + side + middle + side + right
