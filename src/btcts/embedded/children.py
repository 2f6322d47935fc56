"""Programs that we run: never found in, and never run in, the current folder, and with little of our environment.

PYTHON* would make a child that is an interpreter load other code, and no child needs our secrets.
"""

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from subprocess import CompletedProcess

PASSED_ON = ("HOME", "LD_LIBRARY_PATH", "PATH", "TZ")
"""A redis-server's environment: none of the user's secrets, and no locale, since it ends when that is not installed."""

SEARCHED = ("LD_LIBRARY_PATH", "PATH")
"""Lists of folders. An entry that is empty or relative means the current folder."""


def search_path(name: str = "PATH") -> list[str]:
    """Return the absolute folders of a list such as PATH."""
    text = os.environ.get(name, os.defpath if name == "PATH" else "")
    return [folder for folder in text.split(os.pathsep) if Path(folder).is_absolute()]


def find_program(name: str) -> str | None:
    """Return the path of the program on PATH, or None."""
    import shutil  # costly, and rarely needed

    return shutil.which(name, path=os.pathsep.join(search_path()))


def pick_environment(names: Iterable[str]) -> dict[str, str]:
    """Return the set variables of these names; lists of folders lose entries that mean the current one."""
    picked = {name: os.environ[name] for name in names if name in os.environ}
    lists = {name: os.pathsep.join(search_path(name)) for name in SEARCHED if name in picked}
    return {name: text for name, text in (picked | lists).items() if text}


def run(command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> "CompletedProcess[str]":
    """Run a program to its end in a folder of ours, without a terminal, and capture its output.

    Raises:
        OSError: it cannot be started.
    """
    import subprocess  # costly, and rarely needed

    return subprocess.run(
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
