"""`btcts config`."""

import os
import time
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from btcts.cli.help import Group, PlainCommand
from btcts.cli.options import FORMAT, Common, with_common_options
from btcts.cli.output import emit, open_console, tell
from btcts.errors import ConfigError


class SettingsFormat(StrEnum):
    """Formats in which settings are printed."""

    table = "table"
    json = "json"


app = typer.Typer(cls=Group, rich_markup_mode=None)


@app.callback()
def config() -> None:
    """Print the settings and where they come from, or write a settings file.

    Examples:
      btcts config show
      btcts config init
      BTCTS_COLLECT_PROVIDERS=kraken btcts config show
      REDIS_URL=redis://192.0.2.7:6379/0 btcts config show

    A flag beats the environment, which beats btcts.toml in this folder, which beats your own file. `btcts config
    init` writes your own file, with every setting, its variable and its default. A Redis that you name takes the
    place of the embedded one; the next collect fills it with the last 24 hours.
    """


@app.command(cls=PlainCommand)
@with_common_options
def show(*, format: Annotated[SettingsFormat, FORMAT] = SettingsFormat.table, common: Common) -> None:
    """Print every setting in force and where it came from.

    Examples:
      btcts config show
      REDIS_HOST=redis btcts config show --format json

    embedded.data_dir is where the embedded Redis and unsent prices are kept. Secrets are masked.
    """
    from btcts.render.config import print_settings, settings_json

    settings = common.load_settings()
    if format is SettingsFormat.json:
        emit(settings_json(settings, time.time_ns() // 1_000_000))
    else:
        print_settings(settings, open_console(no_color=common.no_color))


@app.command(cls=PlainCommand)
@with_common_options
def init(
    *,
    path: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write this file (default: your own, or that of --config).", readable=False),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite an existing file.")] = False,
    common: Common,
) -> None:
    """Write a file with every setting, commented out at its default.

    Examples:
      btcts config init
      btcts config init --path btcts.toml
    """
    from btcts.config import config_files, list_settings
    from btcts.config.sample import format_sample, write_file
    from btcts.providers import default_endpoints

    default = config_files(os.environ, config_path=common.config)[-1]
    if path is None and not default.trusted:
        raise ConfigError("the home folder of the user is not known; set HOME, or name the file with --path")
    target = path or default.path
    rows = list_settings(default_endpoints())
    write_file(target, format_sample(rows.values()), overwrite=force)
    common.say(f"wrote {target}")


@app.command(cls=PlainCommand)
@with_common_options
def path(*, common: Common) -> None:
    """Print the settings files that are read, the strongest first.

    Examples:
      btcts config path
    """
    from btcts.config import config_files

    for file in config_files(os.environ, config_path=common.config):
        tell(f"{file.path}  {_describe_presence(file.path)}")


def _describe_presence(file: Path) -> str:
    from btcts.system import durable

    try:
        return "present" if durable.exists(file) else "absent"
    except OSError as exc:
        from btcts.system.causes import describe

        return f"cannot be read ({describe(exc)})"
