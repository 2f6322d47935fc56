"""Faults of Redis, of the wire to it, of the disk and of the clock; `answers` has those of the providers."""

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from random import Random
from typing import Any, NamedTuple

import redis

from simulation.chaos.proxy import REPLIES, REQUESTS
from simulation.chaos.world import SPOOLS, World
from support.series import COMPACTIONS, DAY, HOUR, MINUTE, TICK

Act = Callable[[World], object]

GAPS, STATE = "btc:price:gaps", "btc:price:state"
SERIES = (TICK, *COMPACTIONS)
TOO_LATE_S = 0.1


def nothing(world: World) -> None:
    """Do nothing to end a fault that is over when it has begun."""


class Trouble(NamedTuple):
    """Something that goes wrong, from its begin to its end.

    A provider stays away for `ban_ms` after the last cycle in which it sent us away. After answers that were wrong
    (`lies`) a minute may have to wait for a quarter of an hour before it is asked for again.
    """

    kind: str
    words: str
    begin: Act
    end: Act = nothing
    ban_ms: int = 0
    lies: bool = False


Draw = Callable[[Random], Trouble]


# Redis, for some time


def killed(chance: Random) -> Trouble:
    return Trouble("kill -9", "redis-server is killed", World.kill, World.revive)


def killed_in_a_cycle(chance: Random) -> Trouble:
    after = _bytes(chance)

    def begin(world: World) -> None:
        world.proxy.ambush(after, world.kill)

    def end(world: World) -> None:
        world.proxy.heal()
        world.revive()

    return Trouble("kill -9 in a cycle", f"redis-server is killed when it is sent {after} bytes", begin, end)


def read_only(chance: Random) -> Trouble:
    return Trouble(
        "read-only replica",
        "redis-server becomes a replica of nobody",
        lambda world: world.admin.replicaof("127.0.0.1", "1"),
        lambda world: world.admin.replicaof("NO", "ONE"),
    )


def full_disk(chance: Random) -> Trouble:
    def begin(world: World) -> None:
        (world.folder / "dump.rdb").mkdir(exist_ok=True)
        world.admin.config_set("save", "3600 1000000")
        while world.admin.info("persistence")["rdb_last_bgsave_status"] == "ok":
            with suppress(redis.ResponseError):  # one is under way
                world.admin.bgsave()

    return Trouble(
        "MISCONF", "redis-server cannot write its disk", begin, lambda world: world.admin.config_set("save", "")
    )


def setting(kind: str, name: str, bad: str, good: str) -> Draw:
    """A setting of redis-server under which it takes no writes."""

    def draw(chance: Random) -> Trouble:
        return Trouble(
            kind,
            f"redis-server has {name} {bad}",
            lambda world: world.admin.config_set(name, bad),
            lambda world: world.admin.config_set(name, good),
        )

    return draw


def other_password(chance: Random) -> Trouble:
    def begin(world: World) -> None:
        world.admin.config_set("requirepass", "another")
        world.admin.client_kill_filter(_type="normal", skipme=True)

    return Trouble(
        "password", "the password is changed", begin, lambda world: world.admin.config_set("requirepass", "")
    )


def strangers_key(chance: Random) -> Trouble:
    key = chance.choice((*SERIES, GAPS, STATE))

    def begin(world: World) -> None:
        if key == TICK:
            world.lose()
        world.strange = True
        world.admin.set(key, "a stranger's")

    def end(world: World) -> None:
        world.admin.delete(key)
        world.strange = False

    return Trouble("foreign key", f"{key} is a stranger's", begin, end)


# Redis, at once


def flushed(chance: Random) -> Trouble:
    return _event(chance, "FLUSHALL", "all keys are gone", ("FLUSHALL",), loses=True)


def deleted(chance: Random) -> Trouble:
    key = chance.choice((*SERIES, GAPS, STATE, TICK, TICK))
    return _event(chance, "DEL", f"{key} is deleted", ("DEL", key), loses=key == TICK)


def without_rule(chance: Random) -> Trouble:
    key = chance.choice(COMPACTIONS)
    return _event(chance, "TS.DELETERULE", f"the rule to {key} is gone", ("TS.DELETERULE", TICK, key))


def other_retention(chance: Random) -> Trouble:
    key, retention_ms = chance.choice(SERIES), chance.choice((1, MINUTE, HOUR, 2 * DAY, 0))
    return _event(
        chance,
        "TS.ALTER",
        f"the retention of {key} is {retention_ms} ms",
        ("TS.ALTER", key, "RETENTION", retention_ms),
        loses=key == TICK,
    )


def future_sample(chance: Random) -> Trouble:
    ahead_ms = chance.choice((40 * DAY, 30 * DAY))
    price = chance.choice((1.0, 60_000.0, 1e8))

    def act(world: World) -> None:
        if world.admin.exists(TICK):
            _send(world, "TS.ADD", TICK, world.true.now_ms() + ahead_ms, price)

    return Trouble("future sample", f"{price:g} lies {ahead_ms // DAY} days ahead", act)


