"""Reasons that providers share are given once."""

import pytest

from btcts.errors import Problem
from btcts.render.reasons import STEPS, group_reasons, list_reasons


def fail(*names: str, cause: str) -> dict[str, str]:
    return {name: Problem(f"no answer from {name}", cause, f"the cause {cause}") for name in names}


@pytest.mark.parametrize("cause", STEPS)
def test_three_that_fail_alike_share_one_reason_with_the_next_step(cause: str) -> None:
    ((names, reason),) = group_reasons(fail("a", "b", "c", cause=cause)).items()

    assert names == "a, b, c"
    assert f"the cause {cause}" in reason
    assert not any(f"from {name}" in reason for name in "abc")


def test_two_that_fail_alike_keep_their_own_words() -> None:
    assert group_reasons(fail("a", "b", cause="names")) == {"a": "no answer from a", "b": "no answer from b"}


def test_each_keeps_its_own_words_when_asked_for_more() -> None:
    assert [*group_reasons(fail("a", "b", "c", cause="names"), verbose=True)] == ["a", "b", "c"]


def test_causes_are_told_apart_and_plain_reasons_belong_to_nobody_else() -> None:
    reasons = (
        fail("a", "b", "c", cause="names") | fail("d", "e", "f", cause="proxy") | {"g": "HTTP 500", "h": "HTTP 500"}
    )

    assert [*group_reasons(reasons)] == ["a, b, c", "d, e, f", "g", "h"]


def test_reasons_stand_behind_their_providers_on_one_line() -> None:
    assert list_reasons({"a": "HTTP 500", "b": "late"}) == "a (HTTP 500), b (late)"
    assert list_reasons({}) == ""
