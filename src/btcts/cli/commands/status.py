"""`btcts status`."""

import typer

from btcts.cli.options import Common, FormatOption, MaxAgeOption, ReplicaOption, UtcOption, with_common_options
from btcts.cli.output import LineFormat, emit, measure_terminal, tell_lines
from btcts.errors import ExitCode, SpoolError


@with_common_options
def status(
    *,
    max_age: MaxAgeOption = None,
    replica: ReplicaOption = False,
    utc: UtcOption = False,
    format: FormatOption = LineFormat.text,
    common: Common,
) -> None:
    """Check that prices are fresh and complete; exit code 1 when not.

    Examples:
      btcts status
      btcts status --max-age 60 --format json
    """
    from btcts.connect import find_spool_folders
    from btcts.services import status as service
    from btcts.services.collect.spool import Spool

    settings = common.load_settings(redis__replica=replica or None)
    try:
        spooled = Spool(*find_spool_folders(settings)).count()
    except SpoolError as exc:
        common.say(str(exc))
        spooled = None
    with common.connect(settings) as store:
        found = service.status(store, max_age_s=max_age, spooled=spooled)
    code = ExitCode.DONE if found.healthy else ExitCode.FAILURE
    if common.quiet and found.healthy and format is LineFormat.text:
        raise typer.Exit(code)
    from btcts.render.status import status_json, status_lines  # of no use to a health check

    if format is LineFormat.json:
        emit(status_json(found, settings.market))
    else:
        width = measure_terminal()
        tell_lines(status_lines(found, settings.market, utc=utc, width=width, verbose=common.verbose))
    raise typer.Exit(code)
