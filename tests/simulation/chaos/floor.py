"""The exchanges of a world as they stream the trades of its market: message by message, in process, in its true time.

One trade in each second of the market, at the same phase of each, whose price is that of the second; the stamp is by
the exchange's own clock, and in the same second.
"""

import json
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from random import Random

from btcts.domain.codes import StreamCode
from btcts.domain.trades import NS_PER_MS, Quote, Trade
from btcts.providers.streams.connection import ConnectionEnded
from support.exchanges import Market
from support.exchanges.voices import VOICES, Voice
from support.series import MINUTE

SECOND = 1_000
KNOWN = 60
"""Trades from before a jump in time that the exchange still remembers."""

FILL_NS = 1_000
"""Between two trades of a burst."""

CLOSE = "close"
"""What is said last on a connection that ends without a loss."""

Garble = Callable[[str, Trade], str]


class Line:
    """One connection to an exchange, as `Connection` is to its client; messages arrive in their order."""

    def __init__(self, floor: "Floor", voice: Voice) -> None:
        self.voice = voice
        self.closes_ms: int | None = None
        self._floor = floor
        self._delay_ms = floor.draw_delay()
        self._under_way: deque[tuple[int, str]] = deque()
        self._asked: deque[tuple[int, str]] = deque()
        self._ended = ""
        self.say(voice.greet())

    def send(self, message: str) -> None:
        """Send a message to the exchange, which has it a moment later."""
        self._check()
        self._asked.append((self._floor.at_ms + self._delay_ms // 4, message))

    def receive(self, within_s: float) -> list[str]:
        """Return what has arrived by now."""
        self._check()
        arrived = []
        while not self._floor.silent and self._under_way and self._under_way[0][0] <= self._floor.at_ms:
            message = self._under_way.popleft()[1]
            if message == CLOSE:
                self.end("closed by the server")
                break
            arrived.append(message)
        return arrived

    def close(self) -> None:
        """Close it from the client's side."""
        self.end("closed by the client")

    def end(self, why: str) -> None:
        """End it; what is under way is lost."""
        self._ended = self._ended or why
        self._floor.forget(self)

    def say(self, messages: Sequence[str]) -> None:
        """Let the exchange say something."""
        self._under_way += [(self._floor.at_ms + self._delay_ms, message) for message in messages]

    def answer(self) -> None:
        """Let the exchange answer what it has been asked by now."""
        while self._asked and self._asked[0][0] <= self._floor.at_ms:
            self.say(self.voice.answer(self._asked.popleft()[1]))

    def _check(self) -> None:
        if self._ended:
            raise ConnectionEnded(self._ended, StreamCode.CLOSED)


class Floor:
    """The streams of one exchange, whose clock is `offset_ms` ahead; what it says takes up to `delay_ms`.

    `reported` are the numbers of its trades in the order in which it told of them, by minute, those included that got
    lost. Faults: it is `shut` to new connections; what it says waits on its way (`silent`); trades are `dropped`,
    repeated (`again`), told in threes backwards (`reversed`), `late_ms` late or `garbled`; no heartbeats come
    (`unbeating`); Bitfinex tells of trades by `kinds` alone; prices are `factor` times those of the market,
    the last time at `inexact_ms`.
    """

    def __init__(self, name: str, market: Market, chance: Random) -> None:
        self.name = name
        self.offset_ms = chance.choice((0, 0, 0, -1_000, -400, 300, 900))
        self.phase_ms = min(chance.choice((0, 300, 600, 900)), SECOND - 1 - max(0, self.offset_ms))
        self.delay_ms = chance.choice((20, 50, 100, 400, 900, 2_000))
        self.at_ms = 0
        self.inexact_ms = -(10**9)
        self.lines: list[Line] = []
        self.history: list[Trade] = []
        self.reported: dict[int, list[tuple[int, float]]] = {}
        self.numbers: set[tuple[int, int]] = set()
        """The minute and the number of each of them."""
        self.heal()
        self._market = market
        self._chance = chance
        self._second = 0
        self._number = chance.randrange(10**6, 10**9)
        self._waiting: list[tuple[int, Trade]] = []
        self._held: list[Trade] = []

    def heal(self) -> None:
        """End all faults."""
        self.shut = self.silent = self.dropped = self.again = self.reversed = self.unbeating = False
        self.late_ms, self.burst, self.factor = 0, 0, 1.0
        self.garbled: Garble | None = None
        self.kinds: tuple[str, ...] = ("te", "tu")

    # Time

    def jump(self, to_ms: int) -> None:
        """Let time pass in which nobody is connected."""
        self.drop("the network was away")
        self._number += max(0, to_ms - self.at_ms) // SECOND
        self._waiting, self._held, self.reported, self.numbers = [], [], {}, set()
        self._second = to_ms // SECOND - KNOWN
        self.at_ms = to_ms
        self.history = [trade for _, trade in self._make_trades()]
        self._report(self.history)

    def go_on(self, to_ms: int) -> None:
        """Let time pass until then: trades take place, and are told of."""
        self.at_ms = to_ms
        if self.factor != 1:
            self.inexact_ms = to_ms
        self._waiting += self._make_trades()
        due = [trade for at_ms, trade in self._waiting if at_ms <= to_ms]
        self._waiting = [(at_ms, trade) for at_ms, trade in self._waiting if at_ms > to_ms]
        for line in [*self.lines]:
            line.answer()
        if due:
            self._tell(due)
        if to_ms % SECOND < 200:
            self._show_life()
        for line in [line for line in self.lines if line.closes_ms is not None and line.closes_ms <= to_ms]:
            line.say([CLOSE])
            line.closes_ms = None
            self.forget(line)

    # Connections

    def draw_delay(self) -> int:
        """Return how long messages take on a new connection."""
        return self.delay_ms // self._chance.choice((1, 1, 2))

    def connect(self) -> Line:
        """Open a connection."""
        if self.shut:
            raise ConnectionEnded(f"no stream from {self.name} (HTTP 503)", StreamCode.REJECTED)
        line = Line(self, VOICES[self.name](self.history, lambda: (self.at_ms + self.offset_ms) * NS_PER_MS))
        self.lines.append(line)
        return line

    def drop(self, why: str) -> None:
        """End all connections."""
        for line in [*self.lines]:
            line.end(why)

    def forget(self, line: Line) -> None:
        """Say no more on a connection."""
        if line in self.lines:
            self.lines.remove(line)

    def say(self, make: Callable[[Voice], Sequence[str]]) -> None:
        """Say this on all connections."""
        for line in self.lines:
            line.say(make(line.voice))

    # Trades

    def _make_trades(self) -> Iterator[tuple[int, Trade]]:
        """Yield the trades since the last call, and when the exchange tells of each."""
        while (told_ms := self._second * SECOND + self.phase_ms + max(0, -self.offset_ms)) <= self.at_ms:
            time_ms = self._second * SECOND
            price = self._market.price(time_ms)
            self._second += 1
            if price is None or self._market.traded_ms(time_ms) != time_ms:
                continue
            for fill in range(1 + self.burst):
                self._number += 1 if self.name in ("coinbase", "kraken") else self._chance.randrange(1, 6)
                time_ns = (time_ms + self.phase_ms + max(0, self.offset_ms)) * NS_PER_MS + fill * FILL_NS
                trade = Trade(time_ns, self._number, round(price * self.factor, 8))
                yield told_ms + self._draw_lateness(), trade

    def _draw_lateness(self) -> int:
        return self._chance.choice((0, 0, self.late_ms))

    def _tell(self, trades: list[Trade]) -> None:
        trades, self._held = [*self._held, *trades], []
        if self.reversed:
            if len(trades) < 3:
                self._held = trades
                return
            trades = trades[::-1]
        self._report(sorted(trades))
        for line in () if self.dropped else self.lines:
            line.say(self._word(line.voice, [*self.history[-10:], *trades] if self.again else trades))
        self.history += trades
        del self.history[:-300]

    def _report(self, trades: Sequence[Trade]) -> None:
        for trade in trades:
            minute = trade.time_ns // NS_PER_MS // MINUTE * MINUTE
            self.reported.setdefault(minute, []).append((trade.number, trade.price))
            self.numbers.add((minute, trade.number))

    def _word(self, voice: Voice, trades: Sequence[Trade]) -> list[str]:
        before = getattr(voice, "sequence", None)
        messages = voice.say_trades(trades)
        if self.garbled:
            messages = [self.garbled(message, trades[0]) for message in messages]
        if self.name == "bitfinex" and before is not None and len(self.kinds) == 1:
            messages = [message for message in messages if f'"{self.kinds[0]}"' in message]
            messages = [_renumber(message, before + 1 + place) for place, message in enumerate(messages)]
            voice.sequence = before + len(messages)
        return messages

    def _show_life(self) -> None:
        price = self._market.price(self.at_ms)
        if price is not None:
            price = round(price * self.factor, 2)
            self.say(lambda voice: voice.say_quote(Quote(price - 1, price + 1)))
        if not self.unbeating:
            self.say(lambda voice: voice.say_heartbeat())


def _renumber(message: str, number: int) -> str:
    row = json.loads(message)
    return json.dumps([*row[:-1], number])
