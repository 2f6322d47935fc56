"""Faults of streams: of their connections, and of what exchanges say on them."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from random import Random

from btcts.domain.trades import Trade
from simulation.chaos.faults import Draw, Trouble, nothing
from simulation.chaos.floor import Floor

NONSENSE = ('""', "0", '"NaN"', "-1", "1e300", '"much"', "null", "NaN")
HOUR_NS, YEAR_NS = 3_600 * 10**9, 365 * 86_400 * 10**9

PRICE = {
    "coinbase": r'("price":)"[^"]*"',
    "kraken": r'("price":)[^,]*',
    "bitstamp": r'("price":)[^,]*',
    "bitfinex": r"(-0.00325131,)[^\]]*",
    "gemini": r'("p":)"[^"]*"',
}


Act = Callable[[Floor], object]


def fault(kind: str, act: Act, end: Act = Floor.heal) -> Callable[[str], Draw]:
    """Draw a fault of one provider's streams, which is healed at its end."""

    def of(name: str) -> Draw:
        return lambda chance: Trouble(
            f"stream {kind}",
            f"{name}: the stream is {kind}",
            lambda world: act(world.floors[name]),
            lambda world: end(world.floors[name]),
        )

    return of


def setting(kind: str, **values: object) -> Callable[[str], Draw]:
    """Draw a fault that lasts."""
    return fault(kind, lambda floor: [setattr(floor, key, value) for key, value in values.items()])


def dropped(name: str) -> Draw:
    return fault("dropped", lambda floor: floor.drop("closed by the server (1006)"))(name)


def shut(name: str) -> Draw:
    def act(floor: Floor) -> None:
        floor.shut = True
        floor.drop("closed by the server (1012)")

    return fault("shut", act)(name)


def skipped(name: str) -> Draw:
    """Trades are lost without another word; only where that can be seen."""
    if name in ("coinbase", "kraken"):
        return setting("without trades", dropped=True)(name)

    def lose(floor: Floor) -> None:
        for line in floor.lines:
            line.voice.say_heartbeat()  # counted, and not sent

    return fault("without a message", lose)(name) if name == "bitfinex" else dropped(name)


def renewed(name: str) -> Draw:
    """The exchange asks for a new connection, and closes the old one some seconds later."""

    def draw(chance: Random) -> Trouble:
        after_ms = chance.choice((300, 3_000, 10_000))

        def act(floor: Floor) -> None:
            floor.say(lambda voice: voice.ask_to_reconnect())
            for line in floor.lines:
                line.closes_ms = floor.at_ms + after_ms

        return fault("renewed", act)(name)(chance)

    return draw


def maintained(name: str) -> Draw:
    """Maintenance is announced; what is traded meanwhile is not told."""
    if name not in ("kraken", "bitfinex"):
        return dropped(name)

    def begin(floor: Floor) -> None:
        floor.say(lambda voice: voice.say_maintenance(begins=True))
        floor.dropped = True

    def end(floor: Floor) -> None:
        floor.heal()
        floor.say(lambda voice: voice.say_maintenance(begins=False))

    return fault("in maintenance", begin, end)(name)


def priced(name: str) -> Draw:
    def draw(chance: Random) -> Trouble:
        nonsense = chance.choice(NONSENSE)
        return setting(f"priced {nonsense}", garbled=lambda text, _: re.sub(PRICE[name], rf"\g<1>{nonsense}", text))(
            name
        )(chance)._replace(kind="stream priced nonsense")

    return draw


def timed(name: str) -> Draw:
    """Times an hour ahead, a year back, or in another unit."""

    def draw(chance: Random) -> Trouble:
        shift = chance.choice((HOUR_NS, -YEAR_NS, -HOUR_NS))
        return setting("timed wrongly", garbled=partial(_shift, name, shift))(name)(chance)

    return draw


def lying(name: str) -> Draw:
    def draw(chance: Random) -> Trouble:
        factor = chance.choice((0.997, 1.003))
        return setting("inexact", factor=factor)(name)(chance)

    return draw


def unknown(name: str) -> Draw:
    words = '[19111,"xy",[1],2,3]' if name == "bitfinex" else '{"event":"new","channel":"new","type":"new"}'
    return fault("strange", lambda floor: floor.say(lambda voice: [words]), nothing)(name)


def _shift(name: str, shift_ns: int, text: str, trade: Trade) -> str:
    for unit_ns in (1, 10**3, 10**6, 10**9):
        text = text.replace(str(trade.time_ns // unit_ns), str((trade.time_ns + shift_ns) // unit_ns))
    return text.replace(_iso(trade.time_ns), _iso(trade.time_ns + shift_ns))


def _iso(time_ns: int) -> str:
    """Return a time as it stands in messages, without its zone."""
    second = datetime.fromtimestamp(time_ns // 10**9, UTC)
    return f"{second:%Y-%m-%dT%H:%M:%S}.{time_ns % 10**9 // 1000:06d}"


STREAM: tuple[Callable[[str], Draw], ...] = (
    *(dropped, dropped, shut, skipped, renewed, renewed, maintained, priced, timed, unknown, lying),
    *(setting("silent", silent=True), setting("silent", silent=True)),
    setting("repeating", again=True),
    setting("backwards", reversed=True),
    setting("without heartbeats", unbeating=True),
    setting("bursting", burst=60),
    *(setting(f"{late_ms} ms late", late_ms=late_ms) for late_ms in (900, 1_900, 4_900)),
    *(setting(f"telling {kind} alone", kinds=(kind,)) for kind in ("te", "tu")),
)
