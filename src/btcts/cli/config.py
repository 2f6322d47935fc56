"""`btcts config`."""

import os
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from btcts.cli.common import Common, with_common_options

if TYPE_CHECKING:
    from btcts.config import Settings

SCHEMA = 1
"""The version of the JSON document."""

UNSET = {"redis.url": "the embedded Redis"}
"""What it means that a setting has no value, where that is not simply "not set"."""


class SettingsFormat(StrEnum):
    """How settings are printed."""

    table = "table"
    json = "json"


app = typer.Typer(no_args_is_help=True, help="The settings in force, and the files they come from.")


@app.command()
@with_common_options
def show(
    *,
    format: Annotated[SettingsFormat, typer.Option(help="How they are printed.")] = SettingsFormat.table,
    common: Common,
) -> None:
    """Print every setting in force and where it came from; secrets are masked.

    [dim]Example:[/]
      REDIS_HOST=redis btcts config show
    """
    settings = common()
    if format is SettingsFormat.json:
        typer.echo(_document(settings))
    else:
        _print_table(settings, common)


@app.command()
@with_common_options
def init(
    *,
    path: Annotated[Path | None, typer.Option(metavar="FILE", help="Write it here, not to the user's file.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite the file that is there.")] = False,
    common: Common,
) -> None:
    """Write a file with every setting, commented out at its default.

    [dim]Example:[/]
      btcts config init --path btcts.toml
    """
    from btcts.config import table, user_file
    from btcts.config.sample import commented_file, write_file
    from btcts.providers import DEFAULTS

    target = path or user_file()
    rows = table({name: (each.url, each.timeout_s) for name, each in DEFAULTS.items()})
    write_file(target, commented_file(rows.values()), overwrite=force)
    common.say(f"wrote {target}")


@app.command()
@with_common_options
def path(*, common: Common) -> None:
    """Print the files that are looked at, the one that counts most first.

    [dim]Example:[/]
      btcts config path
    """
    from btcts.config import config_files

    for file in config_files(os.environ, Path.cwd(), common.config):
        typer.echo(f"{file.path}  {'present' if file.path.exists() else 'absent'}")


def _document(settings: "Settings") -> str:
    import json
    import time

    from btcts.layout import MARKET

    rows = {name: {"value": settings.value_of(name), "origin": origin} for name, origin in settings.origins.items()}
    head = {"schema": SCHEMA, "market": MARKET, "generated_ms": time.time_ns() // 1_000_000}
    return json.dumps(head | {"settings": rows}, default=str)


def _print_table(settings: "Settings", common: Common) -> None:
    """A narrow terminal folds long values; a pipe gets them whole."""
    from rich.table import Table
    from rich.text import Text

    console = common.console()
    if not console.is_terminal:
        console.width = 1000
    table = Table("setting", "value", "origin", box=None, pad_edge=False, header_style="bold")
    for name, origin in settings.origins.items():
        shown = _shown(name, settings.value_of(name))
        table.add_row(*(Text(each, overflow="fold") for each in (name, shown, origin)))
    console.print(table)


def _shown(name: str, value: object) -> str:
    if value is None:
        return UNSET.get(name, "not set")
    if isinstance(value, tuple):
        return ", ".join(value)
    return str(value).lower() if isinstance(value, bool) else str(value)
