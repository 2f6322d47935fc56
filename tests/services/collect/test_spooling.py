"""Collectors whose Redis goes away and comes back: no price that was agreed in between is lost."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from itertools import islice
from pathlib import Path

import pytest
import redis

from btcts.config import BTC_USD
from btcts.domain.codes import ProblemCode
from btcts.domain.model import MINUTE_MS, Reading, Tick
from btcts.errors import ForeignKey, NoTimeSeries
from btcts.providers import open_providers
from btcts.providers.poller import Poller
from btcts.services.collect.collector import Collector
from btcts.services.collect.loop import forever, once
from btcts.services.collect.memory import Memory
from btcts.services.collect.spool import Spool
from btcts.store import Store
from support.clocks import FakeClock
from support.exchanges import Exchanges, Fault
from support.oracle import Observed, Oracle
from support.series import TICK, assert_right, monitored, samples
from support.servers import Server, StartServer, connect

THREE = ("coinbase", "kraken", "bitstamp")
TESTS = Path(__file__).parents[2]

MakeSpooling = Callable[..., Collector]


@pytest.fixture
def lasting(start_server: StartServer) -> Server:
    """A redis-server of this test's own that finds its data again when it is killed and started."""
    return start_server("--appendonly", "yes", "--appendfsync", "always")


@pytest.fixture
def reader(lasting: Server) -> Iterator[redis.Redis]:
    """A client of it."""
    with connect(lasting.socket) as client:
        yield client


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    """The spool in which prices wait."""
    return Spool(tmp_path / "spool")


@pytest.fixture
def spooling(lasting: Server, clock: FakeClock, exchanges: Exchanges, spool: Spool) -> Iterator[MakeSpooling]:
    """Make a collector with a spool that asks these exchanges; each has its own connection and its own memory."""
    with ExitStack() as stack:

        def make(
            names: Sequence[str] = THREE,
            *,
            spool: Spool = spool,
            server: Server = lasting,
            memory: Memory | None = None,
        ) -> Collector:
            client = stack.enter_context(connect(server.socket))
            store = Store(client, BTC_USD, clock=clock, where="test")
            providers = stack.enter_context(open_providers(names, exchanges.endpoints(), market=BTC_USD, clock=clock))
            poller = stack.enter_context(Poller(providers))
            return Collector(store, poller, cadence_s=10.0, spool=spool, memory=memory or Memory())

        yield make


def beats(collector: Collector, clock: FakeClock, count: int) -> list[Tick | None]:
    """Run so many cycles without Redis, 10 s apart; the prices that they kept."""
    kept = []
    for _ in range(count):
        clock.advance(10_000)
        kept.append(collector.cycle().spooled)
    return kept


def told(oracle: Oracle, exchanges: Exchanges, now_ms: int) -> Oracle:
    """The oracle, with every candle of the window."""
    minute = now_ms // 3_600_000 * 3_600_000 - 24 * 3_600_000
    while minute + MINUTE_MS <= now_ms - 5_000:
        traded = exchanges.market.candle(minute)
        assert traded
        oracle.candle(now_ms, minute, Observed(traded.open, traded.high, traded.low, traded.close))
        minute += MINUTE_MS
    return oracle


def test_every_price_agreed_while_redis_was_away_is_stored_at_its_own_stamp_and_all_buckets_are_right(
    lasting: Server, reader: redis.Redis, clock: FakeClock, exchanges: Exchanges, spool: Spool, spooling: MakeSpooling
) -> None:
    oracle = Oracle()
    collector = spooling()
    stored = [collector.cycle().stored]
    lasting.kill()
    kept = beats(collector, clock, 20)

    lasting.start()
    clock.advance(10_000)
    back = collector.cycle()

    for tick in (*stored, *kept, back.stored):
        assert tick
        oracle.tick(clock.now_ms(), *tick)
    assert (back.unspooled, back.torn, back.unsettled, back.problem) == (20, 0, 0, None)
    assert dict(filter(None, kept)).items() <= samples(reader, TICK).items()
    assert_right(reader, told(oracle, exchanges, clock.now_ms()), clock.now_ms())
    assert spool.count() == 0


