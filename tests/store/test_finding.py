"""Who is asked where Redis is, and answers that no Sentinel and no node of a cluster gives."""

from collections.abc import Callable
from typing import Any, cast

import pytest
import redis

from btcts.store.explain import TCP, ServerNotFound
from btcts.store.finding import Finder, Place, ask_cluster, ask_sentinel
from support.wording import Wording

wording = Wording(__file__)


class Oracle:
    """A node that gives the same answer to everything, or fails; `asked` counts."""

    def __init__(self, answer: object) -> None:
        self.answer = answer
        self.asked = 0
        self.connection_pool = self

    def execute_command(self, *_command: str) -> object:
        """Answer."""
        self.asked += 1
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def get_connection_kwargs(self) -> dict[str, str]:
        """Tell by which name it is asked."""
        return {"host": "own"}

    def disconnect(self, *, inuse_connections: bool) -> None:
        """Leave what others use."""
        assert not inuse_connections


Ask = Callable[[redis.Redis, str], Place]

QUESTIONS = {
    "the primary of Sentinels": ask_sentinel("main", replica=False),
    "a replica of Sentinels": ask_sentinel("main", replica=True),
    "the primary of a slot": ask_cluster("{btc:price}", replica=False),
    "a replica of a slot": ask_cluster("{btc:price}", replica=True),
}


def finder(ask: Ask, *nodes: Oracle) -> Finder:
    """Who asks these nodes; they are called a, b, c."""
    named: list[tuple[str, Any]] = list(zip("abc", nodes, strict=False))
    return Finder(cast("list[tuple[str, redis.Redis]]", named), "a, b, c", TCP, "Redis", ask)


@pytest.mark.parametrize("question", QUESTIONS)
@pytest.mark.parametrize(
    "answer",
    [
        5,
        1.5,
        True,
        "main",
        {"ip": "h"},
        ["h"],
        ["h", "port"],
        ["h", "0"],
        ["h", "-1"],
        ["h", "65536"],
        ["", "1"],
        [None, "1"],
        [7, "1"],
        ["\x1b[31mh", "1"],
        ["h" * 256, "1"],
        [[0]],
        [[0, 16_383]],
        [[0, 16_383, []]],
        [[0, 16_383, 5, 5]],
        [[0, 16_383, ["h", "port"], ["h", "port"]]],
        [["0", "16383", ["h", 1]]],
        [{"ip": "h", "port": "1"}],
        [{"ip": "h", "flags": "slave"}],
        [{"ip": "h", "port": "0", "flags": "slave"}],
        [["flags"]],
    ],
    ids=repr,
)
def test_an_answer_that_nobody_gives_is_said_to_be_one(question: str, answer: object) -> None:
    with pytest.raises(ServerNotFound) as caught:
        finder(QUESTIONS[question], Oracle(answer)).find()

    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 120


@pytest.mark.parametrize(("host", "named"), [("h", "h"), (None, "own"), ("", "own"), ("?", "own")])
def test_a_node_that_does_not_know_its_own_name_is_the_one_that_was_asked(host: str | None, named: str) -> None:
    slots = Oracle([[0, 16_383, [host, 7000, "id", []]]])

    place = finder(QUESTIONS["the primary of a slot"], slots).find()

    assert place == (named, 7000)


def test_each_time_another_node_is_asked_first_and_last_those_that_failed() -> None:
    well, silent, also_well = Oracle(["h1", "1"]), Oracle(redis.ConnectionError()), Oracle(["h3", "3"])
    found = finder(QUESTIONS["the primary of Sentinels"], well, silent, also_well)

    assert [found.find() for _ in range(6)] == [("h1", 1), ("h3", 3), ("h3", 3)] * 2
    assert (well.asked, silent.asked, also_well.asked) == (2, 1, 4)


def test_what_one_answers_counts_more_than_the_silence_of_others() -> None:
    silent, stranger = Oracle(redis.ConnectionError("away")), Oracle(5)

    with pytest.raises(ServerNotFound) as caught:
        finder(QUESTIONS["the primary of Sentinels"], silent, stranger, silent).find()

    wording.check("a stranger among the silent", str(caught.value))
