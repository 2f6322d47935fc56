"""Cycles of `collect`, as one line for people or one JSON object for programs."""

from collections.abc import Iterator, Mapping

from btcts.domain.codes import RepairCode
from btcts.domain.layout import Market
from btcts.domain.model import StreamState, find_median
from btcts.render.documents import begin_document, dump_document, encode_streams, encode_waiting
from btcts.render.figures import counted, decimals, iso, lag, percent, price, to_datetime
from btcts.render.sentences import FAULTS_SHOWN, describe_repair, find_code, group_reasons, list_reasons
from btcts.services.collect.cycle import Cycle
from btcts.system.foreign import plain


def cycle_line(cycle: Cycle, market: Market, *, utc: bool, verbose: bool = False) -> str:
    """Describe the cycle on one line, whatever providers put in their messages; times are local, or UTC with a Z.

    A failure that three or more providers share is stated once, and many repairs are counted, unless `verbose`.
    """
    return plain("  ".join(_list_parts(cycle, market, utc=utc, verbose=verbose)))


def _list_parts(cycle: Cycle, market: Market, *, utc: bool, verbose: bool) -> Iterator[str]:
    yield _format_clock(cycle.time_ms, cycle.time_ms, utc=utc)
    if agreed := cycle.stored or cycle.spooled:
        yield from _describe_price(cycle, price(agreed.price, decimals(agreed.price, market)), verbose=verbose)
        if cycle.problem:
            yield ("waits in the spool: " if cycle.spooled else "problem: ") + cycle.problem
    else:
        yield _explain_no_price(cycle, verbose=verbose)
    if cycle.waiting:
        spells = (
            f"{provider} until {_format_clock(until_ms, cycle.time_ms, utc=utc)}" + (f" ({why})" if why else "")
            for provider, until_ms, why in cycle.waiting
        )
        yield "waiting: " + ", ".join(spells)
    yield from (f"{words} {count}" for words, count in _list_counts(cycle) if count)
    if cycle.repaired:
        shown = len(cycle.repaired) if verbose else FAULTS_SHOWN
        repairs = [describe_repair(repair) for repair in cycle.repaired[:shown]]
        more = len(cycle.repaired) - len(repairs)
        yield "repaired: " + ", ".join(repairs) + (f" and {more} more" if more else "")
    if cycle.others:
        yield f"adds prices and settles minutes but changes none, as other collectors ask {' '.join(cycle.others)}"
    if cycle.streams:
        yield _describe_streams(cycle.streams, verbose=verbose)
    yield f"({cycle.took_ms} ms)"


def _describe_streams(streams: Mapping[str, StreamState], *, verbose: bool) -> str:
    """Count the whole streams, with their median lag, and name the others; with `verbose` describe each."""
    if verbose:
        return "streams: " + ", ".join(f"{name} {_describe_stream(stream)}" for name, stream in streams.items())
    lacking = [name for name, stream in streams.items() if stream.whole_since_ms is None]
    lags = [stream.lag_ms for stream in streams.values() if stream.lag_ms is not None and stream.whole_since_ms]
    whole = f"{len(streams) - len(lacking)} of " if lacking else ""
    behind = f" {lag(find_median(lags))} behind" if lags else ""
    others = f", not whole: {' '.join(lacking)}" if lacking else ""
    return f"{whole}{counted(len(streams), 'stream')}{behind}{others}"


def _describe_stream(stream: StreamState) -> str:
    if stream.whole_since_ms is None:
        return f"({stream.problem or 'not whole'})"
    return "whole" if stream.lag_ms is None else lag(stream.lag_ms)


def _list_counts(cycle: Cycle) -> tuple[tuple[str, int], ...]:
    return (
        ("from the spool", cycle.unspooled),
        ("damaged lines dropped from the spool", cycle.torn),
        ("settled", cycle.settled),
        ("corrected", cycle.corrected),
        ("reopened", cycle.reopened),
        ("resting on few providers", cycle.thin),
        ("unsettled", cycle.unsettled),
    )


def _describe_price(cycle: Cycle, agreed: str, *, verbose: bool) -> Iterator[str]:
    yield agreed
    yield f"{cycle.flag or f'{len(cycle.members)} agree'}: " + " ".join(cycle.members)
    if cycle.deviating:
        yield "deviating: " + ", ".join(f"{provider} {percent(share)}" for provider, share in cycle.deviating)
    if cycle.refused:
        yield "refused: " + list_reasons(dict(cycle.refused), verbose=verbose)


def _explain_no_price(cycle: Cycle, *, verbose: bool) -> str:
    if cycle.idle:
        return "no provider is due"
    head = f"no price: {cycle.problem}" if cycle.problem else "no price"
    reasons = group_reasons(dict(cycle.refused), verbose=verbose)
    return "; ".join([head, *(f"{providers}: {why}" for providers, why in reasons.items())])


def _format_clock(time_ms: int, now_ms: int, *, utc: bool) -> str:
    """Format the time of day, with the date in front when it differs from that of `now_ms`."""
    then, now = to_datetime(time_ms, utc=utc), to_datetime(now_ms, utc=utc)
    form = "%H:%M:%S" if then.date() == now.date() else "%Y-%m-%d %H:%M:%S"
    return then.strftime(form) + ("Z" if utc else "")


def cycle_json(cycle: Cycle, market: Market) -> str:
    """Encode the cycle as one object on one line; the price is in `stored` or `spooled`, or both are null."""
    return dump_document(
        begin_document(market)
        | {
            "time_ms": cycle.time_ms,
            "time": iso(cycle.time_ms),
            "stored": cycle.stored and cycle.stored._asdict(),
            "spooled": cycle.spooled and cycle.spooled._asdict(),
            "members": cycle.members,
            "flag": cycle.flag,
            "deviating": [{"provider": provider, "deviation": share} for provider, share in cycle.deviating],
            "refused": [
                {"provider": provider, "code": find_code(why), "reason": why} for provider, why in cycle.refused
            ],
            "waiting": encode_waiting(cycle.waiting),
            "settled": cycle.settled,
            "corrected": cycle.corrected,
            "reopened": cycle.reopened,
            "unsettled": cycle.unsettled,
            "thin": cycle.thin,
            "repaired": [describe_repair(repair) for repair in cycle.repaired],
            "repaired_codes": [repair if isinstance(repair, RepairCode) else repair.code for repair in cycle.repaired],
            "unspooled": cycle.unspooled,
            "torn": cycle.torn,
            "others": cycle.others,
            "problem": cycle.problem,
            "problem_codes": cycle.problem_codes,
            "took_ms": cycle.took_ms,
            "streams": encode_streams(cycle.streams),
        }
    )