def test_where_nobody_has_candles_the_buckets_are_those_of_the_prices_that_waited(
    lasting: Server, reader: redis.Redis, clock: FakeClock, exchanges: Exchanges, spooling: MakeSpooling
) -> None:
    exchanges.fault("coinbase", Fault(path="candles", status=503))
    oracle = Oracle()
    collector = spooling(["coinbase"])
    ticks = [collector.cycle().stored]
    lasting.kill()
    ticks += beats(collector, clock, 40)

    lasting.start()
    clock.advance(10_000)
    ticks.append(collector.cycle().stored)

    for tick in ticks:
        assert tick
        oracle.tick(clock.now_ms(), *tick)
    assert sorted(samples(reader, TICK).items()) == oracle.ticks()
    assert_right(reader, oracle, clock.now_ms())


def test_a_price_that_waits_is_no_failure_of_the_providers_and_the_reason_is_said(
    lasting: Server, clock: FakeClock, spool: Spool, spooling: MakeSpooling
) -> None:
    lasting.kill()

    cycle = once(spooling())

    assert cycle.spooled
    assert (cycle.stored, cycle.refused, set(cycle.members)) == (None, (), set(THREE))
    assert cycle.problem_codes == (ProblemCode.REDIS,)
    assert spool.read(clock.now_ms()).ticks == (cycle.spooled,)


def test_the_next_run_of_another_process_writes_what_waits(
    lasting: Server, reader: redis.Redis, clock: FakeClock, spool: Spool, spooling: MakeSpooling
) -> None:
    lasting.kill()
    kept = [once(spooling()).spooled, *beats(spooling(), clock, 1)]
    lasting.start()
    clock.advance(10_000)

    cycle = once(spooling())

    assert cycle.unspooled == 2
    assert dict(filter(None, kept)).items() <= samples(reader, TICK).items()
    assert spool.count() == 0


def test_what_waits_is_written_by_a_cycle_that_has_no_price_itself(
    lasting: Server, reader: redis.Redis, clock: FakeClock, exchanges: Exchanges, spooling: MakeSpooling
) -> None:
    lasting.kill()
    collector = spooling(["coinbase"])
    kept = collector.cycle().spooled
    exchanges.fault("coinbase", Fault(status=503))
    lasting.start()
    clock.advance(10_000)

    cycle = collector.cycle()

    assert (cycle.stored, cycle.unspooled) == (None, 1)
    assert list(samples(reader, TICK).items()) == [kept]


def test_what_waits_goes_with_what_is_written_anyway_so_that_there_is_one_merge(
    lasting: Server, clock: FakeClock, exchanges: Exchanges, tmp_path: Path, spooling: MakeSpooling
) -> None:
    exchanges.fault("coinbase", Fault(path="candles", status=503))
    collector = spooling(["coinbase"])
    collector.cycle()
    lasting.kill()
    beats(collector, clock, 30)
    lasting.start()
    clock.advance(60_000)
    spooling(["coinbase"], spool=Spool(tmp_path / "of another host")).cycle()
    exchanges.fault("coinbase", None)
    clock.advance(10_000)

    with monitored(lasting) as commands:
        cycle = collector.cycle()

    assert cycle.unspooled == 30
    assert sum(words[0] == "MULTI" for words in commands) == 1


class Killer:
    """A provider that ends the redis-server when it is asked, in the middle of a cycle."""

    name = "killer"
    key_id = ""
    reach_ms = 0
    page_minutes = 0
    bulky = False

    def __init__(self, server: Server, clock: FakeClock) -> None:
        self._server = server
        self._clock = clock

    def latest(self) -> Reading:
        """A price, when it is too late to store it."""
        self._server.kill()
        return Reading(self.name, 60_000.5, self._clock.now_ms())


def test_a_redis_that_goes_away_between_the_survey_and_the_write_costs_no_price(
    lasting: Server, reader: redis.Redis, clock: FakeClock, spool: Spool
) -> None:
    with connect(lasting.socket) as client, Poller([Killer(lasting, clock)]) as poller:
        store = Store(client, BTC_USD, clock=clock, where="test")
        cycle = Collector(store, poller, cadence_s=10.0, spool=spool).cycle()

    assert cycle.spooled == Tick(clock.now_ms(), 60_000.5)
    assert spool.read(clock.now_ms()).ticks == (cycle.spooled,)


@pytest.mark.parametrize(
    ("setting", "wrong", "said"),
    [("maxmemory", "1mb", "out of memory"), ("min-replicas-to-write", "1", "too few replicas")],
)
def test_a_redis_that_takes_no_writes_gets_the_price_later(
    setting: str, wrong: str, said: str, reader: redis.Redis, clock: FakeClock, spooling: MakeSpooling
) -> None:
    collector = spooling()
    collector.cycle()
    reader.config_set(setting, wrong)
    clock.advance(10_000)
    refused = collector.cycle()

    reader.config_set(setting, "0")
    clock.advance(10_000)
    taken = collector.cycle()

    assert said in (refused.problem or "")
    assert refused.spooled
    assert (taken.unspooled, taken.problem) == (1, None)
    assert samples(reader, TICK)[refused.spooled.time_ms] == refused.spooled.price


