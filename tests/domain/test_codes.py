"""The codes are the same in the source, in docs/codes.md and in the schemas of the documents."""

import re
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import Any

import pytest

from btcts.domain.codes import (
    ComparisonCode,
    CopyCode,
    CopyNote,
    FaultCode,
    FindingCode,
    ProblemCode,
    ReasonCode,
    RefusalCode,
    RepairCode,
    StreamCode,
    WarningCode,
)
from btcts.domain.model import LOOKS, REASONS
from btcts.render.sentences import STEPS
from support.schemas import read_schema

PAGE = Path(__file__).parents[2] / "docs" / "codes.md"

TABLES: dict[str, Iterable[str]] = {
    "fault": FaultCode,
    "finding": FindingCode,
    "repair": RepairCode,
    "problem": ProblemCode,
    "refusal": RefusalCode,
    "stream": StreamCode,
    "comparison": ComparisonCode,
    "copy": CopyCode,
    "note": CopyNote,
    "reason": ReasonCode,
    "warning": WarningCode,
    "gap": (*REASONS, *LOOKS),
}

FIELDS: list[tuple[str, str, tuple[type[StrEnum], ...]]] = [
    ("status", "properties reason_codes items", (ReasonCode,)),
    ("status", "properties warning_codes items", (WarningCode,)),
    ("status", "$defs fault properties code", (FaultCode,)),
    ("verify", "$defs finding properties code", (FindingCode, FaultCode)),
    ("init-keys", "properties difference_codes items", (FaultCode,)),
    ("cycle", "properties repaired_codes items", (FaultCode, RepairCode)),
    ("cycle", "properties problem_codes items", (ProblemCode,)),
    ("cycle", "$defs refused properties code", (RefusalCode,)),
    ("cycle", "$defs stream properties problem_code", (StreamCode,)),
    ("status", "$defs stream properties problem_code", (StreamCode,)),
    ("status", "$defs provider properties error_code", (RefusalCode,)),
    ("verify", "$defs witness properties silence_code", (RefusalCode,)),
    ("verify", "$defs upstream properties problem_code", (ComparisonCode,)),
    ("copy", "properties code", (CopyCode,)),
    ("copy", "properties note_codes items", (CopyNote,)),
    ("backfill", "$defs chunk properties failed_codes additionalProperties", (RefusalCode,)),
    ("backfill", "$defs summary properties failed_codes additionalProperties", (RefusalCode,)),
]
"""The place of a field in its schema, and the codes that it can have."""


@pytest.mark.parametrize("name", TABLES)
def test_the_page_explains_every_code_and_no_other(name: str) -> None:
    table = PAGE.read_text("utf-8").split(f"| {name} | meaning |\n|---|---|\n")[1].split("\n\n")[0]

    rows = re.findall(r"^\| `(\w+)` \| .+ \|$", table, re.MULTILINE)

    assert rows == [str(code) for code in TABLES[name]]


@pytest.mark.parametrize(("schema", "place", "kinds"), FIELDS, ids=[f"{name} {place}" for name, place, _ in FIELDS])
def test_a_schema_lists_the_codes_of_its_field(schema: str, place: str, kinds: tuple[type[StrEnum], ...]) -> None:
    field: Any = read_schema(schema)
    for step in place.split():
        field = field[step]

    assert [code for code in field["enum"] if code is not None] == [str(code) for kind in kinds for code in kind]


def test_the_causes_that_providers_can_share_are_codes_of_refusals() -> None:
    assert set(STEPS) < set(map(str, RefusalCode)) & set(map(str, StreamCode))


def test_no_finding_has_the_code_of_a_fault() -> None:
    assert set(map(str, FindingCode)).isdisjoint(map(str, FaultCode))
