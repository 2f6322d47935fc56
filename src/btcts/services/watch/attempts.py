"""Schedule of retries for failed deliveries (pure)."""

from dataclasses import dataclass

from btcts.domain.model import HOUR_MS, MINUTE_MS

FIRST_WAIT_MS = 5_000
LONGEST_WAIT_MS = 5 * MINUTE_MS

LONGEST_ASKED_MS = HOUR_MS
"""Longest wait a receiver may ask for: as long as an alert is retried."""


class DeliveryRefusal(str):
    """The message for a delivery that the receiver refused.

    `final` is the reason why a retry is pointless, empty when it is not. Then `wait_ms` is the wait that the receiver
    asks for, 0 without one.
    """

    __slots__ = ("final", "wait_ms")

    final: str
    wait_ms: int

    def __new__(cls, words: str, *, final: str = "", wait_ms: int = 0) -> "DeliveryRefusal":
        """Return the words with what to do about the refusal attached."""
        refusal = super().__new__(cls, words)
        refusal.final = final
        refusal.wait_ms = min(max(0, wait_ms), LONGEST_ASKED_MS)
        return refusal


@dataclass(frozen=True, slots=True)
class Attempts:
    """The number of failed attempts of a delivery, and the time of the next one."""

    failed: int = 0
    next_ms: int = 0

    def is_due(self, now_ms: int) -> bool:
        """Tell whether it is time to try; also true after the clock was set back, so that no wait exceeds the limit."""
        return not 0 < self.next_ms - now_ms <= LONGEST_WAIT_MS

    def count_failure(self, now_ms: int, chance: float) -> "Attempts":
        """Count a failure and double the wait, up to the longest, then shorten it by up to half according to `chance`.

        `chance` lies between 0 and 1; without this jitter all clients of a server would return to it at once.
        """
        wait_ms = min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** min(self.failed, 30))
        return Attempts(self.failed + 1, now_ms + round(wait_ms * (1 - chance / 2)))
