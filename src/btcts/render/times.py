"""Times as people read them, in local time or in UTC."""

from collections.abc import Iterable
from datetime import UTC, datetime


def moment(time_ms: int, *, utc: bool) -> datetime:
    """The time in the zone in which it is shown: UTC or that of the system.

    Python has no offsets of a day or more, such as TZ=UTC+24, which POSIX allows; those fall back to UTC.
    """
    instant = datetime.fromtimestamp(time_ms / 1000, tz=UTC)
    try:
        return instant if utc else instant.astimezone()
    except ValueError:
        return instant


def iso(time_ms: int) -> str:
    """The time in ISO 8601, such as `2026-01-01T00:00:00Z`; milliseconds are dropped."""
    return f"{moment(time_ms, utc=True):%Y-%m-%dT%H:%M:%SZ}"


def stamp(time_ms: int, *, utc: bool) -> str:
    """The full time with the name of the zone, such as `2026-01-01 01:00:00 CET`."""
    return f"{moment(time_ms, utc=utc):%Y-%m-%d %H:%M:%S %Z}"


def format_starts(starts_ms: Iterable[int], *, utc: bool) -> tuple[str, list[str]]:
    """Return a heading and one text per slot: the time of day, with whatever else tells the slots apart.

    The weekday is added when they span more than one day. The zone is in the heading, or in each text when the clocks
    change between them.
    """
    starts = [moment(start_ms, utc=utc) for start_ms in starts_ms]
    zones = {start.tzname() or "" for start in starts}
    form = "%H:%M" if len({start.date() for start in starts}) == 1 else "%a %H:%M"
    if len(zones) == 1:
        return f"Start {zones.pop()}", [start.strftime(form) for start in starts]
    return "Start", [start.strftime(f"{form} %Z") for start in starts]
