"""The outcome of `init-keys` as lines and as a document."""

import json

from btcts.config import BTC_USD
from btcts.domain.codes import FaultCode
from btcts.render.init_keys import keys_json, keys_lines
from btcts.services.init_keys import Outcome
from btcts.store import Fault
from render.snapshot import assert_as_stored, join_lines
from support.series import TICK

FAULTS = (Fault("btc:price:hour", FaultCode.MISSING), Fault(TICK, FaultCode.FUTURE_TICK))


def outcome(
    *differences: Fault,
    adopted: tuple[tuple[str, str], ...] = (),
    created: bool = False,
    changed: bool = True,
    ticks: int | None = None,
) -> Outcome:
    return Outcome("here", differences, adopted, created, changed, ticks)


OUTCOMES = {
    "nothing": outcome(changed=False),
    "empty": outcome(*FAULTS[:1], created=True, ticks=0),
    "altered": outcome(*FAULTS[:1]),
    "made anew": outcome(*FAULTS, ticks=2880),
    "renamed": outcome(adopted=((TICK, f"{TICK}:before-btcts"),)),
}


def test_the_lines_say_what_differed_and_what_was_done() -> None:
    pages = [
        f"{name}{', dry run' * dry_run}\n{join_lines(keys_lines(found, dry_run=dry_run))}\n"
        for name, found in OUTCOMES.items()
        for dry_run in (False, True)
    ]

    assert_as_stored("init-keys", "\n".join(pages))


def test_the_document_has_the_code_of_each_difference() -> None:
    document = json.loads(keys_json(OUTCOMES["made anew"], BTC_USD, dry_run=False))

    assert document["difference_codes"] == ["missing_series", "future_tick"]
    assert len(document["differences"]) == 2
