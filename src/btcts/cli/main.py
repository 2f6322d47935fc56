"""The table of commands, and how a call of `btcts` ends: its exit code and its last line on stderr."""

import errno
import os
import sys
from contextlib import suppress
from typing import Annotated, NoReturn

import typer

from btcts import __version__
from btcts.cli.commands import backfill, collect, config, demo, init_keys, prune, server, show, status, verify, watch
from btcts.cli.help import Group, PlainCommand, explain_mistake
from btcts.cli.output import complain, report_traceback
from btcts.cli.startup import prepare_process
from btcts.errors import BtctsError, ExitCode

DISK_FAILURES = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}
"""Errors of a write to stdout when its disk is full or broken."""

UsageError: type[Exception] = typer.BadParameter.__mro__[1]
"""The exception that typer raises for a wrong call; it has no public name."""

PRICES, STORE, SETTINGS = "Prices", "Store", "Settings"

app = typer.Typer(
    name="btcts",
    cls=Group,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("collect", cls=PlainCommand, rich_help_panel=PRICES)(collect.collect)
app.command("show", cls=PlainCommand, rich_help_panel=PRICES)(show.show)
app.command("watch", cls=PlainCommand, rich_help_panel=PRICES)(watch.watch)
app.command("backfill", cls=PlainCommand, rich_help_panel=PRICES)(backfill.backfill)
app.command("demo", cls=PlainCommand, rich_help_panel=PRICES)(demo.demo)
app.command("status", cls=PlainCommand, rich_help_panel=STORE)(status.status)
app.command("init-keys", cls=PlainCommand, rich_help_panel=STORE)(init_keys.init_keys)
app.command("verify", cls=PlainCommand, rich_help_panel=STORE)(verify.verify)
app.command("prune", cls=PlainCommand, rich_help_panel=STORE)(prune.prune)
app.add_typer(server.app, name="server", rich_help_panel=STORE)
app.add_typer(config.app, name="config", rich_help_panel=SETTINGS)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"btcts {__version__}")
        raise typer.Exit


@app.callback()
def btcts(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """The recent Bitcoin price in Redis TimeSeries, at 1 minute, 5 minutes, 15 minutes and 1 hour.

      btcts demo                        see it work on simulated prices
      btcts collect --once              fetch prices, fill the last 24 hours
      btcts collect --forever           keep them fresh
      btcts show                        the price, its moves and ranges
      btcts show 15min                  the last hour by quarters
      btcts show hour --format csv      the last day for a spreadsheet
      btcts status                      check that prices are fresh and complete
      btcts watch --above 100000        alert when the price reaches a level
      btcts backfill --hours 3          fill the last 3 hours by hand
      btcts config show                 the settings, and where the data are

    `btcts COMMAND --help` has examples and all options of a command.
    """


def main() -> NoReturn:
    """Run the command and end the process with its exit code; every expected failure is one line on stderr."""
    prepare_process()
    try:
        code = app(prog_name="btcts", standalone_mode=False)
        sys.stdout.flush()
        sys.exit(code)
    except BtctsError as exc:
        _fail(str(exc), exc.exit_code)
    except UsageError as exc:
        _fail(explain_mistake(exc), ExitCode.USAGE)
    except (KeyboardInterrupt, typer.Abort):
        sys.exit(ExitCode.INTERRUPTED)
    except BrokenPipeError:
        _drop_stdout()
        sys.exit(ExitCode.FAILURE)
    except Exception as exc:  # noqa: BLE001 -- the last line of defence: report it and say whose fault it is
        if isinstance(exc, OSError) and exc.errno in DISK_FAILURES and exc.filename is None:
            _drop_stdout()
            problem = f"stdout cannot be written ({os.strerror(exc.errno).lower()})"
            _fail(f"{problem}; free its disk, or send it elsewhere", ExitCode.UNPRINTABLE)
        report_traceback()
        _fail("this is a bug in btcts; please report it with the lines above", ExitCode.BUG)


def _drop_stdout() -> None:
    """Redirect stdout to /dev/null, so that the flush at exit does not fail again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _fail(line: str, code: ExitCode) -> NoReturn:
    with suppress(OSError):
        complain(line)
    sys.exit(code)
