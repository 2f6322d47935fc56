"""`watch`: look at new ticks again and again, and deliver the alerts that rules make of them.

Each tick is judged once, by its stamp and as it is stored when it is looked at: live prices, and where there were none
the candles that healed the gap. What is stored behind the newest judged tick, such as the candle of a minute whose
live prices were judged, fires nothing any more; it counts as the past of a move alone.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import KW_ONLY, dataclass, field, replace
from typing import TYPE_CHECKING

from btcts.domain.clock import Clock, find_next_beat
from btcts.domain.layout import FUTURE_SLACK_MS
from btcts.domain.model import Span, Tick, is_price
from btcts.errors import BtctsError, NoTimeSeries, StoreError, describe_unforeseen
from btcts.services.watch.outbox import Notice, Outbox, Told
from btcts.services.watch.rules import Rule
from btcts.services.watch.trigger import STALE, Alert, Standing, judge, judge_feed
from btcts.store import State

if TYPE_CHECKING:
    from btcts.store import Snapshot, Store


log = logging.getLogger(__name__)


@dataclass(eq=False)
class Watch:
    """One watch of one store.

    With `stale` the feed itself is a rule, and without it is only talked about; a price older than `max_age_s` is
    stale (None: by the collectors' cadence). `away` is what Redis failed with when it was last looked at.
    """

    store: "Store"
    clock: Clock
    rules: Sequence[Rule]
    outbox: Outbox
    _: KW_ONLY
    stale: bool = False
    max_age_s: float | None = None
    away: StoreError | None = field(default=None, init=False)
    _seen: "Snapshot | None" = field(default=None, init=False)

    def look(self, stopped: Callable[[], bool]) -> Iterator[Told]:
        """Judge what is new, and deliver what is due; once stopped, no further delivery is begun.

        Raises:
            NoTimeSeries: the server lacks the module.
        """
        yield from self._judge_new()
        yield from self._judge_feed()
        yield from self.outbox.record()
        yield from self.outbox.deliver(self.clock, stopped)

    def _judge_new(self) -> Iterator[Notice]:
        try:
            snapshot = self._replace_unpriced(self.store.snapshot("minute"))
            ticks = self._read_new_ticks(snapshot)
        except NoTimeSeries:
            raise
        except StoreError as exc:
            if self.away is None:
                yield Notice(f"{exc}; what happens meanwhile is found later", failed=True)
            self.away = exc
            return
        if self.away is not None:
            yield Notice(f"Redis at {self.store.where} answers again")
        self.away = None
        self._seen = snapshot
        for rule in self.rules:
            self._judge(rule, ticks, snapshot)

    def _replace_unpriced(self, snapshot: "Snapshot") -> "Snapshot":
        """The snapshot; where its newest tick has no price, with the newest one of those that are not stale."""
        if snapshot.newest is None or is_price(snapshot.newest.price):
            return snapshot
        begin_ms = snapshot.now_ms - self._get_max_age_ms(snapshot.state)
        fresh = self._read_prices(Span(max(0, begin_ms), snapshot.now_ms + 1))
        return replace(snapshot, newest=fresh[-1] if fresh else None)

    def _read_new_ticks(self, snapshot: "Snapshot") -> list[Tick]:
        """The ticks, from the oldest that any rule needs for those that are new to it; none when nothing is new."""
        newest_ms = snapshot.newest.time_ms if snapshot.newest else 0
        begins = []
        for rule in self.rules:
            since_ms = self._find_standing(rule, snapshot).since_ms
            if since_ms is None:
                begins.append(snapshot.now_ms - self._get_max_age_ms(snapshot.state) - rule.span_ms)
            elif since_ms < newest_ms:
                begins.append(since_ms + 1 - rule.span_ms)
        return self._read_prices(Span(max(0, min(begins)), snapshot.now_ms + 1)) if begins else []

    def _read_prices(self, span: Span) -> list[Tick]:
        """The ticks of the span that have a price; what others wrote may be none."""
        return [tick for tick in self.store.ticks(span) if is_price(tick.price)]

    def _judge(self, rule: Rule, ticks: Sequence[Tick], snapshot: "Snapshot") -> None:
        """Judge the ticks by a rule, which begins with a price that is not stale."""
        standing = self._find_standing(rule, snapshot)
        age_ms = snapshot.now_ms - ticks[-1].time_ms if ticks else 0
        if standing.since_ms is None and age_ms > self._get_max_age_ms(snapshot.state):
            return
        simulated = bool(snapshot.state.simulated)
        self.outbox.learn(rule.name, *judge(rule, standing, ticks, now_ms=snapshot.now_ms, simulated=simulated))

    def _find_standing(self, rule: Rule, snapshot: "Snapshot") -> Standing:
        """Where the rule stands; where Redis' clock was set back, it goes on from what is new by that clock."""
        standing = self.outbox.get_standing(rule.name)
        if (standing.since_ms or 0) > snapshot.now_ms + FUTURE_SLACK_MS:
            return replace(standing, since_ms=None)
        return standing

    def _judge_feed(self) -> Iterator[Notice]:
        """Judge the age of the newest price that was seen, whether or not Redis answers now.

        Where Redis has not answered yet, there is no price as soon as what an earlier run saw last must be stale.
        """
        standing = self.outbox.get_standing(STALE)
        now_ms = self.clock.now_ms() if self.away or self._seen is None else self._seen.now_ms
        newest, state = (self._seen.newest, self._seen.state) if self._seen else (None, State())
        max_age_ms = self._get_max_age_ms(state)
        if self._seen is None and now_ms - (standing.since_ms or now_ms) <= max_age_ms:
            return
        if newest and newest.time_ms > now_ms + FUTURE_SLACK_MS:
            newest = None
        standing, alert = judge_feed(
            standing, newest, now_ms=now_ms, max_age_ms=max_age_ms, simulated=bool(state.simulated)
        )
        self.outbox.learn(STALE, standing, [alert] if alert and self.stale else [])
        if alert and not self.stale:
            yield Notice(_describe_feed(alert), failed=alert.kind == STALE)

    def _get_max_age_ms(self, state: State) -> int:
        return round(1000 * (state.max_age_s if self.max_age_s is None else self.max_age_s))


def _describe_feed(alert: Alert) -> str:
    if alert.kind != STALE:
        return "there are fresh prices again"
    if alert.reference_ms is None:
        return "no price can be read; no rule can fire"
    return f"the newest price is {(alert.found_ms - alert.reference_ms) / 1000:.0f} s old; no rule can fire"


def once(watch: Watch) -> Iterator[Told]:
    """One look; the watch is `away` afterwards where Redis does not answer, and what waits for delivery was tried."""
    yield from watch.outbox.recall()
    yield from watch.look(lambda: False)
    yield from watch.outbox.record(lag_ms=0)


def forever(watch: Watch, *, interval_s: float, stopped: Callable[[], bool]) -> Iterator[Told]:
    """Looks at the multiples of the interval since the epoch, the first one at once, until stopped.

    A Redis that is away does not end it; a server without TimeSeries does.
    """
    clock = watch.clock
    interval_ms = round(interval_s * 1000)
    yield from watch.outbox.recall()
    while not stopped():
        yield from _try_look(watch, stopped)
        beat_ms = find_next_beat(clock.now_ms(), interval_ms, 0)
        while not stopped() and clock.now_ms() < beat_ms:
            clock.sleep((beat_ms - clock.now_ms()) / 1000)
    yield from watch.outbox.record(lag_ms=0)


def _try_look(watch: Watch, stopped: Callable[[], bool]) -> Iterator[Told]:
    """A look, or what it failed with, unless no waiting mends that."""
    try:
        yield from watch.look(stopped)
    except BtctsError:
        raise
    except Exception as exc:
        log.debug("a look failed", exc_info=exc)
        yield Notice(f"looking failed: {describe_unforeseen(exc)}", failed=True)
