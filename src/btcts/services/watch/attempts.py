"""When a delivery that has failed is tried again (pure)."""

from dataclasses import dataclass

from btcts.domain.model import HOUR_MS, MINUTE_MS

FIRST_WAIT_MS = 5_000
LONGEST_WAIT_MS = 5 * MINUTE_MS

LONGEST_ASKED_MS = HOUR_MS
"""How long a receiver may ask to be left alone: as long as an alert is tried."""


class DeliveryRefusal(str):
    """The words for a delivery that the receiver refused.

    `final` says why another try is of no use, and is empty where it may be of use. Then `wait_ms` is for how long the
    receiver asks to be left alone, 0 where it does not say.
    """

    __slots__ = ("final", "wait_ms")

    final: str
    wait_ms: int

    def __new__(cls, words: str, *, final: str = "", wait_ms: int = 0) -> "DeliveryRefusal":
        refusal = super().__new__(cls, words)
        refusal.final = final
        refusal.wait_ms = min(max(0, wait_ms), LONGEST_ASKED_MS)
        return refusal


@dataclass(frozen=True, slots=True)
class Attempts:
    """How often a delivery has failed, and when it is tried again."""

    failed: int = 0
    next_ms: int = 0

    def is_due(self, now_ms: int) -> bool:
        """Whether it is time to try; also where the clock was set back, so that no wait is longer than the longest."""
        return not 0 < self.next_ms - now_ms <= LONGEST_WAIT_MS

    def count_failure(self, now_ms: int, chance: float) -> "Attempts":
        """One more failure: twice the wait of the one before, up to the longest, less up to half of it by `chance`.

        `chance` lies between 0 and 1; without it all that wait for one server would return to it at once.
        """
        wait_ms = min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** min(self.failed, 30))
        return Attempts(self.failed + 1, now_ms + round(wait_ms * (1 - chance / 2)))