def clients_killed(chance: Random) -> Trouble:
    def begin(world: World) -> None:
        world.admin.client_kill_filter(_type="normal", skipme=True)

    return Trouble("CLIENT KILL", "all connections to redis-server end", begin)


def scripts_flushed(chance: Random) -> Trouble:
    return _event(chance, "SCRIPT FLUSH", "the scripts are gone", ("SCRIPT", "FLUSH"))


def paused(chance: Random) -> Trouble:
    return _event(chance, "CLIENT PAUSE", "redis-server pauses for 60 ms", ("CLIENT", "PAUSE", 60))


# The wire


def cut(chance: Random) -> Trouble:
    direction = chance.choice((REQUESTS, REPLIES))
    after, times, reset = _bytes(chance), chance.choice((1, 2, 3, 10**6)), chance.random() < 0.5
    how = "reset" if reset else "closed"
    return Trouble(
        f"wire {how}",
        f"after {after} bytes of {direction} the connection is {how}, {times} times",
        lambda world: world.proxy.cut(direction, after, reset=reset, times=times),
        lambda world: world.proxy.heal(),
    )


def slow_wire(chance: Random) -> Trouble:
    delay_ms = chance.randrange(1, 8)
    return Trouble(
        "wire delayed",
        f"each parcel takes {delay_ms} ms",
        lambda world: world.proxy.delay(delay_ms / 1000),
        lambda world: world.proxy.heal(),
    )


def refused(chance: Random) -> Trouble:
    return Trouble(
        "wire refused",
        "connections to Redis are refused",
        lambda world: world.proxy.refuse(),
        lambda world: world.proxy.heal(),
    )


def dead_wire(chance: Random) -> Trouble:
    def begin(world: World) -> None:
        world.be_patient(TOO_LATE_S)
        world.proxy.swallow()

    def end(world: World) -> None:
        world.proxy.heal()
        world.be_patient()

    return Trouble("wire dead", "Redis answers nothing", begin, end)


# The disk and the clock


def no_spool(chance: Random) -> Trouble:
    def begin(world: World) -> None:
        for name in SPOOLS:
            if (world.folder / name).exists():
                (world.folder / name).rename(world.folder / f"{name}-away")
            (world.folder / name).write_text("no folder")
        world.spoolless = True

    def end(world: World) -> None:
        for name in SPOOLS:
            (world.folder / name).unlink()
            if (world.folder / f"{name}-away").exists():
                (world.folder / f"{name}-away").rename(world.folder / name)
        world.spoolless = False

    return Trouble("no spool", "no spool can be used", begin, end)


def wrong_clock(chance: Random) -> Trouble:
    wrong_ms = chance.choice((HOUR, -HOUR, DAY, -DAY, 40 * MINUTE, -25_000, 11_500, 9_000, -8_000))
    return Trouble(
        "clock step",
        f"the clock is {wrong_ms / 1000:+.0f} s wrong",
        lambda world: setattr(world.clock, "wrong_ms", wrong_ms),
        lambda world: setattr(world.clock, "wrong_ms", 0),
    )


REDIS: tuple[Draw, ...] = (
    *(killed, killed_in_a_cycle, killed_in_a_cycle, read_only, full_disk, other_password, strangers_key),
    setting("OOM", "maxmemory", "1mb", "0"),
    setting("NOREPLICAS", "min-replicas-to-write", "1", "0"),
)
EVENTS: tuple[Draw, ...] = (
    *(flushed, flushed, deleted, deleted, deleted, without_rule, other_retention),
    *(future_sample, clients_killed, scripts_flushed, paused),
)
WIRE: tuple[Draw, ...] = (cut, cut, cut, slow_wire, refused, dead_wire)


def _event(chance: Random, kind: str, words: str, command: tuple[Any, ...], *, loses: bool = False) -> Trouble:
    """A command that somebody sends to Redis: between two cycles, or when a cycle has sent so many bytes."""

    def act(world: World) -> None:
        if loses:
            world.lose()
        world.damaged = True
        _send(world, *command)

    if chance.random() < 0.5:
        return Trouble(kind, words, act)
    after = _bytes(chance)
    return Trouble(
        f"{kind} in a cycle",
        f"{words} when Redis is sent {after} bytes",
        lambda world: world.proxy.ambush(after, partial(act, world)),
        lambda world: world.proxy.heal(),
    )


def _send(world: World, *command: Any) -> None:
    """Send it; a key that is gone already, or a server that takes no writes, is no matter."""
    with suppress(redis.ResponseError):
        world.admin.execute_command(*command)


def _bytes(chance: Random) -> int:
    """Somewhere in a cycle: in its first words as often as in its large parcels."""
    return round(10 ** chance.uniform(0, 5.4))
