"""`btcts collect --forever` while the machine is short of something: it goes on, and all is well afterwards."""

import re
import resource
from typing import Any

import pytest

from cli.conftest import PROVIDERS
from cli.test_collect_spool import looping
from simulation.place import CANDLES
from support.exchanges import Exchanges, Fault

NO_SPARE_STACKS = {"GLIBC_TUNABLES": "glibc.pthread.stack_cache_size=0"}
"""Without it a thread takes the stack of one that has ended, and needs no memory."""

LIMITS = {"memory": resource.RLIMIT_AS, "descriptors": resource.RLIMIT_NOFILE}
FAULTS = {"memory": Fault(body=b"0" * 900_000), "descriptors": Fault(reset=True)}
"""Answers that need more memory than there is; or connections that cannot be used any more."""

SAID = {
    "memory": {"there is no memory left", "no thread can be started"},
    "descriptors": {"too many open files"},
}


def refusals(cycles: list[Any]) -> set[str]:
    """The failures that cycles report, without place and next step."""
    reasons = {refusal["reason"] for cycle in cycles for refusal in cycle["refused"]}
    reasons |= {cycle["problem"] for cycle in cycles if cycle["problem"]}
    return {re.sub(r"no answer from \S+ \((.*)\)", r"\1", reason).partition(";")[0] for reason in reasons}


@pytest.mark.parametrize("what", LIMITS)
def test_a_shortage_costs_prices_and_does_not_end_the_loop(
    what: str, environ: dict[str, str], exchanges: Exchanges
) -> None:
    limit = LIMITS[what]
    for name, path in CANDLES.items():  # the memory that candles took would do for the answers
        exchanges.fault(name, Fault(path=path, status=503))
    with looping({**environ, **NO_SPARE_STACKS}) as (running, following):
        following()
        before = resource.prlimit(running.pid, limit)
        resource.prlimit(running.pid, limit, (1, before[1]))
        for name in PROVIDERS:
            exchanges.fault(name, FAULTS[what])
        short = [following() for _ in range(2)]
        while not SAID[what] & refusals(short) and len(short) < 10:
            short.append(following())
        exchanges.reset()
        short += [following() for _ in range(3)]
        resource.prlimit(running.pid, limit, before)

        assert any(len(following()["members"]) == len(PROVIDERS) for _ in range(10))
        assert running.poll() is None
    assert SAID[what] & refusals(short)
