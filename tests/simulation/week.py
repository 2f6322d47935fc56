"""A simulated week: cycles on a real Redis and the local exchanges in fake time, with an outage of each kind every day.

By hand, in tests/: `python -m simulation.week --days 7 --interval 60`. It prints what it found, and exits 1
where that is not what is promised.
"""

import argparse
import math
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from btcts.config import BTC_USD
from btcts.domain.clock import find_next_beat
from btcts.errors import StoreError
from btcts.providers import open_providers
from btcts.providers.poller import Poller
from btcts.services.collect.collector import Collector
from btcts.services.collect.cycle import Cycle
from btcts.services.collect.loop import forever
from btcts.services.collect.spool import Spool
from btcts.services.status import Status, status
from btcts.store import Store
from simulation.place import CANDLES, Place, WrongClock, open_redis
from support.clocks import FakeClock
from support.exchanges import Exchanges, Fault, ThinMarket
from support.exchanges.faults import HTML
from support.oracle import Observed, Oracle
from support.series import COMPACTIONS, DAY, HOUR, MIDNIGHT, MINUTE, TICK, assert_right, put

PROVIDERS = (*CANDLES, "coinmarketcap")
MUTE = {**CANDLES, "coinmarketcap": "has no candles"}
A_MINUTE_AT_MOST = {
    "coinbase": 600,
    "kraken": 60,
    "bitstamp": 1000,
    "bitfinex": 30,
    "gemini": 120,
    "coinmarketcap": 50,
}
"""How many requests in a minute the providers take, by their documentation; Bitfinex states 10 to 30."""
AT_ONCE_AT_MOST = {"coinbase": 10, "gemini": 6}
"""And how many within a second or so; a cycle makes its own within that."""

