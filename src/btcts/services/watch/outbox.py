"""Delivery of alerts: the state of a rule is on disk before its alerts are delivered, and each delivery right after it.

So an alert is delivered at least once: a second time only if the process was killed in between.
"""

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from btcts.domain.clock import Clock
from btcts.domain.model import HOUR_MS, MINUTE_MS
from btcts.errors import SpoolError
from btcts.services.watch.journal import RECORDED_MS, Journal, Unsent
from btcts.services.watch.rules import Alert, Standing

PRINTED = "stdout"
"""The way of every alert: it is yielded, and counts as delivered when the next one is asked for."""

GIVEN_UP_MS = HOUR_MS
"""Age beyond which an alert is given up after another failed delivery."""

FIRST_WAIT_MS = 5_000
LONGEST_WAIT_MS = 5 * MINUTE_MS

SLOW_MS = 2_000
"""A failed delivery that took this long is the last one by its way in a look: others would hold up what is new."""

LONGEST_ASKED_MS = HOUR_MS
"""Longest wait a receiver may ask for: as long as an alert is retried."""


class Undelivered(NamedTuple):
    """The problem of a failed delivery.

    `final` is the reason why a retry is pointless, empty when it is not. Then `wait_ms` is the wait that the receiver
    asks for, up to `LONGEST_ASKED_MS`, and 0 without one.
    """

    problem: str
    final: str = ""
    wait_ms: int = 0


@dataclass(frozen=True, slots=True)
class Notice:
    """A message about the watch itself: its code, by which `render` words it, and the values that belong into it."""

    code: str
    values: Mapping[str, object] = field(default_factory=dict)

    @property
    def failed(self) -> bool:
        """True when something did not work."""
        return self.code not in ("back", "fresh")


Told = Alert | Notice

Deliver = Callable[[Alert], Undelivered | None]
"""Delivers an alert; returns why it failed, None when it did not."""


def choose_wait_ms(failed: int, chance: float) -> int:
    """Return the wait after so many failures: doubled each time, up to the longest, less up to half by `chance`.

    `chance` lies between 0 and 1; without this jitter all clients of a server would return to it at once.
    """
    return round(min(LONGEST_WAIT_MS, FIRST_WAIT_MS << min(failed - 1, 30)) * (1 - chance / 2))


def is_due(next_ms: int, now_ms: int) -> bool:
    """Tell whether it is time to try; also true after the clock was set back, so that no wait exceeds the limit."""
    return not 0 < next_ms - now_ms <= LONGEST_WAIT_MS


@dataclass(eq=False)
class Outbox:
    """The deliveries of the alerts in the journal.

    `ways` are the ways of delivery besides printing, by name; `chance` returns numbers from 0 to 1. `lost` counts the
    deliveries that were given up.
    """

    journal: Journal
    ways: Mapping[str, Deliver]
    chance: Callable[[], float]
    lost: int = field(default=0, init=False)
    _tries: dict[tuple[str, str], tuple[int, int]] = field(default_factory=dict, init=False)
    """By alert and way: how often it failed, and when it is due again."""
    _slow: set[str] = field(default_factory=set, init=False)
    """The ways that are not tried again in this look."""
    _unrecordable: bool = field(default=False, init=False)

    @property
    def waiting(self) -> int:
        """Number of alerts that wait for delivery."""
        return len(self.journal.list_waiting())

    def recall(self) -> Iterator[Notice]:
        """Load the states of the rules from disk.

        Raises:
            SpoolError: they cannot be read.
        """
        for rule in self.journal.recall((PRINTED, *self.ways)):
            yield Notice("damaged", {"rule": rule})

    def learn(self, rule: str, standing: Standing, alerts: Sequence[Alert]) -> None:
        """Take in the new standing of the rule, and its alerts, which are to be delivered by every way."""
        self.journal.add(rule, standing, (Unsent(alert, (PRINTED, *self.ways)) for alert in alerts))

    def record(self, lag_ms: int = RECORDED_MS) -> Iterator[Notice]:
        """Record changes; a failing disk is reported once, and does not prevent the delivery of alerts."""
        try:
            if self.journal.record(lag_ms):
                self._unrecordable = False
        except SpoolError as exc:
            if not self._unrecordable:
                yield Notice("unrecordable", {"problem": str(exc)})
            self._unrecordable = True

    def deliver(self, clock: Clock, stopped: Callable[[], bool]) -> Iterator[Told]:
        """Deliver each alert by each way independently, the oldest first; once stopped, start no more deliveries.

        All are printed before others are tried, which may take long.
        """
        self._slow.clear()
        waiting = [(rule, entry.alert, way) for rule, entry in self.journal.list_waiting() for way in entry.ways]
        for rule, alert, way in sorted(waiting, key=lambda delivery: delivery[2] != PRINTED):
            if way == PRINTED:
                yield alert
            elif stopped() or not (yield from self._try_way(rule, alert, way, clock)):
                continue
            self._tries.pop((alert.id, way), None)
            self.journal.remove(rule, alert, way)
            yield from self.record()

    def _try_way(self, rule: str, alert: Alert, way: str, clock: Clock) -> Generator[Notice, None, bool]:
        """Try to deliver an alert if it is due; return true when it needs no further attempt by this way."""
        failed, next_ms = self._tries.get((alert.id, way), (0, 0))
        now_ms = clock.now_ms()
        held = 0 < self.journal.find_hold(way) - now_ms <= LONGEST_ASKED_MS
        if held or way in self._slow or not is_due(next_ms, now_ms):
            return False
        failure = self.ways[way](alert)
        if failure is None:
            return True
        began_ms, now_ms = now_ms, clock.now_ms()
        if now_ms - began_ms >= SLOW_MS:
            self._slow.add(way)
        code = _decide(alert, failure, now_ms)
        yield Notice(code, {"rule": alert.rule, "way": way, "problem": failure.problem, "advice": failure.final})
        if code != "retried":
            self.lost += 1
            return True
        self._tries[alert.id, way] = failed + 1, now_ms + choose_wait_ms(failed + 1, self.chance())
        if failure.wait_ms:
            self.journal.hold(rule, way, now_ms + failure.wait_ms)
        return False


def _decide(alert: Alert, failure: Undelivered, now_ms: int) -> str:
    """Return the fate of an alert that was not delivered: refused for good, expired, or to be retried."""
    if failure.final:
        return "refused"
    if abs(now_ms - alert.found_ms) > GIVEN_UP_MS:  # found in the future: the file or a clock was wrong
        return "expired"
    return "retried"
