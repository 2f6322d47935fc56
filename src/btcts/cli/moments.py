"""Times as they are given on the command line."""

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
    """What a moment is counted from."""

    epoch = auto()
    now = auto()
    newest = auto()


class Moment(NamedTuple):
    """A time: so many ms after its anchor."""

    anchor: Anchor
    offset_ms: int = 0

    def of(self, store: "Store") -> int | None:
        """The time in ms since the epoch, by the clock and the newest tick of the store; None where it has no tick."""
        match self.anchor:
            case Anchor.epoch:
                return self.offset_ms
            case Anchor.now:
                return store.inspect().now_ms + self.offset_ms
            case Anchor.newest:
                from btcts.services.show import newest_ms

                return _believed(newest_ms(store))


def hours_ago(hours: int) -> Moment:
    """So many hours ago."""
    return Moment(Anchor.now, -hours * _SECONDS["h"] * 1000)


def moment(option: str, text: str | None) -> Moment | None:
    """The moment that the value of an option spells, None where it is not given.

    ISO 8601, local unless it says otherwise; `now`; so long ago, as `2h` or `-2h`; or `newest`, the newest tick.

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
        raise ConfigError(f"{option} {text!r} is no time; write it like {EXAMPLES}") from None
    return Moment(Anchor.epoch, (then - _EPOCH) // timedelta(milliseconds=1))


def _believed(time_ms: int | None) -> int | None:
    """The time of the newest tick, unless no calendar has it.

    Raises:
        ConfigError: it has the wrong unit.
    """
    if time_ms is not None and time_ms >= _END_MS:
        raise ConfigError(f"the newest tick is stamped {time_ms - 1} ms, far in the future; run btcts prune")
    return time_ms
