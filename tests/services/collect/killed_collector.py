"""Commands that are killed while they talk with Redis: `python -m services.killed_collector`.

A line of input names the socket of a Redis, the folder of a spool, a command, its time in ms and a step. The command
runs in a process of its own, which kills itself at that step; the line of output says whether it came to that, and what
had been said by then.
"""

import json
import os
import signal
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import cache, partial
from pathlib import Path

import redis

from btcts.config import BTC_USD
from btcts.domain.layout import window
from btcts.domain.model import HOUR_MS, Bounds, Candle, Candles, Span, Tick
from btcts.providers.poller import Poller
from btcts.providers.simulated import Simulated
from btcts.services.collect.collector import Collector
from btcts.services.collect.spool import Spool
from btcts.services.copy import copy
from btcts.services.init_keys import init_keys
from btcts.services.prune import prune
from btcts.services.verify.run import verify
from btcts.store import State, Store, Written
from support.clocks import FakeClock
from support.dying import Say, life
from support.exchanges import SimulatedMarket
from support.streams import MarketStreams
from support.wires import Wire

LONGEST_LIFE_S = 20

EXCHANGES = ("coinbase", "kraken", "bitstamp", "bitfinex", "gemini")


class Market(Simulated):
    """The simulated market with a memory."""

    def candle(self, start_ms: int) -> Candle:
        return traded(start_ms)


class TwoHours(Market):
    """The same, forgetful."""

    reach_ms = 2 * HOUR_MS


class PricesAlone(Market):
    """The same without candles."""

    reach_ms = 0


class Hasty(Market):
    """The same, whose newest candle is not yet what it will be."""

    def candles(self, span: Span) -> Candles:
        found = super().candles(span)
        *others, newest = found.candles
        return found._replace(candles=(*others, replace(newest, high=newest.high + 1)))


class StillClock(FakeClock):
    """A clock that stands still even while a run waits for its next attempt, so that every run has one time."""

    def sleep(self, seconds: float) -> None:
        """Go on at once."""


@cache
def traded(minute_ms: int) -> Candle:
    """The candle of the simulated market, worked out once for all lives."""
    return Simulated(FakeClock(minute_ms)).candle(minute_ms)


class Telling(Store):
    """A store that tells which prices Redis has acknowledged."""

    def __init__(self, client: redis.Redis, clock: FakeClock, say: Say) -> None:
        super().__init__(client, BTC_USD, clock=clock, where="test")
        self._say = say

    def write(
        self,
        live: Sequence[Tick],
        candles: Sequence[Candle] = (),
        *,
        bounds: Iterable[Bounds] = (),
        remembered: State | None = None,
        wary: bool = False,
    ) -> Written:
        written = super().write(live, candles, bounds=bounds, remembered=remembered, wary=wary)
        for tick in live:
            self._say(tick)
        return written


def collect(market: type[Market], store: Store, clock: FakeClock, folder: Path, say: Say) -> None:
    """One cycle of a collector that knows nothing of those before it."""
    with Poller([market(clock)]) as poller:
        cycle = Collector(store, poller, cadence_s=10.0, spool=Spool(folder)).cycle()
    if cycle.spooled:
        say(cycle.spooled)


class Exchange(Market):
    """The same under the name of an exchange."""

    def __init__(self, name: str, clock: FakeClock) -> None:
        super().__init__(clock)
        self.name = name


def collect_live(store: Store, clock: FakeClock, folder: Path, say: Say) -> None:
    """Fifteen seconds of a collector with streams."""
    streams = MarketStreams(SimulatedMarket(), clock, EXCHANGES, caught_up_s=150)
    streams.passing_ms = 250
    until_ms = clock.now_ms() + 15_000
    with Poller([Exchange(name, clock) for name in EXCHANGES]) as poller:
        collector = Collector(store, poller, cadence_s=10.0, spool=Spool(folder), streams=streams)
        while clock.now_ms() < until_ms:
            collector.cycle()
            for _ in range(36):
                collector.pass_time(1)


