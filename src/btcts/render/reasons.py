"""Reasons of failed providers: one for all that share a cause, with the next step, else each in its own words."""

from collections import Counter
from collections.abc import Mapping

from btcts.domain.codes import RefusalCode
from btcts.errors import Problem

STEPS = {
    "names": "their names are not resolved ({why}); check the network and its name servers",
    "route": "the network is not reached ({why}); check it",
    "refused": "{why}; check the network, its firewall and the url settings",
    "certificate": "{why}; check the clock, or put the authority that signs for this network into SSL_CERT_FILE",
    "proxy": "{why}; correct or unset that variable",
    "slow": "{why}; check the network, its firewall and its proxy",
}
"""Explanation of the cause of a `Problem` that many providers share, by that cause."""


SHARED = 3
"""Providers that must fail alike for one explanation to replace their own words."""


def group_reasons(reasons: Mapping[str, str], *, verbose: bool = False) -> dict[str, str]:
    """Return reasons by providers, which share one where three or more have the same cause, unless `verbose`."""
    causes = {provider: why.cause if isinstance(why, Problem) else "" for provider, why in reasons.items()}
    counts = Counter(causes.values())
    groups: dict[str, list[str]] = {}
    for provider, cause in causes.items():
        together = cause in STEPS and counts[cause] >= SHARED and not verbose
        groups.setdefault(cause if together else provider, []).append(provider)
    return {", ".join(group): _explain([reasons[provider] for provider in group]) for group in groups.values()}


def find_code(why: str) -> str:
    """Return the code of a failure; that of one without a known cause is `failed`."""
    return (why.cause if isinstance(why, Problem) else "") or RefusalCode.FAILED


def list_reasons(reasons: Mapping[str, str], *, verbose: bool = False) -> str:
    """Join the reasons of `group_reasons` into one text."""
    return ", ".join(f"{providers} ({why})" for providers, why in group_reasons(reasons, verbose=verbose).items())


def _explain(reasons: list[str]) -> str:
    first = reasons[0]
    if len(reasons) == 1 or not isinstance(first, Problem):
        return first
    return f"{STEPS[first.cause].format(why=first.why)} (-v names each)"
