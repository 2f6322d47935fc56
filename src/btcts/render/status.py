"""The status of a store: a page of plain text for people, and JSON as `docs/schemas/status.json` says for programs.

`serve` answers with its health alone, as `docs/schemas/health.json` says.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from btcts.domain.codes import ProblemCode, ReasonCode, Remark, WarningCode
from btcts.domain.layout import Market
from btcts.domain.model import ProviderState, StreamState
from btcts.render.columns import GAP, Column
from btcts.render.documents import begin_document, dump_document, encode_streams
from btcts.render.figures import counted, decimals, duration, lag, price, signed, stamp
from btcts.render.sentences import (
    FAULTS_SHOWN,
    describe_lag,
    describe_problem,
    describe_remarks,
    find_code,
    group_reasons,
)
from btcts.services.status import Completeness, Status
from btcts.store.facts import PARAMETERS

UNKNOWN = "unknown"
KIBIBYTE = 1024

NARROW = 80
"""Columns that the table of the streams needs for all that it tells."""


def status_lines(
    status: Status, market: Market, *, utc: bool, width: int | None, verbose: bool = False
) -> Iterator[str]:
    """Describe the status on a page; below `NARROW` columns, the table of the streams is shorter (None: any width).

    A failure that three or more providers share is stated once, and many faults are counted, unless `verbose`.
    """
    verdict = [f"unhealthy: {text}" for text in _describe_reasons(status.reasons, verbose=verbose)]
    verdict += [f"warning: {text}" for text in _describe_warnings(status, verbose=verbose)]
    facts = _align_rows(_list_facts(status, market))
    providers = _list_providers(status) if status.state.providers else []
    streams = _list_streams(status, short=width is not None and width < NARROW) if status.streams else []
    simulated = " (simulated)" if status.state.simulated else ""
    yield f"{market.name}{simulated} {'healthy' if status.healthy else 'unhealthy'}, {stamp(status.now_ms, utc=utc)}"
    for block in (verdict, facts, _list_completeness(status), providers, streams):
        if block:
            yield ""
            yield from block


def status_json(status: Status, market: Market) -> str:
    """Encode the status as one object on one line."""
    document = begin_document(market) | _encode_health(status) | _encode_prices(status)
    return dump_document(document | _encode_store(status))


def health_json(market: Market, reasons: Sequence[Remark]) -> str:
    """Encode the reasons why a store is unhealthy; none where it is healthy."""
    return dump_document(begin_document(market) | _encode_reasons(reasons))


def away_json(market: Market, problem: str) -> str:
    """Encode that Redis does not answer."""
    reason = {"healthy": False, "reasons": [problem], "reason_codes": [ProblemCode.REDIS]}
    return dump_document(begin_document(market) | reason)


def _describe_reasons(reasons: Sequence[Remark], *, verbose: bool) -> Iterator[str]:
    faults = [reason for reason in reasons if reason.code == ReasonCode.LAYOUT_DIFFERS]
    more = [] if verbose else faults[FAULTS_SHOWN:]
    yield from describe_remarks([reason for reason in reasons if reason not in more])
    if more:
        yield f"{len(more)} more faults of keys and rules; --verbose names them"


def _describe_warnings(status: Status, *, verbose: bool) -> Iterator[str]:
    failed = [warning for warning in status.warnings if warning.code == WarningCode.PROVIDER_FAILED]
    names = [str(warning.values["provider"]) for warning in failed]
    reasons = {name: status.state.providers[name].problem for name in names}
    yield from describe_remarks([warning for warning in status.warnings if warning not in failed])
    yield from (f"{providers}: {why}" for providers, why in group_reasons(reasons, verbose=verbose).items())


def _list_facts(status: Status, market: Market) -> Iterator[tuple[str, str]]:
    facts = status.facts
    yield "Price", _describe_price(status, market)
    yield "Cycle", _describe_cycle(status)
    yield "Redis", f"{facts.redis_version or UNKNOWN} with TimeSeries {facts.module_version or UNKNOWN}, {status.where}"
    limit = f" (limit {_format_size(facts.max_bytes)})" if facts.max_bytes else ""
    yield "Memory", f"{_format_size(facts.own_bytes)} by btcts of {_format_size(facts.used_bytes)} in use{limit}"
    yield "Data", ", ".join(f"{name} {_format_setting(status, name)}" for name in PARAMETERS)
    if facts.lag:
        yield "Replica", describe_lag(facts.lag)
    yield "Clock", _describe_clock(status)
    if status.spooled is not None:
        yield "Spool", f"{counted(status.spooled, 'price')} waiting for Redis"


def _describe_price(status: Status, market: Market) -> str:
    if status.newest is None or status.age_s is None:
        return "none"
    value, age, limit = status.newest.price, duration(status.age_s), duration(status.max_age_s)
    return f"{price(value, decimals(value, market))}, {age} old (limit {limit})"


def _describe_cycle(status: Status) -> str:
    state = status.state
    if state.last_cycle_ms is None:
        return "never"
    every = f", every {state.cadence_s:g} s" if state.cadence_s else ""
    return f"{_format_age(status, state.last_cycle_ms)}{every} (limit {duration(status.max_silence_s)})"


def _describe_clock(status: Status) -> str:
    """Describe the offset of the other clocks from the Redis server's; a Date header has whole seconds."""
    ahead_ms = status.state.ahead_ms
    providers = "" if ahead_ms is None else f", the providers {signed(ahead_ms / 1000, 0)} s"
    return f"this machine {signed(status.facts.ahead_ms / 1000, 3)} s{providers} from the Redis server"


