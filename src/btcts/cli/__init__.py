"""The `btcts` command: parses, wires, delegates and renders; computes nothing."""

import gc
import os
import sys
from typing import Annotated, NoReturn

import typer

from btcts.cli import collect, config, demo, keys, prune, server, show, status, verify
from btcts.cli.completion import lighten_when_completing
from btcts.errors import BtctsError
from btcts.version import __version__

UNEXPECTED = 70
"""The exit code of a failure that nobody foresaw (EX_SOFTWARE in sysexits.h)."""

UsageError: type[Exception] = typer.BadParameter.__mro__[1]
"""What typer raises for a wrong call; it has no public name."""

app = typer.Typer(
    name="btcts",
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("collect", rich_help_panel="Prices")(collect.collect)
app.command("show", rich_help_panel="Prices")(show.show)
app.command("demo", rich_help_panel="Prices")(demo.demo)
app.command("init-keys", rich_help_panel="Store")(keys.init_keys)
app.command("status", rich_help_panel="Store")(status.status)
app.command("prune", rich_help_panel="Store")(prune.prune)
app.command("verify", rich_help_panel="Store")(verify.verify)
app.add_typer(server.app, name="server", rich_help_panel="Store")
app.add_typer(config.app, name="config", rich_help_panel="Settings")


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"btcts {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def btcts(
    ctx: typer.Context,
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """The recent Bitcoin price in Redis TimeSeries, at 1 minute, 5 minutes, 15 minutes and 1 hour.

    [bold]btcts demo[/]                      see it work on simulated prices
    [bold]btcts collect --once[/]            fetch prices and fill the last 24 hours
    [bold]btcts show 15min[/]                look at them
    [bold]btcts collect --forever[/]         keep them fresh
    """
    if ctx.invoked_subcommand is None:
        typer.echo(ctx.get_help())


def main() -> NoReturn:
    """Run the command and end the process with its exit code; every foreseen failure is one line on stderr."""
    gc.disable()  # a tenth of the time of a command that is over in a moment; one that is not enables it
    lighten_when_completing()
    try:
        sys.exit(app(prog_name="btcts", standalone_mode=False))
    except BtctsError as exc:
        _fail(str(exc), exc.exit_code)
    except UsageError as exc:
        _fail(f"{_spelt(exc).rstrip('.')}; see btcts --help", 2)
    except (KeyboardInterrupt, typer.Abort):
        sys.exit(130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the flush at exit must not fail again
        sys.exit(1)
    except Exception:  # noqa: BLE001 -- the last line of defence: report it and say that it is our fault
        import traceback  # costly, and needed on the worst day only

        traceback.print_exc()
        _fail("this is a bug in btcts; please report it with the lines above", UNEXPECTED)


def _spelt(usage: Exception) -> str:
    """The message of a wrong call with the name of the option in it, which `str` leaves out."""
    message: str = getattr(usage, "format_message", usage.__str__)()
    return message.replace("Value error, ", "")


def _fail(line: str, code: int) -> NoReturn:
    typer.echo(f"btcts: {line}", err=True)
    sys.exit(code)
