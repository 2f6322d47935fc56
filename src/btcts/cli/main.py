"""The table of commands, and how a call of `btcts` ends: its exit code and its last line on stderr."""

import errno
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import cache
from importlib import import_module
from typing import Annotated, Any, NoReturn

import typer
from typer.main import get_group

from btcts import __version__
from btcts.cli.help import Group, PlainCommand, UsageError, explain_mistake
from btcts.cli.output import complain, report_traceback
from btcts.cli.startup import prepare_process
from btcts.errors import BtctsError, ExitCode

DISK_FAILURES = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}
"""Errors of a write to stdout when its disk is full or broken."""

PANELS = {
    **dict.fromkeys(("collect", "show", "price", "watch", "serve", "backfill", "demo"), "Prices"),
    **dict.fromkeys(("status", "init-keys", "verify", "prune", "copy", "server"), "Store"),
    "config": "Settings",
}
"""The panel of each command, in the order of the help."""


@cache
def build_command(name: str) -> Any:
    """Import and build the command of that name."""
    function = name.replace("-", "_")
    module = import_module(f"btcts.cli.commands.{function}")
    alone = typer.Typer(rich_markup_mode=None)
    if hasattr(module, "app"):
        alone.add_typer(module.app, name=name, rich_help_panel=PANELS[name])
    else:
        alone.command(name, cls=PlainCommand, rich_help_panel=PANELS[name])(getattr(module, function))
    return get_group(alone).commands[name]


class Commands(Mapping[str, Any]):
    """The commands by name, each built when it is asked for: a call pays for its own command alone."""

    def __getitem__(self, name: str) -> Any:
        if name not in PANELS:
            raise KeyError(name)
        return build_command(name)

    def __iter__(self) -> Iterator[str]:
        return iter(PANELS)

    def __len__(self) -> int:
        return len(PANELS)


class Root(Group):
    """`btcts` itself."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands = Commands()  # type: ignore[assignment]  # nobody adds to them

    def list_commands(self, ctx: Any) -> list[str]:
        """List the names of the commands."""
        return list(PANELS)


app = typer.Typer(
    name="btcts",
    cls=Root,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


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

      btcts demo                        try it on simulated prices
      btcts collect --once              fetch prices, fill the last 24 hours
      btcts collect --forever           keep them fresh
      btcts show                        the price, its moves and ranges
      btcts show 15min                  the last hour in 15-minute slots
      btcts show hour --format csv      the last day for a spreadsheet
      btcts status                      check that prices are fresh and complete
      btcts watch --above 100000        alert when the price reaches a level
      btcts backfill --hours 3          fill the last 3 hours by hand
      btcts config show                 the settings, and where data is kept

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
