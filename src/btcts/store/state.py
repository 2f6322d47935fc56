"""What collectors tell each other in the state hash: the cadence, the last cycle, and each provider's state."""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from itertools import chain
from typing import Any, TypeVar

from btcts.model import ProviderState, Tick
from btcts.store.link import Link

PROVIDER_PREFIX = "provider:"

KEPT = ("cadence_s", "spacing_s", "last_cycle_ms", "simulated", "ahead_ms", "reread_ms")
"""The fields of which None means "as it was"."""

MIN_AGE_S = 150.0
"""The newest price is never called stale before it is so old, however short the collector's cadence is."""

T = TypeVar("T")


@dataclass(frozen=True)
class State:
    """The shared memory of all collectors of one Redis.

    `cadence_s` is the interval of the last collector, `spacing_s` that of its prices where a budget makes them rarer
    (else 0), `problem` why its last cycle stored no price (None: it did, or none was due), `members` the providers that
    agreed on the last price, `pending` a price that waits for confirmation, `simulated` whether the prices are made up
    (None: no collector has said yet). `ahead_ms` is how far the providers' clocks were ahead of the Redis server's,
    `reread_ms` the first minute that was not looked at a second time.
    """

    cadence_s: float | None = None
    spacing_s: float | None = None
    last_cycle_ms: int | None = None
    problem: str | None = None
    pending: Tick | None = None
    members: tuple[str, ...] = ()
    simulated: bool | None = None
    ahead_ms: int | None = None
    reread_ms: int | None = None
    providers: Mapping[str, ProviderState] = field(default_factory=dict)

    @property
    def max_age_s(self) -> float:
        """The age beyond which a price is stale: three times the cadence of the last collector, at least 150 s."""
        return max(MIN_AGE_S, 3 * max(self.cadence_s or 0, self.spacing_s or 0))


def read(link: Link) -> State:
    """The state as stored."""
    return parse(link.ask("HGETALL", link.layout.state))


def parse(fields: Mapping[str, str]) -> State:
    """The state from the fields of the hash; a field that cannot be read counts as absent."""
    return State(
        cadence_s=_value(fields, "cadence_s", float),
        spacing_s=_value(fields, "spacing_s", float),
        last_cycle_ms=_value(fields, "last_cycle_ms", int),
        problem=_value(fields, "problem", lambda text: None if text is None else str(text)),
        pending=_value(fields, "pending", lambda pair: Tick(int(pair[0]), float(pair[1]))),
        members=_value(fields, "members", lambda names: tuple(map(str, names))) or (),
        simulated=_value(fields, "simulated", bool),
        ahead_ms=_value(fields, "ahead_ms", int),
        reread_ms=_value(fields, "reread_ms", int),
        providers={
            name.removeprefix(PROVIDER_PREFIX): _value(fields, name, lambda known: ProviderState(**known))
            or ProviderState()
            for name in fields
            if name.startswith(PROVIDER_PREFIX)
        },
    )


def write(link: Link, state: State) -> None:
    """Store all that is set in `state`; fields that other collectors use alone stay."""
    _set(link, fields_of(state))


def tell(link: Link, providers: Mapping[str, ProviderState], *, simulated: bool | None) -> None:
    """Store the state of these providers, and whether prices are made up, and nothing else."""
    values = _of_providers(providers)
    if simulated is not None:
        values["simulated"] = json.dumps(simulated)
    if values:
        _set(link, values)


def fields_of(state: State) -> dict[str, str]:
    """All that is set in `state`, as it is stored and as `parse` takes it."""
    values: dict[str, Any] = {}
    for name in KEPT:
        if (value := getattr(state, name)) is not None:
            values[name] = value
    if state.members:
        values["members"] = state.members
    values |= {"pending": state.pending, "problem": state.problem}
    return _of_providers(state.providers) | {name: json.dumps(value) for name, value in values.items()}


def _of_providers(providers: Mapping[str, ProviderState]) -> dict[str, str]:
    return {PROVIDER_PREFIX + name: json.dumps(asdict(each)) for name, each in providers.items()}


def _set(link: Link, fields: Mapping[str, str]) -> None:
    link.ask("HSET", link.layout.state, *chain.from_iterable(fields.items()))


def _value(fields: Mapping[str, str], name: str, convert: Callable[[Any], T]) -> T | None:
    try:
        return convert(json.loads(fields[name]))
    except (LookupError, ValueError, TypeError, OverflowError):
        return None
