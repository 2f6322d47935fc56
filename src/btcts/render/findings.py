"""What `verify` found: a line for each thing that is wrong, or a JSON document as `schemas/verify.json` says."""

import json
from collections.abc import Iterator
from typing import Any

from btcts.auditing import Finding
from btcts.layout import MARKET
from btcts.render.documents import SCHEMA
from btcts.render.times import iso
from btcts.services.verify import Verified

END_OF_CALENDAR_MS = 253_402_300_800_000
"""The year 10 000, beyond which times have no ISO form; a stamp in the wrong unit lies there."""


def verify_text(verified: Verified) -> str:
    """One line for each finding and a last one that sums up; nothing is cut off or rounded."""
    return "\n".join(_lines(verified))


def verify_json(verified: Verified) -> str:
    """The document as `schemas/verify.json` says, on one line."""
    document = {
        "schema": SCHEMA,
        "market": MARKET,
        "generated_ms": verified.now_ms,
        "ticks": verified.ticks,
        "findings": [_finding(each) for each in verified.findings],
        "repaired": verified.repaired,
        "left": [_finding(each) for each in verified.left],
    }
    return json.dumps(document, allow_nan=False)


def _lines(verified: Verified) -> Iterator[str]:
    yield from map(_line, verified.findings)
    count = f"{len(verified.findings)} findings" if len(verified.findings) != 1 else "1 finding"
    if not verified.findings:
        yield f"{verified.where}: all buckets are what {verified.ticks} ticks make, keys and rules match the layout"
    elif not verified.repaired:
        yield f"{count}, nothing was changed; btcts verify --repair puts them right"
    elif not verified.left:
        yield f"{count}, put right"
    else:
        yield f"{count}; left after the repair: {len(verified.left)}"
        yield from map(_line, verified.left)


def _line(finding: Finding) -> str:
    slot = "" if finding.start_ms is None else f" {_start(finding) or 'at'} ({finding.start_ms})"
    values = {"stored": finding.stored, "expected": finding.expected}
    spelt = [f"{name} {value}" for name, value in values.items() if value is not None]
    return f"{finding.key}{slot}: {finding.problem}" + (f" ({', '.join(spelt)})" if spelt else "")


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "key": finding.key,
        "start_ms": finding.start_ms,
        "start": _start(finding),
        "problem": finding.problem,
        "stored": finding.stored,
        "expected": finding.expected,
    }


def _start(finding: Finding) -> str | None:
    """The time that the finding is about, where it has one that can be written."""
    if finding.start_ms is None or finding.start_ms >= END_OF_CALENDAR_MS:
        return None
    return iso(finding.start_ms)
