"""The lines and the document of `copy`."""

import json

from btcts.config import BTC_USD
from btcts.domain.codes import CopyCode, CopyNote
from btcts.render.copy import NOTES, copy_json, copy_lines
from btcts.services.copy import Copied, CopiedPart

NAMES = ("tick", "hour", "gaps", "state")


def copied(
    code: CopyCode = CopyCode.COPIED, *, before: int = 0, differing: int = 0, notes: tuple[CopyNote, ...] = ()
) -> Copied:
    parts = tuple(CopiedPart(f"a:{name}", f"b:{name}", 7, before, differing) for name in NAMES)
    return Copied("here", "there", 1_767_270_896_789, code, parts, notes)


def test_each_key_that_differs_has_a_line_and_so_has_each_note() -> None:
    _, *lines = copy_lines(copied(differing=2, notes=tuple(CopyNote)))

    assert [line.partition(":")[0] for line in lines[: len(NAMES)]] == ["b"] * len(NAMES)
    assert lines[len(NAMES) :] == list(NOTES.values())


def test_only_what_gives_way_is_said_to_do_so() -> None:
    for code in (CopyCode.COPIED, CopyCode.PLANNED):
        (fresh,), (instead,) = copy_lines(copied(code)), copy_lines(copied(code, before=3))

        assert (" 3 ticks" in fresh, " 3 ticks" in instead) == (False, True)


def test_every_note_has_its_code_beside_it() -> None:
    document = json.loads(copy_json(copied(notes=tuple(CopyNote)), BTC_USD))

    assert dict(zip(document["note_codes"], document["notes"], strict=True)) == NOTES