def _format_age(status: Status, time_ms: int | None) -> str:
    return "never" if time_ms is None else f"{duration(max(0, status.now_ms - time_ms) / 1000)} ago"


def _format_size(count: int | None) -> str:
    return UNKNOWN if count is None else f"{count / KIBIBYTE:,.0f} KiB"


def _format_setting(status: Status, name: str) -> str:
    """Format the setting as Redis spells it; an empty `save` means that there are no snapshots."""
    return status.facts.parameters.get(name, UNKNOWN) or "off"


def _list_completeness(status: Status) -> list[str]:
    counts = [*status.completeness.values(), status.minutes]
    return _format_table(
        Column.plain("Closed slots", [*status.completeness, "all minutes"], words=True),
        Column.plain("Present", (str(count.present) for count in counts)),
        Column.plain("Settled", (str(count.settled) for count in counts)),
        Column.plain("Expected", (str(count.expected) for count in counts)),
        Column.plain("Gaps", (_describe_gaps(count) for count in counts), words=True),
    )


def _describe_gaps(completeness: Completeness) -> str:
    known = ", ".join(f"{reason} {count}" for reason, count in completeness.gaps.items())
    return known or ("none" if completeness.settled == completeness.expected else "not asked for yet")


def _list_providers(status: Status) -> list[str]:
    known = dict(sorted(status.state.providers.items()))
    return _format_table(
        Column.plain("Provider", known, words=True),
        Column.plain("Last answer", (_format_age(status, provider.answered_ms) for provider in known.values())),
        Column.plain("State", (_describe_provider(provider, status.now_ms) for provider in known.values()), words=True),
    )


def _list_streams(status: Status, *, short: bool) -> list[str]:
    known = dict(sorted(status.streams.items()))
    streams = known.values()
    counts = (
        Column.plain("Reconnects", (str(stream.reconnects) for stream in streams)),
        Column.plain("Corrected", (f"{stream.corrected} of {stream.compared}" for stream in streams)),
    )
    return _format_table(
        Column.plain("Stream", known, words=True),
        Column.plain("Whole for", (_format_whole(stream, status.now_ms) for stream in streams)),
        Column.plain("Lag", ("-" if stream.lag_ms is None else lag(stream.lag_ms) for stream in streams)),
        Column.plain("Last gap", (_format_age(status, stream.gap_ms) for stream in streams)),
        *(() if short else counts),
        Column.plain("Prices by", map(_describe_stream, streams), words=True),
    )


def _format_whole(stream: StreamState, now_ms: int) -> str:
    since_ms = stream.whole_since_ms
    return "-" if since_ms is None else duration(max(0, now_ms - since_ms) / 1000)


def _describe_stream(stream: StreamState) -> str:
    if stream.whole_since_ms is not None:
        return "stream"
    return f"polls: {stream.problem}" if stream.problem else "polls"


