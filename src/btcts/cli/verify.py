"""`btcts verify`."""

from enum import StrEnum
from typing import Annotated

import typer

from btcts.cli.common import Common, with_common_options


class FindingFormat(StrEnum):
    """For findings."""

    table = "table"
    json = "json"


@with_common_options
def verify(
    *,
    repair: Annotated[bool, typer.Option("--repair", help="Derive anew from the ticks what differs.")] = False,
    format: Annotated[FindingFormat, typer.Option(help="How to print it.")] = FindingFormat.table,
    common: Common,
) -> None:
    """Recompute every bucket from the ticks and name each slot, key and rule that differs.

    Exits 1 when something differs and was not put right. A minute with a damaged
    candle is unsettled by a repair, and settled anew by the next collect.

    [dim]Examples:[/]
      btcts verify
      btcts verify --repair
      btcts verify --format json
    """
    from btcts.clock import ServerClock
    from btcts.connect import connect
    from btcts.render import findings
    from btcts.services import verify as service

    with connect(common(), clock=ServerClock(), writes=repair, say=common.say) as store:
        verified = service.verify(store, repair=repair)
    printed = findings.verify_json if format is FindingFormat.json else findings.verify_text
    typer.echo(printed(verified))
    raise typer.Exit(1 if verified.left else 0)
