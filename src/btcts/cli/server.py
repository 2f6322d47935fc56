"""`btcts server`: the embedded Redis."""

from typing import TYPE_CHECKING

import typer

from btcts.cli.common import Common, with_common_options

if TYPE_CHECKING:
    from btcts.embedded import Embedded, Status

app = typer.Typer(
    help="The embedded Redis: a redis-server with the TimeSeries module, of your own.", no_args_is_help=True
)


@app.command()
@with_common_options
def install(*, common: Common) -> None:
    """Fetch the redis-server and the module into the data directory."""
    binaries = _embedded(common).install(common.say)
    typer.echo(f"redis-server: {binaries.server}")
    typer.echo(f"TimeSeries:   {binaries.module}")


@app.command()
@with_common_options
def start(*, common: Common) -> None:
    """Start it, and let commands start it on demand again."""
    _report(_embedded(common).start(common.say))


@app.command()
@with_common_options
def stop(*, common: Common) -> None:
    """Stop it, its data saved; it stays stopped until `btcts server start`."""
    _report(_embedded(common).stop())


@app.command()
@with_common_options
def status(*, common: Common) -> None:
    """Say whether it runs, and where; exit code 1 when it does not."""
    found = _embedded(common).status()
    _report(found)
    raise typer.Exit(0 if found.running else 1)


@app.command()
@with_common_options
def run(*, common: Common) -> None:
    """Run it in the foreground, for systemd and containers."""
    _embedded(common).run(common.say)


def _embedded(common: Common) -> "Embedded":
    from btcts.embedded import Embedded

    settings = common().embedded
    return Embedded(settings.data_dir, redis_server=settings.redis_server)


def _report(status: "Status") -> None:
    state = "running" if status.running else "not running"
    if status.running and status.version:
        state += f" (pid {status.pid}, Redis {status.version}, TimeSeries {status.module_version})"
    if status.stopped:
        state += ", stopped until `btcts server start`"
    typer.echo(f"state:  {state}")
    typer.echo(f"socket: {status.socket}")
    typer.echo(f"data:   {status.data_dir}")
