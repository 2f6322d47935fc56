"""Columns of text fitted to a width: columns are dropped, numbers are never wrapped or cut."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, Self

GAP = "  "


class Cell(NamedTuple):
    """A text and the style that it is drawn in; empty for plain."""

    text: str
    style: str = ""


@dataclass(frozen=True)
class Column:
    """A heading over cells; numbers are aligned right, words left."""

    heading: str
    cells: tuple[Cell, ...]
    words: bool = False

    @classmethod
    def plain(cls, heading: str, texts: Iterable[str], *, words: bool = False) -> Self:
        """Make a column without styles."""
        return cls(heading, tuple(map(Cell, texts)), words)

    @cached_property
    def width(self) -> int:
        """Characters of the widest cell, the heading included."""
        return max(len(text) for text in (self.heading, *(cell.text for cell in self.cells)))

    def align(self, text: str) -> str:
        """Pad `text` to the width of the column."""
        return text.ljust(self.width) if self.words else text.rjust(self.width)


def join_columns(heading: str, left: Column, right: Column) -> Column:
    """Join two columns of numbers under a common heading, in the styles of the left one."""
    cells = zip(left.cells, right.cells, strict=True)
    return Column(heading, tuple(Cell(left.align(a.text) + GAP + right.align(b.text), a.style) for a, b in cells))


class Grid(NamedTuple):
    """Columns side by side, `GAP` between two of them."""

    columns: tuple[Column, ...]

    @property
    def width(self) -> int:
        """Characters of a row."""
        return sum(column.width for column in self.columns) + len(GAP) * (len(self.columns) - 1)


def choose_grid(columns: Mapping[str, Column], layouts: Sequence[str], *, width: int | None) -> Grid:
    """Return the first of `layouts` that fits `width`, else the last one; None stands for any width.

    A layout is a list of column names, the richest comes first; names that `columns` lacks are skipped.
    """
    grids = [Grid(tuple(columns[name] for name in layout.split() if name in columns)) for layout in layouts]
    return next((grid for grid in grids if width is None or grid.width <= width), grids[-1])
