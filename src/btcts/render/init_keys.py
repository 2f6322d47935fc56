"""The outcome of `init-keys`: lines for people, or JSON as `docs/schemas/init-keys.json` says."""

from collections.abc import Iterator

from btcts.domain.layout import RESOLUTIONS, Market
from btcts.render.documents import begin_document, dump_document
from btcts.render.sentences import describe_fault
from btcts.services.init_keys import Outcome


def keys_lines(outcome: Outcome, *, dry_run: bool) -> Iterator[str]:
    """List the renamed keys and the differences, one per line, with a summary in the last one."""
    rules = sum(len(resolution.fields) for resolution in RESOLUTIONS.values())
    all_of_it = f"{1 + rules} series and {rules} rules"
    yield from (f"renamed {old} to {new}" for old, new in outcome.adopted)
    if not outcome.differences and not outcome.changed:
        yield f"{outcome.where} matches the layout: {all_of_it}"
    elif outcome.created:
        yield f"{'would create' if dry_run else 'created'} {all_of_it} at {outcome.where}"
    else:
        yield from map(describe_fault, outcome.differences)
        yield _describe_result(outcome, dry_run=dry_run)


def keys_json(outcome: Outcome, market: Market, *, dry_run: bool) -> str:
    """Encode the outcome as one object on one line."""
    document = begin_document(market) | {
        "where": outcome.where,
        "dry_run": dry_run,
        "created": outcome.created and not dry_run,
        "changed": outcome.changed,
        "differences": [describe_fault(fault) for fault in outcome.differences],
        "difference_codes": [fault.code for fault in outcome.differences],
        "renamed": [{"from": old, "to": new} for old, new in outcome.adopted],
        "ticks": outcome.ticks,
    }
    return dump_document(document)


def _describe_result(outcome: Outcome, *, dry_run: bool) -> str:
    if dry_run:
        return "nothing was changed (--dry-run)"
    return "repaired" if outcome.ticks is None else f"rebuilt everything from {outcome.ticks} ticks"
