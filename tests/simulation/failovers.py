"""Schedules of deaths, handovers, moving slots and cut networks: a collector on real servers of one Redis.

The time of the market and of the collector is that of the stage; the servers fail in real time.
"""

import errno
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from socket import socket

from btcts.config import load
from btcts.connect import connect
from btcts.domain.codes import FaultCode
from btcts.domain.model import Span
from btcts.errors import StoreError
from btcts.providers import default_endpoints
from btcts.providers.poller import Poller
from btcts.services.collect.collector import Collector
from btcts.services.collect.memory import Memory
from btcts.services.collect.spool import Spool
from btcts.services.verify.run import verify
from btcts.store import Store, rebuild
from btcts.system.sockets import Dialer, Option
from simulation.chaos.stage import PATIENCE_S, Stage
from support.nodes import Node
from support.oracle import OF_A_CANDLE
from support.series import HOUR, MIDNIGHT, MINUTE
from support.several import Cluster, Sentinels, Several, wait_until

FINAL_MS = 5_000
"""A minute's candle is final so long after its end."""

IMPATIENT_S, PATIENT_S = 0.3, 15.0
"""How long a cycle waits while a fault lasts, and for a failover: more than any takes on a busy machine."""


class CutDialer(Dialer):
    """Reaches all ports but those that are cut off."""

    def __init__(self) -> None:
        super().__init__()
        self.cut: set[int] = set()

    def dial(self, host: str, port: int, timeout_s: float, options: Sequence[Option] = ()) -> socket:
        """Open a connection, or be refused."""
        if port in self.cut:
            raise ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused")
        return super().dial(host, port, timeout_s, options)


