"""`btcts init-keys`."""

from typing import Annotated

import typer

from btcts.cli.options import Common, DryRunOption, FormatOption, with_common_options
from btcts.cli.output import LineFormat, emit, tell_lines


@with_common_options
def init_keys(
    *,
    dry_run: DryRunOption = False,
    rebuild: Annotated[bool, typer.Option("--rebuild", help="Rebuild every series from the ticks.")] = False,
    adopt: Annotated[
        bool, typer.Option("--adopt", help="Rename keys of other programs that are in the way, and go on.")
    ] = False,
    format: FormatOption = LineFormat.text,
    common: Common,
) -> None:
    """Create the series and rules in Redis, and repair those that differ.

    Examples:
      btcts init-keys --dry-run
      btcts init-keys
      btcts init-keys --redis redis://192.0.2.7:6379/0

    Stored buckets stay as they are, and a second run changes nothing. `collect` does this on its own.
    """
    from btcts.render.init_keys import keys_json, keys_lines
    from btcts.services import init_keys as service

    with common.connect(common.load_settings(), starts_embedded=not dry_run) as store:
        outcome = service.init_keys(store, dry_run=dry_run, rebuild=rebuild, adopt=adopt)
    if format is LineFormat.json:
        emit(keys_json(outcome, store.market, dry_run=dry_run))
    else:
        tell_lines(keys_lines(outcome, dry_run=dry_run))
