"""Scenes in which commands are killed: a Redis and a spool that can be restored, and what they may hold at first."""

import shutil
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import redis

from btcts.config import BTC_USD
from btcts.domain.model import Tick
from btcts.services.collect.spool import Spool
from btcts.services.verify.buckets import Finding
from btcts.services.verify.run import verify
from btcts.store import Store
from services.collect.killed_collector import run
from support.clocks import FakeClock
from support.series import COMPACTIONS, DAY, HOUR, MINUTE, NOW, TICK, put, samples
from support.servers import Server, connect

THEN = NOW + 3 * HOUR
SERIES = "TSDB-TYPE"
SETTINGS = ("retentionTime", "chunkSize", "chunkType", "duplicatePolicy", "labels", "sourceKey", "rules")


class Look(NamedTuple):
    """The state that readers see, and what is wrong with it."""

    ticks: dict[int, float]
    compactions: dict[str, dict[int, float]]
    settings: dict[str, list[object]]
    findings: tuple[Finding, ...]
    gaps: set[int]
    waiting: int


class Scene:
    """A Redis that takes DEBUG, a spool, and every price that a run said it had stored or kept."""

    def __init__(self, server: Server, client: redis.Redis, folder: Path) -> None:
        self.server = server
        self.client = client
        self.folder = folder / "spool"
        self.folder.mkdir()
        self.spool = Spool(self.folder)
        self.said: list[Tick] = []
        self._saved = folder / "saved"
        self._before: tuple[int, tuple[Tick, ...]] = (0, ())

    def run(self, command: str, now_ms: int) -> None:
        """Let a command come to its end."""
        with connect(self.server.socket) as client:
            run(command, now_ms, client, self.folder, self.said.append)

    def keep(self, *ticks: Tick) -> None:
        """Let prices wait in the spool."""
        for tick in ticks:
            self.spool.keep(tick)
        self.said.extend(ticks)

    def save(self) -> None:
        """Make this the beginning."""
        shutil.copytree(self.folder, self._saved)
        self._before = self._cached_scripts(), tuple(self.said)
        self._save_redis()

    def rewind(self) -> None:
        """Go back to the beginning."""
        shutil.rmtree(self.folder)
        shutil.copytree(self._saved, self.folder)
        scripts, self.said[:] = self._before
        self._rewind_redis()
        if not scripts:
            self.client.script_flush()

    def everything(self) -> Hashable:
        """All that a run can find."""
        keys = sorted(self.client.keys())
        files = sorted((path.name, path.read_bytes()) for path in self.folder.iterdir())
        return (self._cached_scripts(), *files, *((key, self._value(key)) for key in keys))

    def look(self, now_ms: int) -> Look:
        """Return what readers find."""
        client = self.client
        series = [key for key in (TICK, *COMPACTIONS) if client.type(key) == SERIES]
        shown = {key: samples(client, key, latest=TICK in series) for key in series}
        infos = {key: client.execute_command("TS.INFO", key) for key in series}
        store = Store(client, BTC_USD, clock=FakeClock(now_ms), where="test")
        return Look(
            ticks=shown.pop(TICK, {}),
            compactions=shown,
            settings={key: [info[name] for name in SETTINGS] for key, info in infos.items()},
            findings=verify(store).findings,
            gaps=set(store.gaps()),
            waiting=self.spool.count(),
        )

    def _save_redis(self) -> None:
        self.client.save()

    def _rewind_redis(self) -> None:
        self.client.execute_command("DEBUG RELOAD NOSAVE")

    def _cached_scripts(self) -> int:
        return int(self.client.info("memory")["number_of_cached_scripts"])

    def _value(self, key: str) -> Hashable:
        """The value of a key: fields of a hash have no order, and DUMP shows bytes of a compaction never written."""
        kind = self.client.type(key)
        if kind == "hash":
            lease = "rebuild_until_ms"  # another one each time
            return frozenset(item for item in self.client.hgetall(key).items() if item[0] != lease)
        if key in COMPACTIONS and kind == SERIES:
            return repr([self.client.execute_command("TS.INFO", key), samples(self.client, key)])
        return self.client.dump(key)


class LastingScene(Scene):
    """A scene whose Redis can be killed, for it logs what is done to it."""

    def _save_redis(self) -> None:
        self._put_log("saved log", "appendonlydir")

    def _rewind_redis(self) -> None:
        self._put_log("appendonlydir", "saved log")

    def _put_log(self, there: str, here: str) -> None:
        self.server.kill()
        shutil.rmtree(self.server.folder / there, ignore_errors=True)
        shutil.copytree(self.server.folder / here, self.server.folder / there)
        self.server.start()


