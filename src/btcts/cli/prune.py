"""`btcts prune`."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from btcts.cli.common import Common, with_common_options

if TYPE_CHECKING:
    from btcts.services.prune import Pruned


@with_common_options
def prune(
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be removed.")] = False,
    common: Common,
) -> None:
    """Remove what the clock says is not kept, and name keys that are not of the layout.

    Redis counts retention from the newest sample, so a feed that died keeps its buckets. No tick of the past is lost.

    [dim]Examples:[/]
      btcts prune --dry-run
      btcts prune
    """
    from btcts.clock import ServerClock
    from btcts.connect import connect
    from btcts.services import prune as service

    with connect(common(), clock=ServerClock(), writes=False, say=common.say) as store:
        pruned = service.prune(store, dry_run=dry_run)
    for line in _lines(pruned, dry_run=dry_run):
        typer.echo(line)


def _lines(pruned: "Pruned", *, dry_run: bool) -> Iterator[str]:
    from btcts.render.times import iso

    done = "would remove" if dry_run else "removed"
    for each in pruned.removed:
        kind = "in the future" if each.future else "too old"
        yield f"{each.key}: {done} {each.count} {kind}, {iso(each.first_ms)} to {iso(each.last_ms)}"
    if pruned.poisoned:
        yield f"{pruned.tick_key}: {done} the ticks of the future, by a rebuild from the others"
    if not pruned.removed and not pruned.poisoned:
        yield f"nothing to remove at {pruned.where}"
    for key in pruned.unknown:
        yield f"{key}: is not of the layout; it was left alone"
