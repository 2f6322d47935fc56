"""The settings in force and where each came from: a table for people, or JSON as `docs/schemas/config.json` says."""

from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from btcts.config import Settings
from btcts.render.documents import begin_document, dump_document
from btcts.system.foreign import plain

UNSET = {"redis.url": "the embedded Redis"}
"""Meaning of a setting without a value, where that is not simply "not set"."""


def print_settings(settings: Settings, console: Console) -> None:
    """Print a row for each setting; a narrow terminal folds long values and origins, never a name."""
    table = Table(Column("setting", no_wrap=True), "value", "origin", box=None, pad_edge=False, header_style="bold")
    for name, origin in settings.origins.items():
        shown = _format_value(name, settings.get_value(name))
        table.add_row(*(Text(plain(text), overflow="fold") for text in (name, shown, origin)))
    console.print(table)


def settings_json(settings: Settings, now_ms: int) -> str:
    """Encode the settings as one object on one line; secrets are masked, paths are text."""
    rows = {
        name: {"value": _encode_value(settings.get_value(name)), "origin": origin}
        for name, origin in settings.origins.items()
    }
    return dump_document(begin_document(settings.market) | {"generated_ms": now_ms, "settings": rows})


def _encode_value(value: object) -> object:
    return value if value is None or isinstance(value, str | int | float | tuple) else str(value)


def _format_value(name: str, value: object) -> str:
    if value is None:
        return UNSET.get(name, "not set")
    if isinstance(value, tuple):
        return ", ".join(value)
    return str(value).lower() if isinstance(value, bool) else str(value)
