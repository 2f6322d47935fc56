"""Commands in surroundings that are odd but possible: each works or says one line, and none is a bug of ours."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from btcts.embedded import Embedded
from cli.conftest import BTCTS, Btcts
from support.redis_binaries import binaries

BYTES = os.fsdecode(b"h\xe9")
"""A name that is no UTF-8."""

COMMANDS = ["config show", "config path", "config init", "collect --once -v", "show hour", "status", "server status"]

SURROUNDINGS: dict[str, dict[str, str | None]] = {
    "a zone a day off": {"TZ": "UTC+24"},
    "a zone whose name is no text": {"TZ": f"{BYTES * 3}+3"},
    "no docstrings": {"PYTHONOPTIMIZE": "2"},
    "ascii alone": {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    "ascii alone and bytes": {"PYTHONIOENCODING": "ascii", "HOME": f"/nowhere/{BYTES}"},
    "signs that the terminal lacks": {"PYTHONIOENCODING": "latin-1", "BTCTS_DATA_DIR": "/nowhere/€"},
    "no home": {"HOME": "", "XDG_CONFIG_HOME": None},
    "a password of bytes": {"REDIS_PASSWORD": BYTES * 4},
    "an unknown variable of bytes": {f"BTCTS_{BYTES}": "x"},
    "a settings file whose name is no text": {"BTCTS_CONFIG": BYTES},
    "a socket whose name is no text": {"REDIS_URL": "unix:///nowhere/h%E9.sock"},
}


@pytest.mark.parametrize("name", SURROUNDINGS)
def test_every_command_works_or_says_one_line(btcts: Btcts, name: str) -> None:
    for command in COMMANDS:
        done = btcts(*command.split(), **SURROUNDINGS[name])

        assert done.code in (0, 1, 2, 3, 4, 5), (command, done)
        assert "Traceback" not in done.out + done.err, (command, done)
        assert done.code in (0, 1) or len(done.err.splitlines()) == 1, (command, done)


@pytest.fixture(params=[BYTES, "ho\nme"], ids=["bytes", "newline"])
def home(request: pytest.FixtureRequest, tmp_path: Path, environ: dict[str, str]) -> Iterator[Path]:
    """A home of such a name, with everything of ours in it, the embedded Redis included."""
    folder = tmp_path / request.param
    folder.mkdir()
    for name in ("REDIS_URL", "BTCTS_DATA_DIR", "XDG_CONFIG_HOME"):
        del environ[name]
    environ |= {"HOME": str(folder), "BTCTS_REDIS_SERVER": str(binaries().server)}
    yield folder
    Embedded(folder / ".local/share/btcts", redis_server=binaries().server).discard()


def test_a_home_of_any_name_will_do(btcts: Btcts, home: Path) -> None:
    collected, shown, stopped = btcts("collect", "--once"), btcts("show"), btcts("server", "stop")

    assert (collected.code, shown.code, stopped.code) == (0, 0, 0)
    assert (home / ".local/share/btcts/db").is_dir()
    assert btcts("config", "init").code == 0
    assert (home / ".config/btcts/config.toml").is_file()
    assert btcts("config", "show").code == 0


def test_a_folder_that_a_variable_names_may_have_any_bytes(btcts: Btcts, environ: dict[str, str]) -> None:
    folder = f"{environ['BTCTS_DATA_DIR']}-{BYTES}"

    done = btcts("config", "show", "--format", "json", BTCTS_DATA_DIR=folder)

    assert json.loads(done.out)["settings"]["embedded.data_dir"]["value"] == folder


NO_ACCOUNT = ("setpriv", "--reuid=4242", "--inh-caps=+dac_override", "--ambient-caps=+dac_override", "--")
"""Runs a command as a user that the system has no account of, and that may read what root has installed."""


@pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("setpriv"), reason="only root can become a user without an account"
)
@pytest.mark.parametrize(
    ("data_dir", "code", "said"),
    [("data", 0, ""), (None, 2, "btcts: the home folder of the user is not known; set HOME or BTCTS_DATA_DIR\n")],
)
def test_a_user_without_a_home_needs_none_where_every_path_is_given(
    data_dir: str | None, code: int, said: str, environ: dict[str, str], tmp_path: Path
) -> None:
    given = {name: text for name, text in environ.items() if name not in ("HOME", "XDG_CONFIG_HOME", "BTCTS_DATA_DIR")}
    os.chown(tmp_path, 4242, -1)

    done = subprocess.run(
        [*NO_ACCOUNT, *BTCTS, "collect", "--once"],
        env=given | ({"BTCTS_DATA_DIR": data_dir} if data_dir else {}),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stderr) == (code, said)
