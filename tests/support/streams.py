"""Streams without sockets: each exchange tells the trades of one market, a moment after they took place."""

from collections.abc import Mapping, Sequence
from functools import cached_property

from btcts.domain.trades import NS_PER_MS, Arrival, Closed, Frame, Opened, Quote, StreamEvent, Trade
from support.clocks import FakeClock
from support.exchanges import Market

SECOND_MS = 1_000


class MarketStreams:
    """The streams of these providers; a trade in each second, whose number is that second.

    They begin with the trades of `caught_up_s`. `delays_ms` is how long the trades of a provider are under way.
    `factors` are applied to the prices of providers; so much time passes, `passing_ms`, whenever somebody listens; the
    clocks of all are `behind_ms` behind ours.
    """

    def __init__(
        self,
        market: Market,
        clock: FakeClock,
        names: Sequence[str],
        *,
        delays_ms: Mapping[str, int] | None = None,
        caught_up_s: int = 1,
    ) -> None:
        self.factors: dict[str, float] = {}
        self.passing_ms = self.behind_ms = 0
        self.quotes: Quote | None = None
        self._market = market
        self._clock = clock
        self._delays_ms = {name: 50 for name in names} | dict(delays_ms or {})
        self._told = {name: self._find_known(name) - caught_up_s for name in names}
        self._events: list[tuple[str, StreamEvent]] = []
        self._down: set[str] = set()
        for name in names:
            self._open(name)

    @cached_property
    def contiguous(self) -> Mapping[str, bool]:
        """All of them count their trades."""
        return dict.fromkeys(self._delays_ms, True)

    def take(self) -> Sequence[tuple[str, StreamEvent]]:
        """The trades since the last call, and what happened to connections."""
        self._clock.advance(self.passing_ms)
        for name in self.contiguous.keys() - self._down:
            if self.quotes is None:
                self._tell(name)
            else:
                self._events.append((name, Arrival(self._clock.now_ms(), Frame(quote=self.quotes))))
        events, self._events = self._events, []
        return events

    def wait(self, seconds: float) -> None:
        """Let the time pass."""
        self._clock.sleep(seconds)

    def drop(self, *names: str) -> None:
        """Close connections."""
        for name in names:
            self._down.add(name)
            self._events.append((name, Closed(self._clock.now_ms(), "dropped")))

    def restore(self, *names: str, joining: bool = True) -> None:
        """Open them again; the exchange sends what was missed, or not."""
        for name in names:
            self._down.discard(name)
            if not joining:
                self._told[name] = self._find_known(name) - 1
            self._open(name)

    def _open(self, name: str) -> None:
        self._events.append((name, Opened(self._clock.now_ms())))

    def _tell(self, name: str) -> None:
        known = self._find_known(name)
        trades = tuple(self._make_trade(name, second) for second in range(self._told[name] + 1, known + 1))
        self._told[name] = known
        catch_up = len(trades) > 100  # more than a live message brings
        frame = Frame(stamp_ns=known * SECOND_MS * NS_PER_MS, trades=trades, catch_up=catch_up)
        arrival = Arrival(self._clock.now_ms(), frame)
        self._events.append((name, arrival))

    def _find_known(self, name: str) -> int:
        """Return the second of the last trade that has arrived."""
        return (self._clock.now_ms() - self.behind_ms - self._delays_ms[name]) // SECOND_MS

    def _make_trade(self, name: str, second: int) -> Trade:
        price = self._market.price(second * SECOND_MS)
        assert price
        return Trade(second * SECOND_MS * NS_PER_MS, second, price * self.factors.get(name, 1.0))