def _describe_provider(known: ProviderState, now_ms: int) -> str:
    """Describe the state of a provider; its error is among the warnings."""
    parts = [_describe_answers(known)]
    if known.not_before_ms > now_ms:
        why = f" ({known.why})" if known.why and known.why != known.error else ""
        parts.append(f"waits {duration((known.not_before_ms - now_ms) / 1000)} more{why}")
    if known.credits_left is not None:
        parts.append(f"{known.credits_left:,} credits left")
    return ", ".join(parts)


def _describe_answers(known: ProviderState) -> str:
    """Tell whether the provider answers; one that failed may have served its price but not its candles."""
    if known.answered_ms is None:
        return "fails" if known.error else "not asked yet"
    if not known.error:
        return "answers"
    return "answers in part" if known.answers else "fails"


def _align_rows(pairs: Iterable[tuple[str, str]]) -> list[str]:
    names, texts = zip(*pairs, strict=True)
    column = Column.plain("", names, words=True)
    return [column.align(name) + GAP + text for name, text in zip(names, texts, strict=True)]


def _format_table(*columns: Column) -> list[str]:
    rows = [[column.heading for column in columns]]
    rows += [[cell.text for cell in cells] for cells in zip(*(column.cells for column in columns), strict=True)]
    return [GAP.join(column.align(text) for column, text in zip(columns, row, strict=True)).rstrip() for row in rows]


def _encode_health(status: Status) -> dict[str, Any]:
    return {
        "simulated": bool(status.state.simulated),
        "generated_ms": status.now_ms,
        **_encode_reasons(status.reasons),
        "warnings": [*describe_remarks(status.warnings)],
        "warning_codes": [warning.code for warning in status.warnings],
    }


def _encode_reasons(reasons: Sequence[Remark]) -> dict[str, Any]:
    return {
        "healthy": not reasons,
        "reasons": [*describe_remarks(reasons)],
        "reason_codes": [reason.code for reason in reasons],
    }


def _encode_prices(status: Status) -> dict[str, Any]:
    newest, state = status.newest, status.state
    return {
        "newest_ms": newest and newest.time_ms,
        "price": newest and newest.price,
        "age_s": status.age_s,
        "max_age_s": status.max_age_s,
        "last_cycle_ms": state.last_cycle_ms,
        "cadence_s": state.cadence_s,
        "max_silence_s": status.max_silence_s,
        "problem": state.problem,
        "providers_ahead_ms": state.ahead_ms,
        "spooled": status.spooled,
        "resolutions": {name: _encode_completeness(completeness) for name, completeness in status.completeness.items()},
        "minutes": _encode_completeness(status.minutes),
        "thin_minutes": status.thin.minutes,
        "members": state.members,
        "flag": state.flag,
        "deviating": [{"provider": name, "deviation": ratio} for name, ratio in sorted(state.deviating.items())],
        "providers": {name: _encode_provider(provider) for name, provider in state.providers.items()},
        "streams": encode_streams(status.streams),
    }


def _encode_completeness(counts: Completeness) -> dict[str, Any]:
    return {"expected": counts.expected, "present": counts.present, "settled": counts.settled, "gaps": counts.gaps}


def _encode_provider(known: ProviderState) -> dict[str, Any]:
    """Encode the state of a provider, without anything that identifies the API key."""
    return {
        "answered_ms": known.answered_ms,
        "error": known.error or None,
        "error_code": find_code(known.problem) if known.error else None,
        "not_before_ms": known.not_before_ms or None,
        "why": known.why or None,
        "credits_left": known.credits_left,
    }


def _encode_store(status: Status) -> dict[str, Any]:
    facts, inspection = status.facts, status.inspection
    return {
        "faults": [
            {"key": fault.key, "code": fault.code, "problem": describe_problem(fault.code, fault.values)}
            for fault in inspection.faults
        ],
        "foreign": inspection.foreign,
        "poisoned": inspection.poisoned,
        "redis": {
            "where": status.where,
            "version": facts.redis_version,
            "timeseries": facts.module_version,
            "database": facts.database,
            "used_bytes": facts.used_bytes,
            "max_bytes": facts.max_bytes,
            "own_bytes": facts.own_bytes,
            "clock_ahead_ms": facts.ahead_ms,
            "replica": facts.lag and facts.lag._asdict(),
            **{name.replace("-", "_"): facts.parameters.get(name) for name in PARAMETERS},
        },
    }
