"""Numbers and times as people read them: prices, changes, ages, instants.

Thousands are set apart by commas, so that a number never contains a space and survives `cut` and `awk`.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from itertools import dropwhile

from btcts.domain.layout import Market

END_OF_CALENDAR_MS = 253_402_300_800_000
"""The year 10 000, from which on times have no ISO form."""


def decimals(smallest: float, market: Market) -> int:
    """Decimals that the prices of a page need: below 10 enough for four significant digits (at most 8)."""
    if smallest >= 10:
        return market.decimals
    return next((places for places in range(4, 8) if smallest * 10**places >= 1000), 8)


def price(value: float, places: int) -> str:
    """A price or a difference of prices, such as `64,123.45`."""
    return f"{value:,.{places}f}"


def signed(value: float, places: int) -> str:
    """A change of the price with its sign, such as `+12.30`; zero after rounding has none."""
    return _strip_idle_sign(f"{value:+,.{places}f}")


def percent(fraction: float) -> str:
    """A relative change with its sign, such as `-0.42%`; from 1000 % on without decimals."""
    places = 2 if abs(fraction) < 10 else 0
    return _strip_idle_sign(f"{fraction:+,.{places}%}")


def share(fraction: float, places: int) -> str:
    """A fraction in percent without a sign, such as `0.447%`."""
    return f"{fraction:,.{places}%}"


def counted(number: int, noun: str) -> str:
    """A number of things, such as `1 minute` or `2 minutes`."""
    return f"{number} {noun}" + ("" if number == 1 else "s")


def duration(seconds: float) -> str:
    """A stretch of time in its largest unit and the one below, rounded down: `2 min 30 s`."""
    rest = int(seconds)
    parts = []
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")):
        count, rest = divmod(rest, size)
        parts.append((count, unit))
    shown = list(dropwhile(lambda part: not part[0], parts))[:2]
    return " ".join(f"{count} {unit}" for count, unit in shown if count) or "0 s"


def lag(behind_ms: float) -> str:
    """Format a delay, such as `0.25 s`; a negative one, by clocks that differ, becomes 0."""
    return f"{max(0.0, behind_ms) / 1000:.2f} s"


def countdown(left_ms: int) -> str:
    """Minutes and seconds that are left, such as `4:10`; 0:00 only when nothing is."""
    minutes, seconds = divmod(-(-left_ms // 1000), 60)
    return f"{minutes}:{seconds:02}"


def to_datetime(time_ms: int, *, utc: bool) -> datetime:
    """The time in the zone in which it is shown: UTC or that of the system.

    It is in UTC where Python has no local one: with an offset of a day or more (TZ=UTC+24, which POSIX allows), and
    beyond the year 9999.
    """
    instant = datetime.fromtimestamp(time_ms / 1000, tz=UTC)
    try:
        return instant if utc else instant.astimezone()
    except (ValueError, OverflowError):
        return instant


def iso(time_ms: int) -> str:
    """The time in ISO 8601, such as `2026-01-01T00:00:00Z`; milliseconds are dropped."""
    return f"{to_datetime(time_ms, utc=True):%Y-%m-%dT%H:%M:%SZ}"


def known_iso(time_ms: int | None) -> str | None:
    """The time in ISO 8601; None without one, or from the year 10 000 on, where timestamps in a wrong unit lie."""
    return None if time_ms is None or time_ms >= END_OF_CALENDAR_MS else iso(time_ms)


def stamp(time_ms: int, *, utc: bool) -> str:
    """The full time with the name of the zone, such as `2026-01-01 01:00:00 CET`."""
    return f"{to_datetime(time_ms, utc=utc):%Y-%m-%d %H:%M:%S %Z}"


def format_starts(starts_ms: Iterable[int], *, utc: bool) -> tuple[str, list[str]]:
    """Return a heading and one text per slot: the time of day, with whatever else tells the slots apart.

    The weekday is added when they span more than one day. The zone is in the heading, or in each text when the clocks
    change between them.
    """
    starts = [to_datetime(start_ms, utc=utc) for start_ms in starts_ms]
    zones = {start.tzname() or "" for start in starts}
    form = "%H:%M" if len({start.date() for start in starts}) == 1 else "%a %H:%M"
    if len(zones) == 1:
        return f"Start {zones.pop()}", [start.strftime(form) for start in starts]
    return "Start", [start.strftime(f"{form} %Z") for start in starts]


def _strip_idle_sign(text: str) -> str:
    return text if text.strip("+-0.,%") else text[1:]
