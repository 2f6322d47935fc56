"""Completion as shells ask for it: the words so far in the environment, the answers on stdout."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from btcts.domain.layout import RESOLUTIONS
from btcts.providers import NAMES

COMMAND = (sys.executable, "-m", "btcts")


def complete(shell: str, line: str) -> str:
    """Return the answer of btcts when TAB is pressed at the end of the line."""
    typed = {"COMP_WORDS": line, "COMP_CWORD": str(len(line.split(" ")) - 1), "_TYPER_COMPLETE_ARGS": line}
    asked = {"_BTCTS_COMPLETE": f"complete_{shell}", "_TYPER_COMPLETE_FISH_ACTION": "get-args", **typed}
    done = subprocess.run(COMMAND, env={**os.environ, **asked}, capture_output=True, text=True, timeout=60, check=True)
    return done.stdout


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("btcts sh", ["show"]),
        ("btcts server st", ["start", "stop", "status"]),
        ("btcts config ", ["show", "init", "path"]),
        ("btcts show ", list(RESOLUTIONS)),
        ("btcts show 1", ["15min"]),
        ("btcts show --format ", ["table", "json", "csv"]),
        ("btcts init-keys --format ", ["text", "json"]),
        ("btcts collect --provider ", list(NAMES)),
        ("btcts collect --once --provider kraken --provider b", ["bitstamp", "bitfinex"]),
        ("btcts show --lim", ["--limit"]),
        ("btcts --vers", ["--version"]),
    ],
)
def test_words_are_completed(line: str, words: list[str]) -> None:
    assert complete("bash", line).split() == words


@pytest.mark.parametrize("line", ["btcts show ", "btcts collect --provider ", "btcts prune --format "])
def test_zsh_and_fish_get_the_words_that_bash_gets(line: str) -> None:
    words = complete("bash", line).split()

    assert complete("fish", line).split() == words
    assert complete("zsh", line).strip() == "_arguments '*: :((" + "\n".join(f'"{each}"' for each in words) + "))'"


def test_zsh_and_fish_are_told_what_commands_do() -> None:
    summary = "Remove what is older than its retention, and list unknown keys."

    assert complete("fish", "btcts pru") == f"prune\t{summary}\n"
    assert f'"prune":"{summary}"' in complete("zsh", "btcts pru")


@pytest.mark.parametrize(
    ("shell", "file"),
    [
        ("bash", ".bash_completions/btcts.sh"),
        ("zsh", ".zfunc/_btcts"),
        ("fish", ".config/fish/completions/btcts.fish"),
    ],
)
def test_completion_can_be_installed_for_a_shell(shell: str, file: str, tmp_path: Path) -> None:
    named = {"HOME": str(tmp_path), "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}

    done = subprocess.run(
        [*COMMAND, "--install-completion", shell],
        env={**os.environ, **named},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert "_BTCTS_COMPLETE=complete_" in (tmp_path / file).read_text()


def test_the_shell_is_found_out(tmp_path: Path) -> None:
    command = f"{sys.executable} -m btcts --install-completion; true"

    done = subprocess.run(
        ["bash", "-c", command],
        env={**os.environ, "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.stdout.startswith("bash ")
    assert f"{tmp_path}/.bash_completions/btcts.sh" in done.stdout


def test_bash_completes_with_what_was_installed(tmp_path: Path) -> None:
    """The script is sourced, and its function called as bash calls it at TAB."""
    (tmp_path / "btcts").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m btcts "$@"\n')
    (tmp_path / "btcts").chmod(0o755)
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    script = (
        'eval "$(btcts --show-completion bash)"; COMP_WORDS=(btcts show 15); COMP_CWORD=2; '
        '_btcts_completion btcts; echo "${COMPREPLY[@]}"'
    )

    done = subprocess.run(
        ["bash", "-c", script],
        env={**os.environ, "PATH": path, "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )

    assert done.stdout == "15min\n"
