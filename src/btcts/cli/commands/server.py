"""`btcts server`: the embedded Redis."""

from typing import TYPE_CHECKING

import typer

from btcts.cli.help import Group, PlainCommand
from btcts.cli.options import Common, FormatOption, with_common_options
from btcts.cli.output import LineFormat, emit, tell, tell_lines
from btcts.errors import ConfigError, ExitCode

if TYPE_CHECKING:
    from btcts.embedded import Embedded, ServerStatus

app = typer.Typer(cls=Group, rich_markup_mode=None)


@app.callback()
def server() -> None:
    """Manage the embedded Redis, for machines that have none.

    Examples:
      btcts server status
      btcts server stop
      redis-cli -s "$(btcts server status --format json | jq -r .socket)"

    It is a redis-server with the TimeSeries module on a socket in the data directory. Where no other Redis is
    named, any command that writes installs and starts it. BTCTS_EMBEDDED=0 forbids it.
    """


@app.command(cls=PlainCommand)
@with_common_options
def install(*, common: Common) -> None:
    """Fetch redis-server and its TimeSeries module.

    Examples:
      btcts server install
      BTCTS_DATA_DIR=/srv/prices btcts server install
    """
    binaries = _find_embedded(common, starts=True).install(common.say)
    tell(f"redis-server: {binaries.server}")
    tell(f"TimeSeries:   {binaries.module}")


@app.command(cls=PlainCommand)
@with_common_options
def start(*, common: Common) -> None:
    """Start it, and let commands start it on demand again.

    Examples:
      btcts server start
    """
    _print(_find_embedded(common, starts=True).start(common.say), LineFormat.text)


@app.command(cls=PlainCommand)
@with_common_options
def stop(*, common: Common) -> None:
    """Save its data and stop it until `btcts server start`.

    Examples:
      btcts server stop
    """
    _print(_find_embedded(common, starts=False).stop(), LineFormat.text)


@app.command(cls=PlainCommand)
@with_common_options
def status(*, format: FormatOption = LineFormat.text, common: Common) -> None:
    """Tell whether it runs, and where its socket and data are.

    Examples:
      btcts server status
      btcts server status --format json

    The exit code is 1 when it does not run.
    """
    found = _find_embedded(common, starts=False).status()
    _print(found, format)
    raise typer.Exit(ExitCode.DONE if found.running else ExitCode.FAILURE)


@app.command(cls=PlainCommand)
@with_common_options
def run(*, common: Common) -> None:
    """Run it in the foreground, for systemd and containers.

    Examples:
      btcts server run
    """
    _find_embedded(common, starts=True).run(common.say)


def _find_embedded(common: Common, *, starts: bool) -> "Embedded":
    if common.redis:
        raise ConfigError("btcts server only manages the embedded Redis; drop --redis")
    return common.find_embedded(starts=starts)


def _print(status: "ServerStatus", format: LineFormat) -> None:
    from btcts.render.server import server_json, server_lines

    if format is LineFormat.json:
        emit(server_json(status))
    else:
        tell_lines(server_lines(status))