def test_a_key_of_somebody_else_ends_the_loop_and_nothing_waits(
    reader: redis.Redis, spool: Spool, spooling: MakeSpooling
) -> None:
    reader.set("btc:price:hour", "mine")

    with pytest.raises(ForeignKey):
        next(forever(spooling(), interval_s=10, phase_s=0, stopped=lambda: False))

    assert spool.count() == 0


def test_a_server_without_the_module_ends_the_loop_and_nothing_waits(
    start_server: StartServer, spool: Spool, spooling: MakeSpooling
) -> None:
    collector = spooling(server=start_server(module=False))

    with pytest.raises(NoTimeSeries):
        next(forever(collector, interval_s=10, phase_s=0, stopped=lambda: False))

    assert spool.count() == 0


def test_a_provider_that_says_wait_is_left_alone_while_redis_is_away_and_after_it(
    lasting: Server, clock: FakeClock, exchanges: Exchanges, spooling: MakeSpooling
) -> None:
    collector = spooling()
    collector.cycle()
    lasting.kill()
    exchanges.fault("kraken", Fault(status=429, headers={"Retry-After": "90"}))
    beats(collector, clock, 1)
    exchanges.fault("kraken", None)
    exchanges.requests.clear()

    beats(collector, clock, 3)
    lasting.start()
    clock.advance(10_000)
    back = collector.cycle()
    clock.advance(10_000)
    other = spooling().cycle()

    assert "kraken" not in {request.provider for request in exchanges.requests}
    assert [name for name, *_ in back.waiting] == ["kraken"]
    assert [name for name, *_ in other.waiting] == ["kraken"]


def test_what_redis_said_of_a_provider_holds_while_it_is_away(
    lasting: Server, clock: FakeClock, exchanges: Exchanges, spooling: MakeSpooling
) -> None:
    exchanges.fault("kraken", Fault(status=429, headers={"Retry-After": "90"}))
    collector = spooling()
    collector.cycle()
    exchanges.fault("kraken", None)
    lasting.kill()
    clock.advance(10_000)

    away = collector.cycle()

    assert [name for name, *_ in away.waiting] == ["kraken"]
    assert set(away.members) == {"coinbase", "bitstamp"}


@pytest.mark.parametrize("another", [False, True], ids=["the same collector", "another run"])
def test_a_lone_price_that_jumps_is_not_believed_at_once_while_redis_is_away(
    another: bool, lasting: Server, clock: FakeClock, exchanges: Exchanges, spooling: MakeSpooling
) -> None:
    lasting.kill()
    collector = spooling(["coinbase"])
    assert collector.cycle().spooled
    exchanges.fault("coinbase", Fault(path="ticker", factor=1.4))
    clock.advance(10_000)

    jumped = (spooling(["coinbase"]) if another else collector).cycle()

    assert jumped.spooled is None
    assert "waits for confirmation" in (jumped.problem or "")


def test_the_last_price_that_redis_held_judges_the_first_one_while_it_is_away(
    lasting: Server, clock: FakeClock, exchanges: Exchanges, spooling: MakeSpooling
) -> None:
    collector = spooling(["coinbase"])
    collector.cycle()
    lasting.kill()
    exchanges.fault("coinbase", Fault(path="ticker", factor=1.4))
    clock.advance(10_000)

    jumped = collector.cycle()

    assert jumped.spooled is None
    assert "waits for confirmation" in (jumped.problem or "")


def test_when_the_clocks_differ_nothing_is_kept_and_nothing_that_waits_is_written(
    lasting: Server, reader: redis.Redis, clock: FakeClock, exchanges: Exchanges, spool: Spool, spooling: MakeSpooling
) -> None:
    lasting.kill()
    collector = spooling(["coinbase", "kraken"])
    collector.cycle()
    for name in ("coinbase", "kraken"):
        exchanges.fault(name, Fault(skew_ms=3_600_000))
    clock.advance(10_000)

    away = collector.cycle()
    lasting.start()
    there = collector.cycle()

    assert (away.spooled, there.unspooled) == (None, 0)
    assert spool.count() == 1
    assert samples(reader, TICK) == {}


