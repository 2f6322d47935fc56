"""`btcts init-keys`."""

from typing import TYPE_CHECKING, Annotated

import typer

from btcts.cli.common import Common, with_common_options

if TYPE_CHECKING:
    from btcts.services.init_keys import Outcome


@with_common_options
def init_keys(
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what differs.")] = False,
    rebuild: Annotated[bool, typer.Option("--rebuild", help="Derive every series anew from the ticks.")] = False,
    adopt: Annotated[
        bool, typer.Option("--adopt", help="Rename keys that have our names but are not ours, and go on.")
    ] = False,
    common: Common,
) -> None:
    """Make Redis match the layout: create, alter and repair keys and rules.

    No tick is lost, and a second run changes nothing.

    [dim]Examples:[/]
      btcts init-keys --dry-run
      btcts init-keys
    """
    from btcts.clock import ServerClock
    from btcts.connect import connect
    from btcts.services import init_keys as service

    with connect(common(), clock=ServerClock(), writes=True, say=common.say) as store:
        outcome = service.init_keys(store, dry_run=dry_run, rebuild=rebuild, adopt=adopt)
    for line in _lines(outcome, dry_run=dry_run):
        typer.echo(line)


def _lines(outcome: "Outcome", *, dry_run: bool) -> list[str]:
    renamed = [f"renamed {old} to {new}" for old, new in outcome.adopted]
    if not outcome.differences and not outcome.changed:
        return [f"{outcome.where} matches the layout: 11 series, 10 rules"]
    if outcome.created:
        done = "would create" if dry_run else "created"
        return [*renamed, f"{done} 11 series and 10 rules at {outcome.where}"]
    last = "nothing was changed (--dry-run)" if dry_run else "put right"
    if outcome.ticks is not None:
        last = f"derived everything anew from {outcome.ticks} ticks"
    return [*renamed, *outcome.differences, last]
