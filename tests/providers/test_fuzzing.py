"""A sample of the answers of benchmarks/fuzz.py, others in each run."""

import os
import random

from btcts.providers.http import Client
from support.fuzzing import TARGETS, Fuzzer, judge

SAMPLE = 20
"""Answers for each target."""


def test_any_answer_comes_to_a_value_or_to_an_error_of_one_line_in_time() -> None:
    first = 1 if "CI" in os.environ else random.randrange(10**9)

    with Fuzzer() as fuzzer, Client() as client:
        tally = judge(fuzzer.url, client, range(first, first + SAMPLE * len(TARGETS)))

    assert tally.problems == []
    assert {outcome.partition(":")[0] for outcome in tally.outcomes} == {" ".join(target) for target in TARGETS}
