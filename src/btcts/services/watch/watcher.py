"""`watch`: judge new ticks by rules, repeatedly, and deliver the resulting alerts.

Each tick is judged once, by its stamp, as it is stored at that moment: live prices, or the candles that filled a gap.
Ticks stored behind the newest judged one, such as the candle of a minute whose live prices were judged, no longer fire
a rule; they only count as the past of a move. The bounds of the newest two minutes are an exception (`trigger.py`).
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import KW_ONLY, dataclass, field, replace
from typing import TYPE_CHECKING

from btcts.domain.candles import minute_of
from btcts.domain.clock import follow_beats
from btcts.domain.layout import FUTURE_SLACK_MS
from btcts.domain.model import MINUTE_MS, Span, Tick, is_price
from btcts.errors import BtctsError, NoTimeSeries, StoreError, describe_unforeseen
from btcts.services.watch.outbox import Notice, Outbox, Told
from btcts.services.watch.rules import STALE, Alert, Rule, Standing, find_possible_starts
from btcts.services.watch.trigger import find_begin_ms, judge, judge_feed
from btcts.store import State

if TYPE_CHECKING:
    from btcts.store import Snapshot, Store


log = logging.getLogger(__name__)


@dataclass(eq=False)
class Watch:
    """One watch of one store.

    With `stale` a stale feed is an alert, without it only a notice; a price older than `max_age_s` is stale (None: by
    the collectors' cadence). `away` is the error of Redis at the last look, None when it answered.
    """

    store: "Store"
    rules: Sequence[Rule]
    outbox: Outbox
    _: KW_ONLY
    stale: bool = False
    max_age_s: float | None = None
    away: StoreError | None = field(default=None, init=False)
    _seen: "Snapshot | None" = field(default=None, init=False)
    _past: list[Tick] = field(default_factory=list, init=False)
    _past_span: Span = field(default=Span(0, 0), init=False)

    def look(self, stopped: Callable[[], bool]) -> Iterator[Told]:
        """Judge new ticks, and deliver the alerts that are due; once stopped, no further delivery is started.

        Raises:
            NoTimeSeries: the server lacks the module.
        """
        yield from self._judge_new()
        yield from self._judge_feed()
        yield from self.outbox.record()
        yield from self.outbox.deliver(self.store.clock, stopped)

    def _judge_new(self) -> Iterator[Notice]:
        try:
            snapshot = self._replace_unpriced(self.store.snapshot("minute"))
            ticks = self._read_new_ticks(snapshot)
        except NoTimeSeries:
            raise
        except StoreError as exc:
            if self.away is None:
                yield Notice("away", {"problem": str(exc)})
            self.away = exc
            return
        if self.away is not None:
            yield Notice("back", {"where": self.store.where})
        self.away = None
        self._seen = snapshot
        for rule in self.rules:
            self._judge(rule, ticks, snapshot)

    def _replace_unpriced(self, snapshot: "Snapshot") -> "Snapshot":
        """Return the snapshot, with the newest fresh price in place of a newest tick without a valid price."""
        if snapshot.newest is None or is_price(snapshot.newest.price):
            return snapshot
        begin_ms = snapshot.now_ms - self._get_max_age_ms(snapshot.state)
        fresh = self._read_prices(Span(max(0, begin_ms), snapshot.now_ms + 1))
        return replace(snapshot, newest=fresh[-1] if fresh else None)

    def _read_new_ticks(self, snapshot: "Snapshot") -> list[Tick]:
        """Read the ticks that the rules need to judge the new ones; none when nothing is new."""
        newest_ms = snapshot.newest.time_ms if snapshot.newest else 0
        first_ms = max(0, snapshot.now_ms - self._get_max_age_ms(snapshot.state))
        known = [(rule, self._find_standing(rule, snapshot).since_ms) for rule in self.rules]
        new = [(rule, first_ms if ms is None else ms) for rule, ms in known if ms is None or ms < newest_ms]
        if not new:
            return []
        recent_ms = max(0, minute_of(min(since_ms for _, since_ms in new)) - MINUTE_MS)
        begin_ms = max(0, min(find_begin_ms(rule, since_ms) for rule, since_ms in new))
        return [*self._read_past(Span(begin_ms, recent_ms)), *self._read_prices(Span(recent_ms, snapshot.now_ms + 1))]

    def _read_past(self, span: Span) -> list[Tick]:
        """Return the ticks that a move may begin at, as read when the span last had another end."""
        if span.end_ms != self._past_span.end_ms or span.start_ms < self._past_span.start_ms:
            self._past_span, self._past = span, find_possible_starts(self._read_prices(span))
        return self._past

    def _read_prices(self, span: Span) -> list[Tick]:
        """Read the ticks of the span with a valid price; other programs may have written invalid ones."""
        return [tick for tick in self.store.ticks(span) if is_price(tick.price)]

    def _judge(self, rule: Rule, ticks: Sequence[Tick], snapshot: "Snapshot") -> None:
        """Judge the ticks by a rule; a new rule waits for a fresh price."""
        standing = self._find_standing(rule, snapshot)
        age_ms = snapshot.now_ms - ticks[-1].time_ms if ticks else 0
        if standing.since_ms is None and age_ms > self._get_max_age_ms(snapshot.state):
            return
        simulated = bool(snapshot.state.simulated)
        self.outbox.learn(rule.name, *judge(rule, standing, ticks, now_ms=snapshot.now_ms, simulated=simulated))

    def _find_standing(self, rule: Rule, snapshot: "Snapshot") -> Standing:
        """Return the standing of the rule; after Redis' clock was set back, the rule starts anew by that clock."""
        standing = self.outbox.journal.find(rule.name).standing
        if (standing.since_ms or 0) > snapshot.now_ms + FUTURE_SLACK_MS:
            return replace(standing, since_ms=None)
        return standing

    def _judge_feed(self) -> Iterator[Notice]:
        """Judge the age of the newest price that was seen, whether or not Redis answers now.

        Before the first answer of Redis, the feed counts as stale once the last price of an earlier run must be stale.
        """
        standing = self.outbox.journal.find(STALE).standing
        now_ms = self.store.clock.now_ms() if self.away or self._seen is None else self._seen.now_ms
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
            yield _note_feed(alert)

    def _get_max_age_ms(self, state: State) -> int:
        return round(1000 * (state.max_age_s if self.max_age_s is None else self.max_age_s))


def _note_feed(alert: Alert) -> Notice:
    """Return the notice in place of an alert about the feed."""
    if alert.kind != STALE:
        return Notice("fresh")
    if alert.reference_ms is None:
        return Notice("unpriced")
    return Notice("stale", {"age_s": (alert.found_ms - alert.reference_ms) / 1000})


def once(watch: Watch) -> Iterator[Told]:
    """Look once and try all due deliveries; the watch is `away` afterwards if Redis does not answer."""
    yield from watch.outbox.recall()
    yield from watch.look(lambda: False)
    yield from watch.outbox.record(lag_ms=0)


def forever(watch: Watch, *, interval_s: float, stopped: Callable[[], bool]) -> Iterator[Told]:
    """Look at the multiples of the interval since the epoch, the first time at once, until stopped.

    A Redis that is away does not end the loop; a server without TimeSeries does.
    """
    yield from watch.outbox.recall()
    for _ in follow_beats(watch.store.clock, interval_s=interval_s, stopped=stopped):
        yield from _try_look(watch, stopped)
    yield from watch.outbox.record(lag_ms=0)


def _try_look(watch: Watch, stopped: Callable[[], bool]) -> Iterator[Told]:
    """Look once; permanent failures propagate, others become a notice."""
    try:
        yield from watch.look(stopped)
    except BtctsError:
        raise
    except Exception as exc:
        log.debug("a look failed", exc_info=exc)
        yield Notice("failed", {"problem": describe_unforeseen(exc)})