def test_a_price_kept_by_a_clock_that_was_ahead_is_refused_by_redis_and_that_is_said(
    reader: redis.Redis, clock: FakeClock, spool: Spool, spooling: MakeSpooling
) -> None:
    ahead = Tick(clock.now_ms() + 60_000, 60_000.5)
    spool.keep(ahead)

    cycle = spooling().cycle()

    assert cycle.stored
    assert (cycle.unspooled, spool.count()) == (0, 0)
    assert cycle.problem_codes == (ProblemCode.REDIS_CLOCK,)
    assert (cycle.problem or "").startswith("1 ")
    assert ahead.time_ms not in samples(reader, TICK)


def test_damaged_lines_are_counted_once_and_cost_nothing_else(
    lasting: Server, clock: FakeClock, tmp_path: Path, spooling: MakeSpooling
) -> None:
    lasting.kill()
    collector = spooling()
    beats(collector, clock, 2)
    path = tmp_path / "spool" / "ticks"
    path.write_bytes(path.read_bytes()[:-5])
    lasting.start()

    first, second = collector.cycle(), collector.cycle()

    assert (first.unspooled, first.torn) == (1, 1)
    assert (second.unspooled, second.torn) == (0, 0)


def test_a_spool_that_cannot_be_written_is_said_and_the_loop_goes_on(
    lasting: Server, tmp_path: Path, spooling: MakeSpooling
) -> None:
    (tmp_path / "file").write_text("in the way")
    collector = spooling(spool=Spool(tmp_path / "file" / "spool"))
    cycles = forever(collector, interval_s=10, phase_s=0, stopped=lambda: False)
    lasting.kill()
    lost = list(islice(cycles, 3))
    lasting.start()

    after = next(cycles)

    assert all(cycle.members and not (cycle.stored or cycle.spooled) for cycle in lost)
    assert all({ProblemCode.REDIS, ProblemCode.SPOOL} <= set(cycle.problem_codes) for cycle in lost)
    assert after.stored


def test_a_spool_that_cannot_be_read_costs_no_price_that_redis_takes(tmp_path: Path, spooling: MakeSpooling) -> None:
    (tmp_path / "spool" / "ticks").mkdir(parents=True)

    cycle = spooling().cycle()

    assert cycle.stored
    assert set(cycle.problem_codes) == {ProblemCode.SPOOL}


def test_a_round_that_redis_did_not_take_is_written_when_it_is_back(
    reader: redis.Redis, exchanges: Exchanges, spooling: MakeSpooling
) -> None:
    spooling(["coinbase"]).store.rebuild()
    collector = spooling()
    reader.config_set("min-replicas-to-write", "1")
    collector.cycle()
    exchanges.requests.clear()

    reader.config_set("min-replicas-to-write", "0")
    cycle = collector.cycle()

    assert (cycle.settled, cycle.unsettled) == (24 * 60 + 34, 0)
    assert len(exchanges.requests) < 2 * len(THREE) + 1


def test_killed_at_any_step_on_the_disk_a_collector_loses_no_price_that_it_said_it_keeps(
    lasting: Server, reader: redis.Redis, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "services.collect.dying_collector", tmp_path, lasting.socket]

    done = subprocess.run(command, cwd=TESTS, capture_output=True, timeout=100, check=False)

    assert done.returncode == 0, done.stderr
    stored = samples(reader, TICK)
    lives = [json.loads(line) for line in done.stdout.splitlines()]
    for _, home, said in lives:
        assert Spool(Path(home) / "spool").count() == 0
        for time_ms, price in said:
            assert stored[time_ms] == price, home
    steps, _, last = lives[-1]
    assert steps > 40
    assert len(last) == 4


def test_while_redis_is_away_the_next_run_heeds_what_a_provider_told_this_one(
    lasting: Server, clock: FakeClock, exchanges: Exchanges, spooling: MakeSpooling, tmp_path: Path
) -> None:
    lasting.kill()
    exchanges.fault("kraken", Fault(status=429, headers={"Retry-After": "90"}))
    memory = tmp_path / "providers.json"
    first = spooling(["coinbase", "kraken"], memory=Memory(memory))
    first.cycle()
    clock.advance(60_000)

    second = spooling(["coinbase", "kraken"], memory=Memory(memory)).cycle()
    clock.advance(20_000)
    third = spooling(["coinbase", "kraken"], memory=Memory(memory)).cycle()

    assert [name for name, *_ in second.waiting] == ["kraken"]
    assert (second.members, third.members) == ((), ("coinbase",))
