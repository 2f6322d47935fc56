"""Output formats."""

from enum import StrEnum


class TableFormat(StrEnum):
    """Formats of slots."""

    table = "table"
    json = "json"
    csv = "csv"


class LineFormat(StrEnum):
    """Formats of events and reports."""

    text = "text"
    json = "json"
