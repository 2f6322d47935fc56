"""The collectors' shared state in a hash: the cadence, the last cycle, and each provider's state.

Anybody may have written it: a field that breaks the type or bounds of its reader (`_make_readers`) counts as absent.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import lru_cache, partial
from itertools import chain
from typing import Any

from btcts.domain.model import DAY_MS, LONGEST_WAIT_MS, PRICE_CEILING, Lean, Pending, ProviderState, StreamState, Tick
from btcts.domain.untrusted import (
    END_MS,
    GENESIS_MS,
    MOST_NAMES,
    Reader,
    Unreadable,
    clean,
    excerpt,
    parse_json,
    read_choice,
    read_fields,
    read_flag,
    read_float,
    read_int,
    read_list,
    read_map,
    read_name,
    read_names,
    read_optional,
    read_text,
    read_tick,
)
from btcts.store.link import Link

PROVIDER_PREFIX = "provider:"

CLEARED = ("pending", "problem", "members", "flag", "deviating", "lean", "candleless")
"""The fields that are stored also when there is nothing to say; None in any other one means "as it was"."""

EXACT_FIELD = "exact_since_ms"
"""The field that only appends and rebuilds write."""

FLAGS = ("single", "disputed")
"""The faults of an agreed price: only one provider answered, or no majority agreed."""

MOST_REMEMBERED = 64
"""Fields that are kept as parsed: more than there are, and most of them stay the same from read to read."""

MIN_AGE_S = 150.0
"""The newest price is never called stale before it is so old, however short the collector's cadence is."""

MIN_SILENCE_S = 20.0
"""Shortest silence that counts as a missing collector: a cycle of a little over 5 s also misses its next beat."""


@dataclass(frozen=True)
class State:
    """The shared memory of all collectors of one Redis.

    `cadence_s` is the interval of the last collector, `spacing_s` that of its prices where a budget makes them rarer
    (else 0), `problem` why its last cycle stored no price (None: it did, or none was due), `members` the providers that
    agreed on the last price, `flag` and `deviating` what was wrong with that. `pending` is a price that waits for
    confirmation, `accepted` the last live one that was not doubted, `anchor` the last that a majority agreed on, `lean`
    a stretch in which few were heard.
    `configured` are the providers that collectors ask, with the reach of their candles in ms, as of `configured_ms`;
    `candleless` says of those whose candles fail since when (ms). `streams` are those of the
    last collector that has any, as of `streams_ms`.
    `simulated` says whether the prices are made up (None: no collector has said yet), `ahead_ms` how far the
    providers' clocks were ahead of the Redis server's, `reread_ms` the first minute that is to be read again. Every
    minute from `exact_since_ms` to that of the newest tick is settled or within its bounds (None: the newest is not).
    """

    cadence_s: float | None = None
    spacing_s: float | None = None
    last_cycle_ms: int | None = None
    problem: str | None = None
    pending: Pending | None = None
    members: tuple[str, ...] = ()
    flag: str | None = None
    deviating: Mapping[str, float] = field(default_factory=dict)
    accepted: Tick | None = None
    anchor: Tick | None = None
    lean: Lean | None = None
    configured: Mapping[str, int] | None = None
    configured_ms: int | None = None
    candleless: Mapping[str, int] = field(default_factory=dict)
    streams: Mapping[str, StreamState] | None = None
    streams_ms: int | None = None
    simulated: bool | None = None
    ahead_ms: int | None = None
    reread_ms: int | None = None
    exact_since_ms: int | None = None
    providers: Mapping[str, ProviderState] = field(default_factory=dict)

    @property
    def max_age_s(self) -> float:
        """The age beyond which a price is stale: three times the cadence of the last collector, at least 150 s."""
        return max(MIN_AGE_S, 3 * max(self.cadence_s or 0, self.spacing_s or 0))

    @property
    def max_silence_s(self) -> float:
        """The silence after which collectors count as missing: two of their cadences, at least 20 s."""
        return max(MIN_SILENCE_S, 2 * (self.cadence_s or 0))

    def find_streams(self, now_ms: int) -> Mapping[str, StreamState]:
        """Return the streams that a collector has reported lately; none if its report is old."""
        recent = self.streams_ms is not None and abs(now_ms - self.streams_ms) <= 1000 * self.max_age_s
        return self.streams if recent and self.streams else {}


@lru_cache(maxsize=2)
def _make_readers(until_ms: int) -> dict[str, Reader]:
    """Return the reader of each field of `State` in the hash."""
    past = partial(read_int, least=GENESIS_MS, most=until_ms)
    seconds = partial(read_float, least=0, most=86_400)
    return {
        "cadence_s": seconds,
        "spacing_s": seconds,
        "last_cycle_ms": past,
        "problem": partial(read_optional, read=read_text),
        "pending": partial(read_optional, read=partial(_read_pending, until_ms=until_ms)),
        "members": read_names,
        "flag": partial(read_optional, read=partial(read_choice, choices=FLAGS)),
        "deviating": partial(read_map, read=partial(read_float, least=-1, most=PRICE_CEILING)),
        "accepted": partial(read_tick, until_ms=until_ms),
        "anchor": partial(read_tick, until_ms=until_ms),
        "lean": partial(read_optional, read=partial(_read_lean, until_ms=until_ms)),
        "configured": partial(read_map, read=read_int),
        "configured_ms": past,
        "candleless": partial(read_map, read=past),
        "streams": partial(read_map, read=partial(_read_stream, until_ms=until_ms)),
        "streams_ms": past,
        "simulated": read_flag,
        "ahead_ms": partial(read_int, least=-END_MS),
        "reread_ms": past,
        EXACT_FIELD: past,
    }


