"""The file that `config init` writes: every setting with its help, commented out at its default."""

import os
from collections.abc import Iterable
from itertools import groupby
from pathlib import Path

from btcts.config.table import Setting
from btcts.errors import ConfigError
from btcts.system import durable
from btcts.system.causes import describe

HEADER = """\
# Settings of btcts. Remove the # before a setting to change it; `btcts config show` says what is in force.
# Flags and environment variables count more than this file.
"""


def format_sample(settings: Iterable[Setting]) -> str:
    """Format a file with all settings, in TOML."""
    parts = [HEADER]
    for section, rows in groupby(settings, key=lambda row: row.name.rpartition(".")[0]):
        if section:
            parts.append(f"[{section}]\n")
        parts.extend(_format_row(row) for row in rows)
    return "\n".join(parts)


def write_file(path: Path, text: str, *, overwrite: bool) -> None:
    """Write the file, whole or not at all, for its owner alone (0600), since it may come to hold secrets.

    Raises:
        ConfigError: it exists and may not be overwritten, or cannot be written.
    """
    target = Path(os.path.realpath(path))  # Path.resolve raises a RuntimeError for a loop of links
    try:
        if target.exists() and not overwrite:
            raise ConfigError(f"{path} exists; pass --force to overwrite it")
        target.parent.mkdir(parents=True, exist_ok=True)
        durable.replace(target, text.encode(errors="backslashreplace"))
    except OSError as exc:
        raise ConfigError(f"cannot write {path} ({describe(exc)})") from exc


def _format_row(row: Setting) -> str:
    key = row.name.rpartition(".")[2]
    value = row.example if row.default is None else row.default
    return f"# {row.help} {_list_places(row)}\n#{key} = {_format_toml(value)}\n"


def _list_places(row: Setting) -> str:
    flag = [row.flag] if row.flag else []
    return f"({', '.join([*flag, *row.variables])})"


def _format_toml(value: object) -> str:
    import tomli_w

    if isinstance(value, tuple):
        return f"[{', '.join(map(_format_toml, value))}]"
    plain = value if isinstance(value, bool | int | float) else str(value)
    return tomli_w.dumps({"value": plain}).removeprefix("value = ").rstrip("\n")
