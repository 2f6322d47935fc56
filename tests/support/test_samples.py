"""Samples change from day to day, and all of it has its turn."""

from itertools import chain, islice
from pathlib import Path

from support.samples import count_steps, take_each, take_run

ROOT = Path(__file__).parents[2]


def sample_on(day: int) -> tuple[list[int], list[int], list[int]]:
    """The three kinds of samples of a day."""
    things = range(1, 101)
    steps = islice(count_steps(4, day=day), 25)
    return [*take_run(things, 10, day=day)], [*take_each(things, 4, day=day)], [*steps]


def test_all_has_its_turn_within_some_days() -> None:
    runs, strides, steps = zip(*map(sample_on, range(20_785, 20_795)), strict=True)

    assert sorted(chain(*runs)) == [*range(1, 101)]
    assert sorted(chain(*strides[:4])) == [*range(1, 101)]
    assert {*range(1, 94)} <= {*chain(*steps[:4])}
    assert all(counted[0] == 1 and counted == sorted({*counted}) for counted in steps)


def test_the_whole_is_everything() -> None:
    assert take_run("abc", 1, day=None) == take_each("abc", 2, day=None) == "abc"
    assert [*islice(count_steps(4, day=None), 5)] == [1, 2, 3, 4, 5]


def test_whatever_takes_samples_is_played_whole_by_the_benchmark() -> None:
    benchmark = (ROOT / "benchmarks/exhaustive.py").read_text()
    tests = [file.relative_to(ROOT) for file in (ROOT / "tests").rglob("test_*.py") if file != Path(__file__)]

    sampled = [test for test in tests if "from support.samples import" in (ROOT / test).read_text()]

    assert len(sampled) > 5
    assert [test for test in sampled if f'"{test}"' not in benchmark and f'"{test.parent}"' not in benchmark] == []
