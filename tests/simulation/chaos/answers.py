"""Faults of the providers: answers that do not come, and answers that are wrong."""

from collections.abc import Callable, Mapping
from random import Random
from typing import Any

from simulation.chaos.faults import TOO_LATE_S, Draw, Trouble
from simulation.chaos.stage import PATIENCE_S
from simulation.chaos.world import World
from simulation.place import CANDLES, PRICES
from support.exchanges import Fault
from support.exchanges.faults import HTML, doubled, shortened, shuffled
from support.series import DAY, HOUR, MINUTE


def provider(kind: str, *faults: Mapping[str, Any], ban_ms: int = 0, lies: bool = False) -> Callable[[str], Draw]:
    """Draws one of these faults of a provider, for all its answers or for those about prices or candles alone."""

    def of(name: str) -> Draw:
        def draw(chance: Random) -> Trouble:
            given = dict(chance.choice(faults))
            path = given.pop("path", chance.choice(("", "", CANDLES[name], PRICES[name])))
            words = f"{name}{path and f' ({path})'}: {kind} {', '.join(f'{k}={_shown(v)}' for k, v in given.items())}"
            return Trouble(
                kind,
                words,
                lambda world: world.exchanges.fault(name, Fault(path=path, **given)),
                lambda world: world.exchanges.fault(name, None),
                ban_ms,
                lies,
            )

        return draw

    return of


def limited(name: str) -> Draw:
    def draw(chance: Random) -> Trouble:
        status = chance.choice((429, 418, 403, 403))
        wait_s = chance.choice((5, 45, 90, 600))
        return provider(
            f"HTTP {status}", {"status": status, "headers": {"Retry-After": str(wait_s)}}, ban_ms=1000 * wait_s
        )(name)(chance)

    return draw


def late(name: str) -> Draw:
    def draw(chance: Random) -> Trouble:
        def begin(world: World) -> None:
            world.venue.endpoints[name].timeout_s = TOO_LATE_S
            world.exchanges.fault(name, Fault(delay_s=3 * TOO_LATE_S))

        def end(world: World) -> None:
            world.exchanges.fault(name, None)
            world.venue.endpoints[name].timeout_s = PATIENCE_S

        return Trouble("too late", f"{name}: too late", begin, end)

    return draw


def frozen(name: str) -> Draw:
    def draw(chance: Random) -> Trouble:
        since_ms = chance.choice((3 * MINUTE, 20 * MINUTE, 3 * HOUR))

        def begin(world: World) -> None:
            frozen_ms = (world.true.now_ms() - since_ms) // MINUTE * MINUTE - 1
            world.exchanges.fault(name, Fault(frozen_ms=frozen_ms))

        return Trouble(
            "stale",
            f"{name}: has noticed no trades for {since_ms // MINUTE} minutes",
            begin,
            lambda world: world.exchanges.fault(name, None),
            lies=True,
        )

    return draw


def everybody(kind: str, fault: Mapping[str, Any], paths: Mapping[str, str] | None = None) -> Draw:
    """The same fault of all providers, where the path contains what is given for each."""

    def draw(chance: Random) -> Trouble:
        return Trouble(
            kind,
            f"all providers: {kind}",
            lambda world: world.fault(Fault(**fault), paths),
            lambda world: world.fault(None),
        )

    return draw


def inexact(name: str) -> Draw:
    """Prices that differ so little that they are believed; the candles of their minutes put them right."""

    def draw(chance: Random) -> Trouble:
        factor = chance.choice((0.994, 0.997, 1.003, 1.006))

        def begin(world: World) -> None:
            world.inexact += 1
            world.exchanges.fault(name, Fault(path=PRICES[name], factor=factor))

        def end(world: World) -> None:
            world.inexact -= 1
            world.exchanges.fault(name, None)

        return Trouble("inexact price", f"{name}: prices are {factor} of the market's", begin, end)

    return draw


ABSURD = (0, -1, None, "NaN", "1e999", True, 8.5e11, "", [], {})

PROVIDER: tuple[Callable[[str], Draw], ...] = (
    provider("HTTP 5xx", *({"status": status} for status in (500, 502, 503, 504))),
    limited,
    provider("HTTP 429", {"status": 429}, ban_ms=MINUTE),
    provider("HTTP 418", {"status": 418}, ban_ms=10 * MINUTE),
    provider("error with HTTP 200", {"error": "EService:Unavailable"}),
    provider("HTML", {"status": 403, "body": HTML}, {"body": HTML}),
    provider("no JSON", *({"body": body} for body in (b"", b"{", b"null", b"{}", b"nonsense", b"\xff"))),
    provider("empty list", {"body": b"[]"}, lies=True),
    provider("truncated", {"cut": True}),
    provider("reset", {"reset": True}),
    late,
    provider("slow", {"delay_s": 0.03}),
    provider("absurd price", *({"price": price} for price in ABSURD)),
    provider("duplicated", {"rows": doubled}),
    provider("shuffled", {"rows": shuffled}),
    provider("short list", {"rows": shortened}, lies=True),
    frozen,
    inexact,
    inexact,
    inexact,
    provider("wrong Date", *({"skew_ms": each} for each in (HOUR, -HOUR, DAY, -DAY))),
)
LIES = provider(
    "lie",
    *({"factor": each} for each in (0.5, 0.9, 1.05, 1.2, 3.0, 40.0)),
    {"price": 999_999.0},
    {"price": 1e-3},
    lies=True,
)
NETWORK: tuple[Draw, ...] = (
    everybody("no network", {"reset": True}),
    everybody("no candles", {"status": 503}, CANDLES),
    everybody("no candles", {"status": 503}, CANDLES),
    everybody("no prices", {"status": 503}, PRICES),
)


def _shown(value: Any) -> str:
    return getattr(value, "__name__", None) or repr(value)[:40]
