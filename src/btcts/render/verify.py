"""The findings of `verify`: one per line, or a JSON document as `docs/schemas/verify.json` says."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from btcts.domain.layout import Market
from btcts.render.documents import begin_document, dump_document
from btcts.render.figures import counted, known_iso
from btcts.render.sentences import describe_problem, find_code, group_reasons
from btcts.services.verify.buckets import Finding
from btcts.services.verify.run import Heard, Verified
from btcts.services.verify.upstream import Comparison


def verify_lines(verified: Verified, *, verbose: bool = False) -> Iterator[str]:
    """List the findings, a summary and the comparison with the providers; nothing is truncated or rounded.

    Doubts are counted, and listed too when `verbose`.
    """
    yield from _list_findings(verified)
    if verified.heard and verified.comparison:
        yield from _describe_comparison(verified.heard, verified.comparison, verbose=verbose)


def verify_json(verified: Verified, market: Market) -> str:
    """Encode the findings on one line, as `docs/schemas/verify.json` says."""
    document = begin_document(market) | {
        "generated_ms": verified.now_ms,
        "ticks": verified.ticks,
        "findings": [_encode_finding(finding) for finding in verified.findings],
        "repaired": verified.repaired,
        "left": [_encode_finding(finding) for finding in verified.left],
        "upstream": _encode_upstream(verified.heard, verified.comparison) if verified.heard else None,
    }
    return dump_document(document)


def _list_findings(verified: Verified) -> Iterator[str]:
    yield from map(_format_finding, verified.findings)
    count = counted(len(verified.findings), "finding")
    if not verified.findings:
        yield f"{verified.where}: all buckets agree with {verified.ticks} ticks, keys and rules match the layout"
    elif not verified.repaired:
        upstream = " --upstream" if verified.comparison else ""
        yield f"{count}, nothing was changed; to repair: btcts verify{upstream} --repair"
    elif not verified.left:
        yield f"{count}, repaired"
    else:
        yield f"{count}; left after the repair: {len(verified.left)}"
        yield from map(_format_finding, verified.left)


def _describe_comparison(heard: Heard, comparison: Comparison, *, verbose: bool) -> Iterator[str]:
    """Describe the comparison with the providers: its extent, its result, and the minutes left out."""
    answered = [witness for witness in heard.witnesses if witness.silence is None]
    names, requests = ", ".join(witness.provider for witness in answered), sum(witness.requests for witness in answered)
    damaged = _count_minutes(comparison.findings) or "none"
    compared = counted(comparison.compared, "settled minute")
    yield f"compared {compared} with {names} in {counted(requests, 'request')}; damaged: {damaged}"
    silences = {witness.provider: witness.silence for witness in heard.witnesses if witness.silence}
    for providers, why in group_reasons(silences, verbose=verbose).items():
        yield f"without {providers}: {why}"
    hint = "" if verbose else "; -v names them"
    notes = {
        "settled by providers that do not answer now": comparison.partial,
        f"in doubt: damaged, or settled by providers that do not answer now{hint}": _count_minutes(comparison.doubts),
        "left out: collectors may still correct them": comparison.recent,
        "left out: the providers agree on no candle": comparison.untold,
        "not settled although there are candles; btcts collect --once settles them": comparison.unsettled,
    }
    yield from (f"{counted(count, 'minute')} {note}" for note, count in notes.items() if count)
    yield from map(_format_finding, comparison.doubts if verbose else ())


def explain_no_comparison(heard: Heard, *, verbose: bool) -> str:
    """Explain why nothing was compared with the providers."""
    silences = {witness.provider: witness.silence or "" for witness in heard.witnesses}
    reasons = group_reasons(silences, verbose=verbose)
    if heard.skew_ms is not None or len(reasons) == len(silences):
        return f"compared nothing upstream: {heard.problem}"
    said = (f"{providers}: {why}" for providers, why in reasons.items())
    return f"compared nothing upstream: {'; '.join(['no provider answered', *said])}"


def _count_minutes(findings: Sequence[Finding]) -> int:
    return len({finding.start_ms for finding in findings})


def _format_finding(finding: Finding) -> str:
    slot = "" if finding.start_ms is None else f" {known_iso(finding.start_ms) or 'at'} ({finding.start_ms})"
    values = {"stored": finding.stored, "expected": finding.expected}
    spelt = [f"{name} {value}" for name, value in values.items() if value is not None]
    return f"{finding.key}{slot}: {_describe(finding)}" + (f" ({', '.join(spelt)})" if spelt else "")


def _describe(finding: Finding) -> str:
    return describe_problem(finding.code, {**finding.values, "field": finding.field})


def _encode_finding(finding: Finding) -> dict[str, Any]:
    return {
        "key": finding.key,
        "start_ms": finding.start_ms,
        "start": known_iso(finding.start_ms),
        "field": finding.field,
        "code": finding.code,
        "problem": _describe(finding),
        "stored": finding.stored,
        "expected": finding.expected,
    }


def _encode_upstream(heard: Heard, comparison: Comparison | None) -> dict[str, Any]:
    """Encode the providers asked and the counts of the comparison: zeros, where there was a problem."""
    return {
        "problem": heard.problem,
        "problem_code": heard.problem and heard.problem.cause,
        "providers": [
            asdict(witness) | {"silence_code": witness.silence and find_code(witness.silence)}
            for witness in heard.witnesses
        ],
        **{name: getattr(comparison, name, 0) for name in ("compared", "partial", "recent", "untold", "unsettled")},
        "doubts": [_encode_finding(finding) for finding in comparison.doubts] if comparison else [],
    }
