"""`btcts show`."""

from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from btcts.cli.common import Common, with_common_options
from btcts.cli.formats import TableFormat
from btcts.errors import ConfigError

if TYPE_CHECKING:
    from btcts.services.show import View


class ResolutionName(StrEnum):
    """The resolutions of the layout."""

    minute = "minute"
    five_minutes = "5min"
    fifteen_minutes = "15min"
    hour = "hour"


NEWEST = "newest"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@with_common_options
def show(
    resolution: Annotated[
        ResolutionName | None, typer.Argument(help="Which slots to show; without it an overview of all four.")
    ] = None,
    *,
    limit: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="The newest N slots, the open one counted.")
    ] = None,
    closed: Annotated[bool, typer.Option("--closed", help="Leave out the open slot.")] = False,
    at: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="As of that time: ISO 8601 (local unless it says otherwise), or newest."),
    ] = None,
    max_age: Annotated[
        float | None,
        typer.Option(metavar="S", min=1, help="Older prices are stale (default: 3 cadences, at least 150)."),
    ] = None,
    utc: Annotated[bool, typer.Option("--utc", help="Times in UTC instead of local time.")] = False,
    format: Annotated[TableFormat, typer.Option(help="How to print it.")] = TableFormat.table,
    common: Common,
) -> None:
    """Show the slots of a resolution by the clock, newest last, or an overview of all four.

    [dim]Examples:[/]
      btcts show
      btcts show 15min
      btcts show hour --closed --format csv > day.csv
      btcts show 5min --limit 1 --format json
    """
    from btcts.clock import ServerClock
    from btcts.connect import connect
    from btcts.services import show as service

    at_ms = None if at == NEWEST else _time(at)
    with connect(common(), clock=ServerClock(), writes=False, say=common.say) as store:
        view = service.show(
            store,
            [resolution] if resolution else [],
            at_ms=service.newest_ms(store) if at == NEWEST else at_ms,
            limit=limit,
            closed_only=closed,
            max_age_s=max_age,
        )
    _print(view, format, common, utc=utc)


def _print(view: "View", format: TableFormat, common: Common, *, utc: bool) -> None:
    one = len(view.shown) == 1
    if format is TableFormat.table:
        from btcts.render.tables import overview_table, show_table

        (show_table if one else overview_table)(view, utc=utc, console=common.console())
        return
    from btcts.render import documents

    documented = {
        TableFormat.json: documents.show_json if one else documents.overview_json,
        TableFormat.csv: documents.show_csv if one else documents.overview_csv,
    }
    typer.echo(documented[format](view))


def _time(text: str | None) -> int | None:
    """The time that `text` spells, in ms since the epoch."""
    if text is None:
        return None
    try:
        then = datetime.fromisoformat(text).astimezone(UTC)
    except ValueError:
        example = "2026-01-31T12:00, 2026-01-31T12:00:00Z or newest"
        raise ConfigError(f"--at {text!r} is no time; write it like {example}") from None
    return (then - EPOCH) // timedelta(milliseconds=1)