PHASE_S = 7
BAN_MS = MINUTE
WRONG_CLOCKS_MS = (HOUR, -HOUR, DAY, -DAY, 20_000, -20_000, 12 * HOUR)
FAULTS = (
    Fault(status=503),
    Fault(status=429, headers={"Retry-After": str(BAN_MS // 1000)}),
    Fault(body=HTML),
    Fault(cut=True),
    Fault(reset=True),
    Fault(status=418, headers={"Retry-After": str(BAN_MS // 1000)}),
    Fault(price=850e9),
)


def quiet(minute_ms: int) -> bool:
    """Tell whether nobody trades: in four minutes a day, two while no collector runs; none begins a longer bucket."""
    return minute_ms // MINUTE % 720 in (227, 228)


@dataclass
class Life(Place):
    """A place, and the collector that lives in it."""

    poller: Poller
    interval_s: float
    oracle: Oracle = field(default_factory=Oracle)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.store = Store(self.admin, BTC_USD, clock=self.clock, where="the Redis of the week")
        self.start_collector()

    def start_collector(self) -> None:
        """Start another collector."""
        spool = Spool(self.server.folder / "spool")
        collector = Collector(self.store, self.poller, cadence_s=self.interval_s, spool=spool)
        self.cycles: Iterator[Cycle] | None = forever(
            collector, interval_s=self.interval_s, phase_s=PHASE_S, stopped=lambda: False
        )

    def die(self) -> None:
        """Let the collector end."""
        self.cycles = None

    def cycle(self) -> Cycle | None:
        """The next cycle of the collector that lives."""
        if self.cycles is None:
            self.clock.sleep(1)
            return None
        cycle = next(self.cycles)
        for tick in filter(None, (cycle.stored, cycle.spooled)):
            self.oracle.tick(self.clock.now_ms(), *tick)
        return cycle

    def rest(self) -> None:
        """Let time pass until a second before the next cycle."""
        self.go_to(find_next_beat(self.true.now_ms(), round(self.interval_s * 1000), PHASE_S * 1000) - 1000)

    def flush(self) -> None:
        """Delete all keys."""
        self.admin.flushall()
        self.oracle.forget_ticks_before(self.clock.now_ms())

    def cut_power(self) -> None:
        """Kill redis-server; what it has on its disk stays."""
        self.admin.waitaof(1, 0, 10_000)
        self.kill()


Act = Callable[[Life], object]


@dataclass
class Outage:
    """A fault at an hour of the day for so many hours, 0 for what is done at once; and its outcome.

    Until `hidden_ms` after its begin there is nothing to tell, and until `lag_ms` after its end it lasts on; status has
    to say so in between, unless it is `harmless`. `first_look` is the number of the first look after its begin,
    `settled` counts the minutes that were settled from its end until everything had to be as before.
    """

    name: str
    hour: float
    begin: Act
    end: Act = lambda world: None
    hours: float = 0
    harmless: bool = False
    hidden_ms: int = 0
    lag_ms: int = 0
    begun_ms: float = math.inf
    ended_ms: float = math.inf
    first_look: int = 0
    settled: int = 0

    def told(self, time_ms: int, interval_s: float) -> bool:
        """Tell whether status must have noticed it at that time."""
        return self.begun_ms + self.hidden_ms + 2000 * interval_s <= time_ms < self.ended_ms

    def felt(self, time_ms: int, interval_s: float) -> bool:
        """Tell whether status may be unhealthy for it at that time."""
        return self.begun_ms <= time_ms <= self.ended_ms + self.lag_ms + 2000 * interval_s

    def lost(self) -> int:
        """Count the minutes with trades from its begin to its end."""
        span = range(-(-int(self.begun_ms) // MINUTE) * MINUTE, int(self.ended_ms) - MINUTE + 1, MINUTE)
        return sum(not quiet(each) for each in span)


def outages(day: int, names: Sequence[str]) -> list[Outage]:
    """One of each kind at its hour of the day, so far apart that none is taken for another up to a cycle in 15 minutes.

    What the providers do wrong, and which compaction is hit, changes from day to day.
    """
    fault = FAULTS[day % len(FAULTS)]
    wrong_ms = WRONG_CLOCKS_MS[day % len(WRONG_CLOCKS_MS)]
    compaction = COMPACTIONS[day % len(COMPACTIONS)]
    return [
        *(_one_down(name, 1 + number, FAULTS[(day + number) % len(FAULTS)]) for number, name in enumerate(names)),
        Outage("all providers down", 7, lambda w: w.fault(fault), _heal, 2, lag_ms=BAN_MS),
        Outage("no candles", 10, lambda w: w.fault(Fault(status=503), MUTE), _heal, 1, hidden_ms=MINUTE + 5_000),
        Outage("Redis away", 12, Life.cut_power, Life.revive, 1),
        Outage("FLUSHALL", 13.75, Life.flush),
        Outage("a rule is gone", 14.4, lambda w: w.admin.execute_command("TS.DELETERULE", TICK, compaction)),
        Outage("no collector", 15, Life.die, Life.start_collector, 5),
        Outage("a key is gone", 20.75, lambda w: w.admin.delete(compaction)),
        Outage("a wrong clock", 21.5, lambda w: w.clock.err(wrong_ms), lambda w: w.clock.err(0), 0.5),
        Outage("a sample of the future", 23, lambda w: put(w.admin, TICK, {w.clock.now_ms() + 40 * DAY: 1.0})),
    ]


def _one_down(name: str, hour: float, fault: Fault) -> Outage:
    return Outage(f"{name} down", hour, lambda w: w.exchanges.fault(name, fault), _heal, 0.5, harmless=True)


def _heal(world: Life) -> None:
    world.fault(None)


@dataclass(frozen=True)
class Look:
    """The words of status at a time; of a Redis that is away the error."""

    time_ms: int
    reasons: tuple[str, ...]


@dataclass
class Day:
    """The account of a day: what was asked, `unsettled` minutes by reason at its end, and the memory in bytes."""

    cycles: int = 0
    settled: int = 0
    requests: Counter[str] = field(default_factory=Counter)
    unsettled: dict[str, int] = field(default_factory=dict)
    memory: int = 0


@dataclass
class Week:
    """The account of a week; `wrong` says what was not as promised."""

    interval_s: float
    days: list[Day] = field(default_factory=list)
    outages: list[Outage] = field(default_factory=list)
    looks: list[Look] = field(default_factory=list)
    in_a_minute: Counter[tuple[str, int]] = field(default_factory=Counter)
    at_once: dict[str, int] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)

    @property
    def most_in_a_minute(self) -> dict[str, int]:
        """The most requests to each provider within one minute."""
        found: dict[str, int] = {}
        for (name, _), count in self.in_a_minute.items():
            found[name] = max(found.get(name, 0), count)
        return found


def simulate(
    *, days: int, interval_s: float, calm: bool = False, names: Sequence[str] = PROVIDERS, first: int = 0
) -> Week:
    """Live through so many days, `calm` ones or each with all outages, with the providers called `names`.

    The outages are those of the `first` day and the ones after it.
    """
    week = Week(interval_s)
    with _world(interval_s, names) as world:
        world.cycle()
        _count(world, week, Day())
        for number in range(days):
            plan = [] if calm else outages(first + number, names)
            week.outages += plan
            week.days.append(_live(world, week, plan, MIDNIGHT + number * DAY))
        used = world.exchanges.plan.used
    if used > world.exchanges.plan.monthly * days / 28:
        week.wrong.append(f"CoinMarketCap: {used} credits used in {days} days")
    week.wrong += [*misjudged(week), *unhealed(week), *immodest(week)]
    return week


@contextmanager
def _world(interval_s: float, names: Sequence[str]) -> Iterator[Life]:
    true = FakeClock(MIDNIGHT + PHASE_S * 1000)
    clock = WrongClock(true)
    with ExitStack() as stack:
        server = stack.enter_context(open_redis())
        exchanges = stack.enter_context(Exchanges(ThinMarket(quiet), now_ms=true.now_ms))
        endpoints = exchanges.endpoints()
        providers = stack.enter_context(open_providers(names, endpoints, market=BTC_USD, clock=clock, api_key="key"))
        poller = stack.enter_context(Poller(providers))
        world = Life(server, exchanges, clock, names, poller, interval_s)
        stack.callback(world.admin.close)
        yield world


def _live(world: Life, week: Week, plan: Sequence[Outage], midnight_ms: int) -> Day:
    """One day: look, let go wrong what is due, cycle."""
    day = Day()
    while True:
        world.rest()
        _look(world, week)
        _change(world, week, plan, midnight_ms)
        cycle = world.cycle()
        _count(world, week, day)
        now_ms = world.true.now_ms()
        if cycle:
            day.cycles += 1
            day.settled += cycle.settled
            for each in plan:
                if each.ended_ms <= now_ms and each.felt(now_ms, week.interval_s):
                    each.settled += cycle.settled
        if now_ms >= midnight_ms + DAY:
            _compare(world, week, day)
            return day


def _change(world: Life, week: Week, plan: Sequence[Outage], midnight_ms: int) -> None:
    """Begin and end the outages whose time has come."""
    now_ms = world.true.now_ms()
    hour = (now_ms + 1000 - midnight_ms) / HOUR
    for each in plan:
        if each.hour <= hour and each.begun_ms > now_ms:
            each.begun_ms, each.first_look = now_ms, len(week.looks)
            each.begin(world)
            if not each.hours:
                each.ended_ms = now_ms
                _look(world, week)
        if each.hour + each.hours <= hour and each.ended_ms > now_ms:
            each.ended_ms = now_ms
            each.end(world)


def _look(world: Life, week: Week) -> None:
    week.looks.append(Look(world.true.now_ms(), _reasons(world)))


def _reasons(world: Life) -> tuple[str, ...]:
    try:
        return tuple(reason.code for reason in status(world.store).reasons)
    except StoreError as exc:
        return (str(exc),)


def _count(world: Life, week: Week, day: Day) -> None:
    """Count the requests since the last time."""
    minute = world.true.now_ms() // MINUTE
    asked = Counter(each.provider for each in world.exchanges.requests)
    world.exchanges.requests.clear()
    day.requests += asked
    for name, count in asked.items():
        week.in_a_minute[name, minute] += count
        week.at_once[name] = max(week.at_once.get(name, 0), count)


def _compare(world: Life, week: Week, day: Day) -> None:
    """Every bucket is the aggregation of the market, and every minute with trades is settled."""
    now_ms = world.true.now_ms()
    minutes = range(now_ms // HOUR * HOUR - DAY, now_ms // MINUTE * MINUTE, MINUTE)
    for minute in minutes:
        traded = world.exchanges.market.candle(minute)
        if traded:
            world.oracle.candle(now_ms, minute, Observed(traded.open, traded.high, traded.low, traded.close))
    assert_right(world.admin, world.oracle, now_ms)
    world.oracle.forget_ticks_before(minutes[0])
    found: Status = status(world.store)
    day.unsettled = dict(found.minutes.gaps)
    day.memory = found.facts.own_bytes or 0
    silent = sum(map(quiet, minutes))
    if found.minutes.expected - found.minutes.settled != silent or day.unsettled != {"no_trades": silent}:
        week.wrong.append(f"at the end of day {len(week.days) + 1} not all is settled: {found.minutes}")


# Whether it was as promised


def misjudged(week: Week) -> Iterator[str]:
    """Looks at which status was wrong, by what went on then."""
    grave = [each for each in week.outages if not each.harmless]
    for each in grave:
        if not each.hours and not week.looks[each.first_look].reasons:
            yield f"{each.name}: healthy right after it"
    for look in week.looks:
        unnoticed = [each for each in grave if each.told(look.time_ms, week.interval_s)]
        if unnoticed and not look.reasons:
            yield f"{unnoticed[0].name}: healthy {(look.time_ms - unnoticed[0].begun_ms) / 1000:.0f} s after its begin"
        if look.reasons and not any(each.felt(look.time_ms, week.interval_s) for each in grave):
            hours = (look.time_ms - MIDNIGHT) / HOUR
            yield f"unhealthy {hours:.2f} h after the first midnight, in calm: {'; '.join(look.reasons)}"


def unhealed(week: Week) -> Iterator[str]:
    """Outages after which the healer did not run, or left something."""
    for each in week.outages:
        if each.ended_ms == math.inf:
            yield f"{each.name}: never ended"
        elif not each.harmless and each.settled < each.lost():
            yield f"{each.name}: {each.settled} of {each.lost()} minutes were settled after it"


def immodest(week: Week) -> Iterator[str]:
    """Requests beyond the limits of the providers."""
    for found, limits, when in (
        (week.most_in_a_minute, A_MINUTE_AT_MOST, "in a minute"),
        (week.at_once, AT_ONCE_AT_MOST, "at once"),
    ):
        for name, count in found.items():
            if count > limits.get(name, count):
                yield f"{name}: {count} requests {when}"


# By hand


def report(week: Week) -> Iterator[str]:
    """The account in lines."""
    yield f"{len(week.days)} days, a cycle every {week.interval_s:g} s, {len(week.looks)} looks at the status"
    yield "day  cycles  settled  unsettled        memory  requests to each provider"
    for number, day in enumerate(week.days, 1):
        asked = ", ".join(f"{name} {count}" for name, count in sorted(day.requests.items()))
        reasons = ", ".join(f"{name} {count}" for name, count in day.unsettled.items())
        yield f"{number:3}  {day.cycles:6}  {day.settled:7}  {reasons:15}  {day.memory / 1024:.0f} KiB  {asked}"
    for name, count in week.most_in_a_minute.items():
        yield f"{name}: at most {count} requests in a minute, {week.at_once[name]} at once"
    for name in dict.fromkeys(each.name for each in week.outages):
        yield _account([each for each in week.outages if each.name == name], week)
    yield from week.wrong or ["all as promised"]


def _account(same: Sequence[Outage], week: Week) -> str:
    """Sum up the outages of one kind: the longest times until one was noticed, and until all was well after it."""
    noticed, over, reason = [], [], ""
    for each in same:
        bad = [
            look for look in week.looks[each.first_look :] if look.reasons and each.felt(look.time_ms, week.interval_s)
        ]
        if bad:
            noticed.append((bad[0].time_ms - each.begun_ms) / 1000)
            over.append(max(0.0, bad[-1].time_ms - each.ended_ms) / 1000)
            reason = bad[-1].reasons[0]
    if not noticed:
        return f"{same[0].name}: {len(same)} times, always healthy"
    return (
        f"{same[0].name}: {len(same)} times, unhealthy after at most {max(noticed):.0f} s and healthy at most "
        f"{max(over):.0f} s after its end, then {sum(each.settled for each in same)} minutes settled ({reason})"
    )


def main() -> int:
    """Parse the arguments, live, report; 1 where something was not as promised."""
    parser = argparse.ArgumentParser(description="Simulate a week of collecting.")
    parser.add_argument("--days", type=int, default=7)
    parser.add_argument("--interval", type=float, default=60.0, help="seconds from cycle to cycle")
    parser.add_argument("--calm", action="store_true", help="without any outage")
    arguments = parser.parse_args()
    began = time.monotonic()
    week = simulate(days=arguments.days, interval_s=arguments.interval, calm=arguments.calm)
    sys.stdout.writelines(f"{line}\n" for line in report(week))
    sys.stdout.write(f"took {time.monotonic() - began:.0f} s\n")
    return 1 if week.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
