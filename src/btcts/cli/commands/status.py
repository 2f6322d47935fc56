"""`btcts status`."""

import shutil
import sys
from typing import TYPE_CHECKING

import typer

from btcts.cli.options import Common, FormatOption, MaxAgeOption, UtcOption, with_common_options
from btcts.cli.output import LineFormat, emit, tell_lines
from btcts.errors import ExitCode, SpoolError

if TYPE_CHECKING:
    from btcts.domain.market import Market
    from btcts.services.status import Status


@with_common_options
def status(
    *,
    max_age: MaxAgeOption = None,
    utc: UtcOption = False,
    format: FormatOption = LineFormat.text,
    common: Common,
) -> None:
    """Check that prices are fresh and complete; exit code 1 when not.

    Examples:
      btcts status
      btcts status --max-age 60 --format json
    """
    from btcts.connect import connect, find_spool_folders
    from btcts.domain.clock import ServerClock
    from btcts.services import status as service
    from btcts.services.collect.spool import open_spool

    settings = common.load_settings()
    try:
        spooled = open_spool(find_spool_folders(settings)).count()
    except SpoolError as exc:
        common.say(str(exc))
        spooled = None
    with connect(settings, clock=ServerClock(), starts_embedded=False, say=common.say) as store:
        found = service.status(store, max_age_s=max_age, spooled=spooled)
    if format is LineFormat.json or not (common.quiet and found.healthy):
        _print(found, settings.market, format, utc=utc, verbose=common.verbose)
    raise typer.Exit(ExitCode.DONE if found.healthy else ExitCode.FAILURE)


def _print(found: "Status", market: "Market", format: LineFormat, *, utc: bool, verbose: bool) -> None:
    from btcts.render.status import status_json, status_lines

    if format is LineFormat.json:
        emit(status_json(found, market))
        return
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    tell_lines(status_lines(found, market, utc=utc, width=width, verbose=verbose))
