"""What collectors tell each other in the state hash: the cadence, the last cycle, and each provider's state."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from btcts.model import ProviderState, Tick
from btcts.store.link import Link

PROVIDER_PREFIX = "provider:"


@dataclass(frozen=True)
class State:
    """The shared memory of all collectors of one Redis.

    `cadence_s` is the interval of the last collector, `pending` a price that waits for confirmation, `simulated`
    whether the prices are made up (None: no collector has said yet).
    """

    cadence_s: float | None = None
    last_cycle_ms: int | None = None
    pending: Tick | None = None
    simulated: bool | None = None
    providers: Mapping[str, ProviderState] = field(default_factory=dict)


def read(link: Link) -> State:
    """The state as stored."""
    return parse(link.ask("HGETALL", link.layout.state))


def parse(fields: Mapping[str, str]) -> State:
    """The state from the fields of the hash; a field that cannot be read counts as absent."""
    pending = _number_list(fields.get("pending"))
    cadence = _number_list(fields.get("cadence_s"))
    last_cycle = _number_list(fields.get("last_cycle_ms"))
    simulated = fields.get("simulated")
    return State(
        cadence_s=cadence[0] if cadence else None,
        last_cycle_ms=int(last_cycle[0]) if last_cycle else None,
        pending=Tick(int(pending[0]), pending[1]) if len(pending) == 2 else None,
        simulated=None if simulated is None else simulated == "1",
        providers={
            name.removeprefix(PROVIDER_PREFIX): _provider(text)
            for name, text in fields.items()
            if name.startswith(PROVIDER_PREFIX)
        },
    )


def write(link: Link, state: State) -> None:
    """Store all that is set in `state`; fields that other collectors use alone stay."""
    fields: dict[str, str] = {
        PROVIDER_PREFIX + name: json.dumps(asdict(each)) for name, each in state.providers.items()
    }
    if state.cadence_s is not None:
        fields["cadence_s"] = json.dumps(state.cadence_s)
    if state.last_cycle_ms is not None:
        fields["last_cycle_ms"] = json.dumps(state.last_cycle_ms)
    if state.simulated is not None:
        fields["simulated"] = "1" if state.simulated else "0"
    fields["pending"] = json.dumps(state.pending or ())
    flat = [part for item in fields.items() for part in item]
    link.ask("HSET", link.layout.state, *flat)


def _provider(text: str) -> ProviderState:
    try:
        return ProviderState(**json.loads(text))
    except (ValueError, TypeError):
        return ProviderState()


def _number_list(text: str | None) -> list[float]:
    """The number, or the numbers of the list, that `text` spells; empty where it spells something else."""
    try:
        value = json.loads(text or "null")
    except ValueError:
        return []
    values = value if isinstance(value, list) else [value]
    return values if all(isinstance(each, int | float) for each in values) else []