def service(serve: Callable[[Store], object], store: Store, clock: FakeClock, folder: Path, say: Say) -> None:
    """A command that needs Redis alone."""
    serve(store)


COPIED = BTC_USD._replace(prefix="copy:of")
"""The market under the names of a copy."""


def copy_beside(store: Store, clock: FakeClock) -> None:
    """Copy everything to other names in the same Redis, in the place of an earlier copy."""
    copy(store, Store(store._link.client, COPIED, clock=clock, where="copy"), replace=True)


COMMANDS: dict[str, Callable[[Store, FakeClock, Path, Say], None]] = {
    "collect": partial(collect, Market),
    "collect two hours": partial(collect, TwoHours),
    "collect prices alone": partial(collect, PricesAlone),
    "collect hastily": partial(collect, Hasty),
    "collect live": collect_live,
    "copy": lambda store, clock, folder, say: copy_beside(store, clock),
    "prune": partial(service, prune),
    "init-keys": partial(service, init_keys),
    "init-keys --rebuild": partial(service, partial(init_keys, rebuild=True)),
    "init-keys --adopt": partial(service, partial(init_keys, adopt=True)),
    "verify --repair": partial(service, partial(verify, repair=True)),
}


def run(command: str, now_ms: int, client: redis.Redis, folder: Path, say: Say) -> None:
    """Run a command with everything new; it says each price that it has stored or kept in the spool, `folder`."""
    clock = StillClock(now_ms)
    with Telling(client, clock, say) as store:
        COMMANDS[command](store, clock, folder, say)


class FatalWire(Wire):
    """Connections that call `end` at step `last` of their talk.

    A parcel has a step before it, one in the middle of its bytes and one behind it; that of several commands has two
    more, behind the first and before the last of them, which is where a transaction begins and ends.
    """

    def __init__(self, socket: Path, last: int, end: Callable[[], object]) -> None:
        super().__init__(socket)
        self.ended = False
        self._to_go = last
        self._end = end

    def pass_on(self, data: bytes) -> list[bytes]:
        places = cuts(data)
        step, self._to_go = self._to_go, self._to_go - len(places)
        return super().pass_on(data[: places[step - 1]] if 0 < step <= len(places) else data)

    def cut(self) -> None:
        if self._to_go <= 0 and not self.ended:
            self.ended = True
            self._end()


def cuts(data: bytes) -> list[int]:
    """The cuts of a parcel; a command is `*<words>`, then `$<length>` and the bytes of each word."""
    words, first_end = _number(data, 0)
    for _ in range(words):
        length, first_end = _number(data, first_end)
        first_end += length + 2
    last_begin = data.rindex(b"\r\n*") + 2 if first_end < len(data) else 0  # no word among several has a line break
    return sorted({0, first_end, len(data) // 2, last_begin, len(data)})


def _number(data: bytes, at: int) -> tuple[int, int]:
    """The number in the line at `at`, and where the next line begins."""
    end = data.index(b"\r\n", at)
    return int(data[at + 1 : end]), end + 2


def live(socket: str, folder: str, command: str, now_ms: int, step: int, say: Say) -> None:
    """Run a command up to a step."""
    signal.alarm(LONGEST_LIFE_S)
    wire = FatalWire(Path(socket), step, lambda: os.kill(os.getpid(), signal.SIGKILL))
    run(command, now_ms, wire.client, Path(folder), say)


def main() -> None:
    """Live as often as the input wants it."""
    redis.Connection()  # imports what each life would have to import
    for line in sys.stdin:
        socket, folder, command, now_ms, step = json.loads(line)
        for minute in window(now_ms).minutes():
            traded(minute)
        ended = life(partial(live, socket, folder, command, now_ms, step))
        print(json.dumps(ended), flush=True)  # noqa: T201 -- how it reports to the test


if __name__ == "__main__":
    main()
