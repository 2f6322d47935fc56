"""`btcts prune`."""

from btcts.cli.options import Common, DryRunOption, FormatOption, with_common_options
from btcts.cli.output import LineFormat, emit, tell_lines


@with_common_options
def prune(*, dry_run: DryRunOption = False, format: FormatOption = LineFormat.text, common: Common) -> None:
    """Remove what is older than its retention, and list unknown keys.

    Examples:
      btcts prune --dry-run
      btcts prune

    Redis counts retention from the newest sample: without new prices, old buckets stay. No tick of the past is
    lost. To replace a bad price that is kept: `btcts backfill --since TIME --overwrite`.
    """
    from btcts.render.prune import prune_json, prune_lines
    from btcts.services import prune as service

    with common.connect(common.load_settings()) as store:
        pruned = service.prune(store, dry_run=dry_run)
    if format is LineFormat.json:
        emit(prune_json(pruned, store.market, dry_run=dry_run))
    elif not common.quiet:
        tell_lines(prune_lines(pruned, dry_run=dry_run))
