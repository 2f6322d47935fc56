"""Why providers failed: once for all that share the cause, with the next step, else each in its own words."""

from collections import Counter
from collections.abc import Mapping

from btcts.errors import Problem

STEPS = {
    "names": "their names are not resolved ({why}); check the network and its name servers",
    "route": "the network is not reached ({why}); check it",
    "refused": "{why}; check the network, its firewall and the url settings",
    "certificate": "{why}; check the clock, or put the authority that signs for this network into SSL_CERT_FILE",
    "proxy": "{why}; correct or unset that variable",
    "slow": "{why}; check the network, its firewall and its proxy",
}
"""By the cause of a `Problem`, what it means when many providers have it."""


SHARED = 3
"""How many must fail alike for their own words to say nothing more."""


def group_reasons(whys: Mapping[str, str], *, verbose: bool = False) -> dict[str, str]:
    """Return by providers why they failed: together where three or more share a cause, unless each is wanted."""
    causes = {provider: why.cause if isinstance(why, Problem) else "" for provider, why in whys.items()}
    counts = Counter(causes.values())
    groups: dict[str, list[str]] = {}
    for provider, cause in causes.items():
        together = cause and counts[cause] >= SHARED and not verbose
        groups.setdefault(cause if together else provider, []).append(provider)
    return {", ".join(group): _explain([whys[provider] for provider in group]) for group in groups.values()}


def list_reasons(whys: Mapping[str, str], *, verbose: bool = False) -> str:
    """Return the same as one text."""
    return ", ".join(f"{providers} ({why})" for providers, why in group_reasons(whys, verbose=verbose).items())


def _explain(whys: list[str]) -> str:
    first = whys[0]
    if len(whys) == 1 or not isinstance(first, Problem):
        return first
    return f"{STEPS[first.cause].format(why=first.why)} (-v names each)"
