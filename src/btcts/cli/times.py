"""Times as given on the command line."""

import re
from datetime import UTC, datetime, timedelta
from enum import Enum, auto
from typing import TYPE_CHECKING, NamedTuple

from btcts.errors import ConfigError

if TYPE_CHECKING:
    from btcts.store import Store

EXAMPLES = "2026-01-31T12:00, 2026-01-31T12:00:00Z, 2h, 90min, 1d, now or newest"

_AGO = r"-?([0-9]{1,9}(?:\.[0-9]{1,9})?)(s|min|h|d)"
_SECONDS = {"s": 1, "min": 60, "h": 3600, "d": 86_400}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_END_MS = (datetime(9999, 1, 1, tzinfo=UTC) - _EPOCH) // timedelta(milliseconds=1)


class Anchor(Enum):
    """The zero point that a moment is counted from."""

    epoch = auto()
    now = auto()
    newest = auto()


class Moment(NamedTuple):
    """A time as an offset in ms from its anchor."""

    anchor: Anchor
    offset_ms: int = 0

    def resolve(self, store: "Store") -> int | None:
        """Return the time in ms since the epoch, by the clock and newest tick of the store; None if it has no tick.

        A time before 1970 is taken for 1970: the calendar has no years before 1 to write it in messages.

        Raises:
            ConfigError: the newest tick is stamped beyond the year 9999, so in a wrong unit.
        """
        match self.anchor:
            case Anchor.epoch:
                return max(0, self.offset_ms)
            case Anchor.now:
                return max(0, store.read_clock() + self.offset_ms)
            case Anchor.newest:
                from btcts.services.show import find_newest_ms

                newest_ms = find_newest_ms(store)
                if newest_ms is not None and newest_ms >= _END_MS:
                    stamp = f"the newest tick is stamped {newest_ms - 1} ms"
                    raise ConfigError(f"{stamp}, far in the future; run btcts prune")
                return newest_ms


def hours_ago(hours: int) -> Moment:
    """The moment that many hours ago."""
    return Moment(Anchor.now, -hours * _SECONDS["h"] * 1000)


def parse_moment(option: str, text: str | None) -> Moment | None:
    """Parse the value of a time option; None when it is not given.

    Accepts ISO 8601, local without an offset; `now`; a time ago, as `2h` or `-2h`; and `newest`, the newest tick.

    Raises:
        ConfigError: it is none of these.
    """
    if text is None:
        return None
    if text in (Anchor.now.name, Anchor.newest.name):
        return Moment(Anchor[text])
    if ago := re.fullmatch(_AGO, text):
        number, unit = ago.groups()
        return Moment(Anchor.now, -round(float(number) * _SECONDS[unit] * 1000))
    try:
        then = datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ConfigError(f"{option} {text!r} is not a time; write it like {EXAMPLES}") from None
    return Moment(Anchor.epoch, (then - _EPOCH) // timedelta(milliseconds=1))
