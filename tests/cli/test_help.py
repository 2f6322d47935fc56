"""The help of every command: what a reader sees first, and that the examples in it are true."""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from typer.core import TyperGroup
from typer.main import get_command
from typer.testing import CliRunner

from btcts.cli.main import app

ROOT = get_command(app)

EXAMPLE = re.compile(r"^  .*?\bbtcts((?: [^\s|>()\"]+| '[^']*')*)", re.MULTILINE)
"""A call of btcts in a line of examples, without what stands before and behind it."""


def walk(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The words that call each command, the root first."""
    yield path
    for name, below in getattr(command, "commands", {}).items():
        yield from walk(below, (*path, name))


PATHS = list(walk(ROOT))


def at(path: tuple[str, ...]) -> Any:
    """The command that these words call."""
    command: Any = ROOT
    for name in path:
        command = command.commands[name]
    return command


def page(*path: str, columns: int = 80) -> str:
    """The help of a command on a terminal of that width."""
    done = CliRunner(env={"COLUMNS": str(columns)}).invoke(app, [*path, "--help"], prog_name="btcts")
    assert done.exit_code == 0
    return done.stdout


def parse(words: list[str]) -> None:
    """Parse a call to its end without carrying it out; a wrong one raises."""
    command: Any = ROOT
    context = None
    while True:
        context = command.make_context(command.name, list(words), parent=context)
        if not isinstance(command, TyperGroup):
            return
        _, command, words = command.resolve_command(context, words)


@pytest.mark.parametrize("path", PATHS, ids=" ".join)
def test_the_help_begins_with_usage_and_a_summary_of_one_sentence(path: tuple[str, ...]) -> None:
    usage, summary, *_ = page(*path, columns=200).split("\n\n")

    assert usage.startswith(f"Usage: {' '.join(['btcts', *path])} ")
    assert re.fullmatch(r"[A-Z].*\.", summary)


@pytest.mark.parametrize("path", PATHS[1:], ids=" ".join)
def test_examples_follow_the_summary_at_once(path: tuple[str, ...]) -> None:
    _, _, third, *_ = page(*path).split("\n\n")

    takes_nothing = third.startswith("Common options:")
    assert takes_nothing or third.startswith("Examples:\n  ")


@pytest.mark.parametrize("path", PATHS, ids=" ".join)
def test_the_examples_are_calls_that_are_understood(path: tuple[str, ...]) -> None:
    block = page(*path, columns=200).split("\n\n")[2]

    for call in EXAMPLE.findall(block):
        parse(shlex.split(call))


def test_the_first_ten_lines_of_all_help_are_the_calls_that_are_needed_most() -> None:
    block = page().split("\n\n")[2]

    calls = [shlex.split(call) for call in EXAMPLE.findall(block)]

    assert len(calls) == len(block.splitlines()) == 10
    assert {call[0] for call in calls} <= set(ROOT.commands)
    for call in calls:
        parse(call)


@pytest.mark.parametrize("path", [(), ("server",), ("config",)], ids=" ".join)
def test_a_command_of_commands_shows_its_help_when_nothing_is_asked_for(path: tuple[str, ...]) -> None:
    done = CliRunner(env={"COLUMNS": "80"}).invoke(app, list(path), prog_name="btcts")

    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout == page(*path)


@pytest.mark.parametrize("columns", [60, 80, 120])
@pytest.mark.parametrize("path", PATHS, ids=" ".join)
def test_lines_fit_the_terminal_and_are_never_too_long_to_read(path: tuple[str, ...], columns: int) -> None:
    lines = page(*path, columns=columns).splitlines()

    long = [line for line in lines if len(line) > min(columns, 100)]
    assert [line for line in long if not EXAMPLE.match(line)] == []


@pytest.mark.parametrize("path", PATHS, ids=" ".join)
def test_help_is_plain_text(path: tuple[str, ...]) -> None:
    text = page(*path)

    assert text.isascii()
    assert re.search(r"\x1b|\[/?(dim|bold)?\]", text) is None


@pytest.mark.parametrize("path", [path for path in PATHS if not isinstance(at(path), TyperGroup)], ids=" ".join)
def test_the_common_options_come_last(path: tuple[str, ...]) -> None:
    panels = [block.splitlines()[0] for block in page(*path).split("\n\n") if re.match(r"[A-Z][\w ]*:\n", block)]

    assert panels[-1] == "Common options:"


def test_all_help_names_every_command_with_its_summary() -> None:
    text = " ".join(page(columns=200).split())

    for path in PATHS:
        if len(path) == 1:
            assert f"{path[0]} {at(path).get_short_help_str()}" in text


def test_the_help_of_every_command_is_whole_without_docstrings() -> None:
    pages = "import sys; from typer.testing import CliRunner; from btcts.cli.main import app\n" + "\n".join(
        f"sys.stdout.write(CliRunner().invoke(app, {[*path, '--help']!r}, prog_name='btcts').stdout)" for path in PATHS
    )
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONOPTIMIZE"} | {"COLUMNS": "80"}

    whole, stripped = (
        subprocess.run([sys.executable, *options, "-c", pages], env=environ, capture_output=True, text=True, check=True)
        for options in ([], ["-OO"])
    )

    assert stripped.stdout == whole.stdout
