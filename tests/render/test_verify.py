"""The findings of `verify` as lines and as a document."""

import json
from typing import Any

from jsonschema import Draft202012Validator

from btcts.config import BTC_USD
from btcts.domain.codes import FaultCode, FindingCode
from btcts.render.verify import verify_json, verify_lines
from btcts.services.verify.buckets import Finding
from btcts.services.verify.run import Heard, Verified, Witness
from btcts.services.verify.upstream import Answers, Comparison
from render.snapshot import assert_as_stored, join_lines
from support.schemas import read_schema
from support.series import MINUTE, NOW, TICK

MINUTE_OF_NOW = NOW // MINUTE * MINUTE
NOBODY = Answers(range(0), 0, frozenset(), ())
WITNESSES = (Witness("coinbase", 1, 2), Witness("kraken", silence="HTTP 503"))

WRONG = Finding("btc:price:hour:max", FindingCode.WRONG_BUCKET, MINUTE_OF_NOW, stored=1.0, expected=60_000.5)
FAULT = Finding("btc:price:hour", FaultCode.WRONG_RETENTION, values={"found": 5, "wanted": 82_800_000})
AGREED = Finding(TICK, FindingCode.NOT_AGREED, MINUTE_OF_NOW, stored=5.0, expected=4.0, field="low")
DOUBT = Finding(TICK, FindingCode.IN_DOUBT, MINUTE_OF_NOW, stored=5.0, expected=4.0, field="low")
BEYOND = Finding(TICK, FindingCode.IN_FUTURE, 9_223_372_036_854_775_807, stored=5.0)


def verified(
    *findings: Finding, left: tuple[Finding, ...] | None = None, comparison: Comparison | None = None
) -> Verified:
    return Verified(
        where="here",
        now_ms=NOW,
        ticks=9,
        findings=findings,
        repaired=left is not None,
        left=findings if left is None else left,
        heard=Heard(NOBODY, WITNESSES, None) if comparison else None,
        comparison=comparison,
    )


def read(found: Verified) -> Any:
    document = json.loads(verify_json(found, BTC_USD))
    Draft202012Validator(read_schema("verify")).validate(document)
    return document


PAGES = {
    "nothing": verified(),
    "found": verified(FAULT, WRONG),
    "put right": verified(WRONG, left=()),
    "left": verified(BEYOND, left=(BEYOND,)),
    "compared": verified(AGREED, comparison=Comparison((AGREED,), (), 1440, 2, 5, 3, 1, {})),
    "doubts": verified(comparison=Comparison((), (DOUBT, DOUBT), 1, 0, 0, 3, 1, {})),
}


def test_the_lines_say_what_was_found_done_and_compared() -> None:
    pages = [
        f"{name}{', verbose' * verbose}\n{join_lines(verify_lines(found, verbose=verbose))}\n"
        for name, found in PAGES.items()
        for verbose in (False, True)
    ]

    assert_as_stored("verify", "\n".join(pages))


def test_a_stamp_beyond_the_calendar_has_no_date() -> None:
    document = read(PAGES["left"])

    assert document["left"][0]["start"] is None
    assert document["left"][0]["start_ms"] == BEYOND.start_ms


def test_the_document_has_the_code_and_the_field_of_each_finding_and_doubt() -> None:
    assert [finding["code"] for finding in read(PAGES["found"])["findings"]] == ["wrong_retention", "wrong_bucket"]
    doubt, _ = read(PAGES["doubts"])["upstream"]["doubts"]
    assert (doubt["code"], doubt["field"]) == ("in_doubt", "low")
