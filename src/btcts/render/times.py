"""Instants as people read them, in local time or in UTC."""

from collections.abc import Iterable
from datetime import UTC, datetime


def moment(time_ms: int, *, utc: bool) -> datetime:
    """The instant in the zone in which it is to be shown: UTC or that of the system.

    Python knows no zone that is a day or more off, as TZ=UTC+24 is, which POSIX allows; then UTC is shown.
    """
    instant = datetime.fromtimestamp(time_ms / 1000, tz=UTC)
    try:
        return instant if utc else instant.astimezone()
    except ValueError:
        return instant


def iso(time_ms: int) -> str:
    """The instant as machines want it, such as `2026-01-01T00:00:00Z`; milliseconds are dropped."""
    return f"{moment(time_ms, utc=True):%Y-%m-%dT%H:%M:%SZ}"


def stamp(time_ms: int, *, utc: bool) -> str:
    """The instant in full with the zone named, such as `2026-01-01 01:00:00 CET`."""
    return f"{moment(time_ms, utc=utc):%Y-%m-%d %H:%M:%S %Z}"


def slot_starts(starts_ms: Iterable[int], *, utc: bool) -> tuple[str, list[str]]:
    """A heading and one text per slot: the time of day, with what else it takes to tell them apart.

    The weekday is added when they lie on more than one day. The zone stands in the heading, or on each of them
    when a change of the clocks lies between.
    """
    starts = [moment(start_ms, utc=utc) for start_ms in starts_ms]
    zones = {start.tzname() or "" for start in starts}
    form = "%H:%M" if len({start.date() for start in starts}) == 1 else "%a %H:%M"
    if len(zones) == 1:
        return f"Start {zones.pop()}", [start.strftime(form) for start in starts]
    return "Start", [start.strftime(f"{form} %Z") for start in starts]