@dataclass
class Scene:
    """A Redis of several servers, a collector and a reader; `problems` are what must not be.

    `stored` are the stamps of prices that must be there, and the primary that took each; `looked` when cycles began and
    ended.
    """

    several: Several
    stage: Stage
    collector: Collector
    reader: Store
    dialer: CutDialer
    chance: Random
    problems: list[str] = field(default_factory=list)
    stored: dict[int, Node] = field(default_factory=dict)
    looked: list[Span] = field(default_factory=list)

    def cycle(self, *, lasting: bool = False) -> None:
        """Do one cycle; while a fault is `lasting` it need not succeed."""
        self.stage.true.advance(self.chance.choice((10_000, 10_000, 70_000, 11 * MINUTE)))
        self.collector.store._link.patience.limit_s = IMPATIENT_S if lasting else PATIENT_S
        began_ms = self.stage.clock.now_ms()
        cycle = self.collector.cycle(patience_s=30, limit_s=60)
        self.looked.append(Span(began_ms, self.stage.clock.now_ms() + 1))
        if cycle.stored:
            self.stored[cycle.stored.time_ms] = self.several.primary()
        if not lasting and (cycle.problem or not cycle.stored):
            self.problems.append(f"a cycle could not store its price: {cycle.problem}")
        elif not lasting and (faults := self.collector.store.inspect().faults):
            self.problems.append(f"a cycle left {len(faults)} faults: {faults[0].code}")

    def lose(self) -> None:
        """Expect no price any more that was stored until now: some may not have reached a replica."""
        self.stored.clear()

    def look(self) -> None:
        """See that readers tell of rules that are gone."""
        with suppress(StoreError):
            snapshot, faults = self.reader.snapshot(), self.reader.inspect().faults
            if snapshot.newest and not snapshot.halted and any(fault.code == FaultCode.NO_RULE for fault in faults):
                self.problems.append("a reader is silent about rules that are gone")

    def judge(self) -> Iterator[str]:
        """Yield all that is not as it would be without faults."""
        yield from self.problems
        store, now_ms = self.collector.store, self.stage.clock.now_ms()
        first_ms = now_ms // HOUR * HOUR - 24 * HOUR
        ticks = dict(store.ticks(Span(first_ms, now_ms + 1)))
        yield from (f"verify: {finding}" for finding in verify(store).findings)
        for minute in range(first_ms, (now_ms - FINAL_MS) // MINUTE * MINUTE, MINUTE):
            candle = self.stage.venues["busy"].candle(minute)
            wanted = candle and (candle.open, candle.low, candle.high, candle.close)
            if wanted != tuple(ticks.get(minute + offset) for offset in OF_A_CANDLE):
                yield f"{minute} does not hold its candle"
        for stamp in ticks:
            looked = any(span.start_ms - 1 <= stamp < span.end_ms for span in self.looked)
            if stamp % MINUTE not in OF_A_CANDLE and not looked:
                yield f"nobody looked at {stamp}"
        primary = self.several.primary()  # Sentinels may replace one only because the machine is busy
        kept = {stamp for stamp, node in self.stored.items() if node is primary or isinstance(self.several, Cluster)}
        if lost := {stamp - (stamp % MINUTE == MINUTE - 1) for stamp in kept} - ticks.keys():
            yield f"{sorted(lost)} were stored and are gone"
        if self.collector.spool and self.collector.spool.count():
            yield "prices wait on the disk"


Trouble = Callable[[Scene], object]


def die(scene: Scene) -> None:
    """The primary dies; the cycle after it writes to the next one."""
    scene.several.kill_primary()
    scene.lose()
    scene.cycle()


def die_in_rebuild(scene: Scene) -> None:
    """The primary dies in the middle of a rebuild."""
    original, deaths = rebuild._find, [scene.several.kill_primary]

    def find(*arguments: object) -> object:
        if deaths:
            deaths.pop()()
        return original(*arguments)  # type: ignore[arg-type]

    rebuild._find = find  # type: ignore[assignment]
    try:
        scene.collector.store._link.patience.limit_s = PATIENT_S
        scene.collector.store.rebuild()
    finally:
        rebuild._find = original
    scene.lose()
    scene.cycle()


def come_back_empty(scene: Scene) -> None:
    """The primary dies and is back at once without its data, perhaps before a replica has taken its place."""
    scene.several.kill_primary().start()
    scene.cycle(lasting=True)
    scene.several.mend()
    scene.lose()


def hand_over(scene: Scene) -> None:
    """A replica is made the primary, by hand; a primary under Sentinels goes on taking writes for a moment."""
    before = scene.several.primary()
    scene.several.fail_over()
    scene.cycle(lasting=True)
    wait_until(lambda: scene.several.primary() is not before)  # a death in the middle of it may lose all for long
    scene.several.mend()
    if isinstance(scene.several, Sentinels):
        scene.lose()


def cut(scene: Scene) -> None:
    """The network between the collector and the primary is cut; for the servers all is well."""
    scene.dialer.cut = {scene.several.primary().port}
    scene.collector.store._link.client.connection_pool.disconnect()
    scene.cycle(lasting=True)
    scene.cycle(lasting=True)
    scene.dialer.cut = set()


def lose_another(scene: Scene) -> None:
    """A server dies that is not the primary."""
    primary = scene.several.primary()
    scene.chance.choice([node for node in scene.several.nodes if node is not primary]).kill()
    scene.cycle()


def move(scene: Scene, *, at_once: bool = False) -> None:
    """Our slot moves; a cycle comes in the middle."""
    assert isinstance(scene.several, Cluster)
    middle = scene.chance.randrange(3 if at_once else 14)
    for step, _ in enumerate(scene.several.move_slot(at_once=at_once)):
        if step == middle:
            scene.cycle(lasting=True)
            scene.reader._link.patience.limit_s = IMPATIENT_S
            scene.look()


def move_at_once(scene: Scene) -> None:
    """Our slot moves with all of its keys at once."""
    move(scene, at_once=True)


TROUBLES: tuple[Trouble, ...] = (die, die_in_rebuild, come_back_empty, hand_over, cut, lose_another)
OF_CLUSTER: tuple[Trouble, ...] = (*TROUBLES, move, move, move_at_once)


def play(seed: int, several: Several, stage: Stage) -> list[str]:
    """Play the schedule of a seed on servers that are whole and empty, and one cycle more; what is wrong then."""
    chance = Random(seed)
    troubles = chance.choices(OF_CLUSTER if isinstance(several, Cluster) else TROUBLES, k=3)
    with open_scene(several, stage, chance) as scene:
        scene.cycle()
        for trouble in troubles:
            trouble(scene)
            scene.look()
            several.mend()
        scene.cycle()
        return list(scene.judge())


@contextmanager
def open_scene(several: Several, stage: Stage, chance: Random) -> Iterator[Scene]:
    """A collector and a reader, as commands open them."""
    venue = stage.venues["busy"]
    stage.true.step(MIDNIGHT + chance.randrange(24 * HOUR) - stage.true.now_ms())
    stage.clock.wrong_ms = 0
    venue.exchanges.reset()
    for endpoint in venue.endpoints.values():
        endpoint.timeout_s = PATIENCE_S
    dialer = CutDialer()
    with tempfile.TemporaryDirectory(prefix="btcts-") as name:
        folder = Path(name)
        environ = {"BTCTS_DATA_DIR": name, "REDIS_URL": several.url}
        settings = load(endpoints=default_endpoints(), environ=environ, cwd=folder)
        with (
            connect(settings, clock=stage.clock, starts_embedded=True, say=print, dialer=dialer) as store,
            connect(settings, clock=stage.clock, starts_embedded=False, say=print) as reader,
            Poller(list(venue.providers[0].values())) as poller,
        ):
            spool, memory = Spool(folder / "spool"), Memory(folder / "providers.json")
            collector = Collector(store, poller, cadence_s=10.0, spool=spool, memory=memory)
            yield Scene(several, stage, collector, reader, dialer, chance)
