"""Delivery of alerts: the state of a rule is on disk before its alerts are delivered, and each delivery right after it.

So an alert is delivered at least once: a second time only if the process was killed in between.
"""

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field, replace

from btcts.domain.clock import Clock
from btcts.domain.model import HOUR_MS, MINUTE_MS
from btcts.errors import SpoolError
from btcts.services.watch.attempts import LONGEST_ASKED_MS, Attempts, DeliveryRefusal
from btcts.services.watch.journal import Keeper, Kept, Waiting
from btcts.services.watch.trigger import Alert, Standing

PRINTED = "stdout"
"""The way of every alert: it is yielded, and counts as delivered when the next one is asked for."""

GIVEN_UP_MS = HOUR_MS
"""Age beyond which an alert is given up after another failed delivery."""

RECORDED_MS = MINUTE_MS
"""Lag allowed for the record of judged ticks; after a crash this much is judged again, with the same result."""


@dataclass(frozen=True, slots=True)
class Notice:
    """A message about the watch itself; `failed` when something did not work."""

    text: str
    failed: bool = False


Told = Alert | Notice

Deliver = Callable[[Alert], str | None]
"""Delivers an alert; returns the problem if it failed, else None."""


@dataclass(eq=False)
class Outbox:
    """The standings of the rules called `names` and their undelivered alerts, in memory and on disk.

    `ways` are the ways of delivery besides printing, by name; `chance` returns numbers from 0 to 1. `lost` counts the
    deliveries that were given up.
    """

    keeper: Keeper
    names: Sequence[str]
    _: KW_ONLY
    ways: Mapping[str, Deliver]
    chance: Callable[[], float]
    lost: int = field(default=0, init=False)
    _kept: dict[str, Kept] = field(default_factory=dict, init=False)
    _recorded: dict[str, Kept] = field(default_factory=dict, init=False)
    _attempts: dict[tuple[str, str], Attempts] = field(default_factory=dict, init=False)
    _unrecordable: bool = field(default=False, init=False)

    @property
    def waiting(self) -> int:
        """Number of alerts that wait for delivery."""
        return sum(len(kept.waiting) for kept in self._kept.values())

    def recall(self) -> Iterator[Notice]:
        """Load the state from disk, dropping ways of delivery that are no longer wanted.

        Raises:
            SpoolError: it cannot be read.
        """
        for name in self.names:
            kept = self.keeper.read(name)
            if kept.damaged:
                yield Notice(f"what was kept of {name!r} is damaged; the rule begins anew", failed=True)
            known = _keep_wanted(kept.waiting, lambda _, way: way in (PRINTED, *self.ways))
            self._kept[name] = Kept(kept.standing, known, held=kept.held)
            self._recorded[name] = kept

    def get_standing(self, name: str) -> Standing:
        """Return the standing of the rule."""
        return self._kept.get(name, Kept()).standing

    def learn(self, name: str, standing: Standing, alerts: Sequence[Alert]) -> None:
        """Take in the new standing of the rule and its alerts; a rule that is not in `names` is not recorded."""
        new = (Waiting(alert, (PRINTED, *self.ways)) for alert in alerts)
        kept = self._kept.get(name, Kept())
        self._kept[name] = replace(kept, standing=standing, waiting=(*kept.waiting, *new))

    def record(self, lag_ms: int = RECORDED_MS) -> Iterator[Notice]:
        """Record changes on disk; progress in judged ticks alone only when it exceeds `lag_ms`.

        A failing disk does not prevent the delivery of alerts.
        """
        for name in self.names:
            kept = self._kept[name]
            if _is_recorded(kept, self._recorded[name], lag_ms):
                continue
            try:
                self.keeper.keep(name, kept)
            except SpoolError as exc:
                if not self._unrecordable:
                    yield Notice(f"{exc}; until then a restart may deliver alerts again", failed=True)
                self._unrecordable = True
                return
            self._recorded[name] = kept
            self._unrecordable = False

    def deliver(self, clock: Clock, stopped: Callable[[], bool]) -> Iterator[Told]:
        """Deliver each alert by each way independently, the oldest first; once stopped, start no more deliveries."""
        waiting = [(entry, name) for name in self.names for entry in self._kept[name].waiting]
        for entry, name in sorted(waiting, key=lambda pair: (pair[0].alert.found_ms, pair[0].alert.time_ms)):
            for way in entry.ways:
                if way == PRINTED:
                    yield entry.alert
                elif stopped() or not (yield from self._try_way(name, entry.alert, way, clock)):
                    continue
                self._remove_way(name, entry.alert, way)
                yield from self.record()

    def _try_way(self, name: str, alert: Alert, way: str, clock: Clock) -> Generator[Notice, None, bool]:
        """Try to deliver an alert if it is due; return true when it needs no further attempt by this way."""
        so_far = self._attempts.get((alert.id, way), Attempts())
        if self._is_held(way, clock.now_ms()) or not so_far.is_due(clock.now_ms()):
            return False
        problem = self.ways[way](alert)
        if problem is None:
            return True
        now_ms = clock.now_ms()
        fate, given_up = _decide(alert, problem, now_ms)
        yield Notice(f"the alert {alert.rule!r} was not delivered by {way} ({problem}); {fate}", failed=True)
        self.lost += given_up
        if not given_up:
            self._attempts[alert.id, way] = so_far.count_failure(now_ms, self.chance())
            self._hold(name, way, problem, now_ms)
        return given_up

    def _hold(self, name: str, way: str, problem: str, now_ms: int) -> None:
        """Wait as long as the receiver asked, in later runs too."""
        if isinstance(problem, DeliveryRefusal) and problem.wait_ms:
            kept = self._kept[name]
            self._kept[name] = replace(kept, held={**kept.held, way: now_ms + problem.wait_ms})

    def _is_held(self, way: str, now_ms: int) -> bool:
        until_ms = max(kept.held.get(way, 0) for kept in self._kept.values())
        return 0 < until_ms - now_ms <= LONGEST_ASKED_MS

    def _remove_way(self, name: str, alert: Alert, way: str) -> None:
        self._attempts.pop((alert.id, way), None)
        kept = self._kept[name]
        left = _keep_wanted(kept.waiting, lambda waits, by: waits != alert or by != way)
        self._kept[name] = replace(kept, waiting=left)


def _decide(alert: Alert, problem: str, now_ms: int) -> tuple[str, bool]:
    """Return the fate of an alert that was not delivered, as text, and whether it is given up."""
    if isinstance(problem, DeliveryRefusal) and problem.final:
        return f"it is given up: {problem.final}", True
    if abs(now_ms - alert.found_ms) > GIVEN_UP_MS:  # found in the future: the file or a clock was wrong
        return "it is too old now and is given up", True
    return "it is tried again", False


def _keep_wanted(waiting: Sequence[Waiting], wanted: Callable[[Alert, str], bool]) -> tuple[Waiting, ...]:
    """Return the waiting alerts without the ways of delivery that are no longer wanted."""
    left = (Waiting(entry.alert, tuple(way for way in entry.ways if wanted(entry.alert, way))) for entry in waiting)
    return tuple(entry for entry in left if entry.ways)


def _is_recorded(kept: Kept, recorded: Kept, lag_ms: int) -> bool:
    """Tell whether the record is recent enough."""
    now, then = kept.standing, recorded.standing
    if (kept.waiting, kept.held) != (recorded.waiting, recorded.held) or now.armed != then.armed:
        return False
    if now.since_ms is None or then.since_ms is None:
        return now.since_ms == then.since_ms
    return abs(now.since_ms - then.since_ms) <= lag_ms
