"""The outcome of `copy`: lines for people, or JSON as `docs/schemas/copy.json` says."""

from collections.abc import Iterator
from dataclasses import asdict

from btcts.domain.codes import CopyCode, CopyNote
from btcts.domain.layout import Market
from btcts.render.documents import begin_document, dump_document
from btcts.render.figures import counted, iso
from btcts.services.copy import Copied

NOTES = {
    CopyNote.SOURCE_COLLECTED: "a collector of the source was running: what it stores from now on is not copied",
    CopyNote.SOURCE_CHANGED: "the source changed while it was copied; the copy is as it was before",
}


def copy_lines(copied: Copied, *, verbose: bool = False) -> Iterator[str]:
    """Sum up the copy and the comparison; with `verbose` list the keys too."""
    if verbose:
        for part in copied.parts:
            yield f"{part.source_key} -> {part.key}: {part.entries} of the source, {part.before} before"
    yield _describe_outcome(copied)
    for part in copied.parts:
        if part.differing:
            yield f"{part.key}: {part.differing} of {part.entries} differ from the source"
    yield from map(NOTES.__getitem__, copied.notes)


def copy_json(copied: Copied, market: Market) -> str:
    """Encode the outcome as one object on one line."""
    document = begin_document(market) | {
        "where": copied.source,
        "to": copied.target,
        "code": copied.code,
        "as_of_ms": copied.now_ms,
        "as_of": iso(copied.now_ms),
        "keys": [asdict(part) for part in copied.parts],
        "differing": None if copied.code is CopyCode.PLANNED else copied.differing,
        "notes": [NOTES[note] for note in copied.notes],
        "note_codes": copied.notes,
    }
    return dump_document(document)


def _describe_outcome(copied: Copied) -> str:
    amount = _describe_amount(copied)
    if copied.code is CopyCode.UNCHANGED:
        return f"{copied.target} already holds the same {amount} as {copied.source}; nothing was changed"
    before = copied.parts[0].before
    way = f"{amount} from {copied.source} to {copied.target}"
    if any(part.before for part in copied.parts[:-1]):
        way += f", in place of {counted(before, 'tick')}"
    if copied.code is CopyCode.PLANNED:
        return f"would copy {way}; nothing was changed (--dry-run)"
    read_back = "different when read back" if copied.differing else "identical when read back"
    return f"copied {way}: {read_back}, as of {iso(copied.now_ms)}"


def _describe_amount(copied: Copied) -> str:
    ticks, *buckets, gaps, state = (part.entries for part in copied.parts)
    rest = f"{counted(sum(buckets), 'bucket')}, {counted(gaps, 'gap')} and {counted(state, 'state field')}"
    return f"{counted(ticks, 'tick')}, {rest}"
