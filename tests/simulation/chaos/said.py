"""The claims of the collectors of a world, which must hold in the end unless it was lost for good."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from btcts.domain.model import Tick
from btcts.errors import StoreError
from btcts.services.collect.cycle import Cycle
from support.series import MINUTE

Account = Cycle | StoreError
"""What came of a cycle."""


@dataclass
class Said:
    """Prices with their stamps, those that are `stored` and those that are `waiting` on the disk; `settled` minutes.

    Of two collectors that store a price at the same ms, the later one replaces that of the other.
    `before` has by key the buckets of each moment after which ticks were gone: they may outlast their ticks.
    """

    stored: set[tuple[int, float]] = field(default_factory=set)
    waiting: set[tuple[int, float]] = field(default_factory=set)
    settled: set[int] = field(default_factory=set)
    before: list[Mapping[str, Mapping[int, float]]] = field(default_factory=list)
    _lossy: bool = False

    def begin(self) -> None:
        """Cycles begin: what is lost from now on may be what they are about to say."""
        self._lossy = False

    def note(self, accounts: Sequence[Account], held: Collection[Tick] | None) -> None:
        """Cycles are over, and these prices are on the disk; None when that cannot be used."""
        said = [tick for each in accounts if isinstance(each, Cycle) for tick in (each.stored, each.spooled) if tick]
        known = self.waiting | set(map(_off_the_mark, said))
        kept = {stamp for stamp, _ in (self.waiting if held is None else map(_off_the_mark, held))}
        self.waiting = {(stamp, price) for stamp, price in known if stamp in kept}
        if not self._lossy:
            self.stored |= known - self.waiting

    def lose(self, buckets: Mapping[str, Mapping[int, float]]) -> None:
        """Note that Redis lost its data, except for buckets."""
        self.before.append(buckets)
        self.stored.clear()
        self.settled.clear()
        self._lossy = True


def _off_the_mark(tick: Tick) -> tuple[int, float]:
    """The tick as it is stored: never on the last ms of a minute, nor on the two after the first."""
    offset = tick.time_ms % MINUTE
    return tick.time_ms + {1: 2, 2: 1, MINUTE - 1: -1}.get(offset, 0), tick.price
