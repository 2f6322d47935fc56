"""When a delivery that has failed is tried again (pure)."""

from dataclasses import dataclass

from btcts.model import MINUTE_MS

FIRST_WAIT_MS = 5_000
LONGEST_WAIT_MS = 5 * MINUTE_MS


@dataclass(frozen=True, slots=True)
class Attempts:
    """How often a delivery has failed, and when it is tried again."""

    failed: int = 0
    next_ms: int = 0

    def due(self, now_ms: int) -> bool:
        """Whether it is time to try; also where the clock was set back, so that no wait is longer than the longest."""
        return not 0 < self.next_ms - now_ms <= LONGEST_WAIT_MS

    def after_failure(self, now_ms: int, chance: float) -> "Attempts":
        """One more failure: twice the wait of the one before, up to the longest, less up to half of it by `chance`.

        `chance` lies between 0 and 1; without it all that wait for one server would return to it at once.
        """
        wait_ms = min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** min(self.failed, 30))
        return Attempts(self.failed + 1, now_ms + round(wait_ms * (1 - chance / 2)))