def _read_pending(value: Any, until_ms: int) -> Pending:
    """Read a tick and the number of polls that gave it, which an earlier version did not count."""
    time_ms, price = read_tick(value[:2] if isinstance(value, list) else value, until_ms)
    (polls,) = read_list(value[2:], partial(read_int, least=1, most=1_000_000), most=1) or (1,)
    return Pending(time_ms, price, polls)


def _read_lean(value: Any, until_ms: int) -> Lean:
    if not isinstance(value, list) or len(value) != 3:
        raise Unreadable(f"{excerpt(value)} is not a stretch of time with names")
    since_ms, seen_ms, members = value
    read_ms = partial(read_int, least=GENESIS_MS, most=until_ms)
    return Lean(read_ms(since_ms), read_ms(seen_ms), read_names(members))


def _read_stream(value: Any, until_ms: int) -> StreamState:
    past = partial(read_optional, read=partial(read_int, least=GENESIS_MS, most=until_ms))
    readers: dict[str, Reader] = {
        "whole_since_ms": past,
        "lag_ms": partial(read_optional, read=partial(read_int, least=-END_MS)),
        "gap_ms": past,
        "reconnects": read_int,
        "compared": read_int,
        "corrected": read_int,
        "steady": read_flag,
        "problem": read_text,
        "problem_code": read_text,
    }
    return StreamState(**read_fields(value, readers))


@lru_cache(maxsize=2)
def _make_provider_readers(until_ms: int) -> dict[str, Reader]:
    """Return the reader of each field of a `ProviderState`."""
    return {
        "not_before_ms": read_int,
        "why": read_text,
        "answered_ms": partial(read_optional, read=partial(read_int, most=until_ms)),
        "error": read_text,
        "credits_left": partial(read_optional, read=read_int),
        "key": read_text,
        "said_ms": partial(read_int, most=until_ms),
        "cause": read_text,
        "reason": read_text,
    }


def is_known(name: str) -> bool:
    """Tell whether `State` has the field."""
    return name in _make_readers(0) or name.startswith(PROVIDER_PREFIX)


def parse(fields: Mapping[str, str], now_ms: int) -> State:
    """Parse the state from the fields of the hash; a field that cannot be read counts as absent."""
    return examine(fields, now_ms)[0]


def examine(fields: Mapping[str, str], now_ms: int) -> tuple[State, dict[str, str]]:
    """Parse the state from the fields of the hash; return it and the problem of each unreadable field."""
    known: dict[str, Any] = {}
    providers: dict[str, ProviderState] = {}
    unreadable: dict[str, str] = {}
    until_ms = (now_ms // DAY_MS + 2) * DAY_MS  # a clock that was set back is no damage
    for name, text in fields.items():
        provider = name.removeprefix(PROVIDER_PREFIX)
        try:
            if provider != name:
                providers[read_name(provider)] = ProviderState()
                providers[provider] = _read_provider(text, now_ms, until_ms)
            elif name in _make_readers(until_ms):
                known[name] = _parse_field(name, text, until_ms)
        except Unreadable as exc:
            unreadable[name] = str(exc)
    for provider in _find_surplus(providers):
        del providers[provider]
        unreadable[PROVIDER_PREFIX + provider] = f"it is one of more than {MOST_NAMES} providers"
    return State(**known, providers=providers), unreadable


@lru_cache(maxsize=MOST_REMEMBERED)
def _parse_field(name: str, text: str, until_ms: int) -> Any:
    return _make_readers(until_ms)[name](parse_json(text))


def _read_provider(text: str, now_ms: int, until_ms: int) -> ProviderState:
    known = _parse_provider(text, until_ms)
    bound = {"not_before_ms": partial(read_int, most=now_ms + LONGEST_WAIT_MS)}
    read_fields({"not_before_ms": known.not_before_ms}, bound)
    return known


@lru_cache(maxsize=MOST_NAMES)
def _parse_provider(text: str, until_ms: int) -> ProviderState:
    return ProviderState(**read_fields(parse_json(text), _make_provider_readers(until_ms)))


def _find_surplus(providers: Mapping[str, ProviderState]) -> list[str]:
    """Return the providers beyond the limit, those heard of longest ago."""
    return sorted(providers, key=lambda name: (-providers[name].said_ms, name))[MOST_NAMES:]


def write(link: Link, state: State) -> None:
    """Store everything set in `state`; fields that only other collectors use stay."""
    _set(link, format_fields(state))


def tell(link: Link, providers: Mapping[str, ProviderState], *, simulated: bool | None) -> None:
    """Store the state of these providers, and whether prices are made up, and nothing else."""
    values = _format_providers(providers)
    if simulated is not None:
        values["simulated"] = json.dumps(simulated)
    if values:
        _set(link, values)


def format_fields(state: State) -> dict[str, str]:
    """Format what collectors have set in `state` as it is stored and as `parse` takes it."""
    values = {name: getattr(state, name) for name in _make_readers(0) if name != EXACT_FIELD}
    if state.streams is not None:
        values["streams"] = {provider: _clean_fields(stream._asdict()) for provider, stream in state.streams.items()}
    stored = {name: value for name, value in values.items() if value is not None or name in CLEARED}
    return _format_providers(state.providers) | {name: json.dumps(_clean_text(value)) for name, value in stored.items()}


def _format_providers(providers: Mapping[str, ProviderState]) -> dict[str, str]:
    return {
        PROVIDER_PREFIX + provider: json.dumps(_clean_fields(asdict(known))) for provider, known in providers.items()
    }


def _clean_fields(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _clean_text(value) for name, value in fields.items()}


def _clean_text(value: Any) -> Any:
    return clean(value) if isinstance(value, str) else value


def _set(link: Link, fields: Mapping[str, str]) -> None:
    link.ask("HSET", link.layout.state, *chain.from_iterable(fields.items()))
