"""The outcome of `prune` as lines."""

from btcts.render.prune import prune_lines
from btcts.services.prune import Pruned
from btcts.store import Excess
from render.snapshot import assert_as_stored, join_lines
from support.series import DAY, NOW, TICK

OLD = Excess("btc:price:minute", 2, future=False, first_ms=NOW - DAY, last_ms=NOW - DAY + 60_000)
FUTURE = Excess("btc:price:hour", 1, future=True, first_ms=NOW * 1000, last_ms=NOW * 1000)

OUTCOMES = {
    "nothing": Pruned("here", TICK, (), poisoned=False, unknown=()),
    "all": Pruned("here", TICK, (OLD, FUTURE), poisoned=True, unknown=("btc:price:1h",)),
}


def test_the_lines_say_what_was_or_would_be_removed() -> None:
    pages = [
        f"{name}{', dry run' * dry_run}\n{join_lines(prune_lines(pruned, dry_run=dry_run))}\n"
        for name, pruned in OUTCOMES.items()
        for dry_run in (False, True)
    ]

    assert_as_stored("prune", "\n".join(pages))
