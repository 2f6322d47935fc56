"""The forms in which results are printed."""

from enum import StrEnum


class TableFormat(StrEnum):
    """For slots."""

    table = "table"
    json = "json"
    csv = "csv"


class LineFormat(StrEnum):
    """For what happens while a command runs."""

    text = "text"
    json = "json"