@dataclass(frozen=True)
class Story:
    """The state `before` a command that runs at `now_ms` and is killed, at so many `steps` of its talk at least."""

    steps: int
    before: Callable[[Scene], None]
    command: str = "collect"
    now_ms: int = THEN

    @property
    def later_ms(self) -> int:
        """When the command runs once more."""
        return self.now_ms + 10_000


def nothing(scene: Scene) -> None:
    """An empty Redis."""


def brief(scene: Scene) -> None:
    """Two hours, three hours ago."""
    scene.run("collect two hours", NOW)


def filled(scene: Scene) -> None:
    """A whole window, three hours ago."""
    scene.run("collect", NOW)


def patchy(scene: Scene) -> None:
    """The same, and a price without candles a minute ago: what is settled now comes too late to be appended."""
    filled(scene)
    scene.run("collect prices alone", THEN - 70_000)


def hasty(scene: Scene) -> None:
    """A window whose last candle was corrected afterwards."""
    scene.run("collect hastily", NOW)


def waiting(scene: Scene) -> None:
    """Prices of the silence, some beyond what was traded, and some on stamps that belong to candles."""
    minute = NOW - NOW % MINUTE + HOUR
    scene.keep(*(Tick(minute + offset, 55_000.5 + offset) for offset in (0, 7, 20_000, 40_000, 59_998, 60_001)))
    scene.keep(Tick(minute + 2 * MINUTE + 59_999, 1.5), Tick(THEN - 10_000, 70_000.5))


def filled_and_waiting(scene: Scene) -> None:
    filled(scene)
    waiting(scene)


def patchy_and_waiting(scene: Scene) -> None:
    patchy(scene)
    waiting(scene)


def robbed(scene: Scene) -> None:
    """A window whose ticks are lost; its buckets are there."""
    filled(scene)
    scene.client.delete(TICK)
    scene.said.clear()


def poisoned(scene: Scene) -> None:
    """A window that a price from the future hides."""
    patchy(scene)
    put(scene.client, TICK, {THEN + DAY: 1.0})


def without_rule(scene: Scene) -> None:
    """A window whose highest prices are not kept any more."""
    filled(scene)
    scene.client.execute_command("TS.DELETERULE", TICK, "btc:price:hour:max")


def altered(scene: Scene) -> None:
    """Two hours, and three series with other settings."""
    brief(scene)
    for key in (TICK, "btc:price:minute", "btc:price:hour"):
        scene.client.execute_command("TS.ALTER", key, "RETENTION", DAY, "LABELS", "app", "btcts")


def taken(scene: Scene) -> None:
    """Two of our names in the hands of others."""
    scene.client.set("btc:price:hour", "mine")
    scene.client.execute_command("TS.CREATE", "btc:price:5min", "LABELS", "app", "other")


def outdated(scene: Scene) -> None:
    """A feed that died hours ago, and buckets that lie in the future."""
    brief(scene)
    for key in COMPACTIONS:
        put(scene.client, key, {THEN + DAY: 1.0, THEN + 2 * DAY: 1.0})


def damaged(scene: Scene) -> None:
    """Two hours with a rule lost, a bucket changed and a candle broken."""
    brief(scene)
    scene.client.execute_command("TS.DELETERULE", TICK, "btc:price:hour:max")
    put(scene.client, "btc:price:hour", {NOW - NOW % HOUR - HOUR: 1.0})
    high = NOW - NOW % MINUTE - 5 * MINUTE + 40_000
    scene.client.execute_command("TS.DEL", TICK, high, high)


COLLECTED = {
    "the first cycle": Story(80, nothing),
    "a minute to settle": Story(20, filled, now_ms=NOW + 10_000),
    "a candle to correct": Story(20, hasty, now_ms=NOW + 3 * MINUTE),
    "three hours to merge": Story(50, patchy),
    "prices that waited, to append": Story(20, filled_and_waiting),
    "prices that waited, to merge": Story(50, patchy_and_waiting),
    "prices that waited, and all else gone": Story(80, waiting),
    "a lost rule": Story(50, without_rule),
    "lost ticks": Story(120, robbed),
    "a price from the future": Story(70, poisoned),
}
"""Cycles of a collector."""

SERVED = {
    "prune": Story(50, outdated, "prune"),
    "prune of the future": Story(40, poisoned, "prune"),
    "init-keys of nothing": Story(60, nothing, "init-keys"),
    "init-keys in place": Story(20, altered, "init-keys"),
    "init-keys --rebuild": Story(30, brief, "init-keys --rebuild"),
    "init-keys --adopt": Story(70, taken, "init-keys --adopt"),
    "verify --repair": Story(80, damaged, "verify --repair"),
}
"""Commands that need Redis alone."""
