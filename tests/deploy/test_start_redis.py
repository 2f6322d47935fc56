"""`start-redis.sh` beside a redis-server and a redis-cli that only print what they are given."""

import re
import subprocess
from hashlib import sha256
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
OPERATIONS = (ROOT / "docs/operations.md").read_text()
RIGHTS = dict(re.findall(r"^ACL SETUSER (\w+) on >PASSWORD (.+)$", OPERATIONS, re.MULTILINE))
STATUS_RIGHTS = re.findall(r"`btcts status` reads more of the server: `(.+?)`", OPERATIONS)[0]

PROGRAMS = {"docker-entrypoint.sh": 'echo "$@" >&2\ncat', "redis-cli": 'echo "$REDISCLI_AUTH $@"'}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A folder with the programs."""
    for name, script in PROGRAMS.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)
    return tmp_path


def start(home: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the script to its end."""
    environment = {"PATH": f"{home}:/usr/bin:/bin", "REDIS_PORT": "6379", **variables}
    command = ["sh", str(ROOT / "start-redis.sh"), *(arguments or ("redis.conf",))]
    return subprocess.run(command, cwd=home, env=environment, capture_output=True, text=True, check=False)


def find_users(told: str) -> dict[str, list[str]]:
    """Return what the configuration says of each user."""
    return {name: rules.split() for name, rules in re.findall("^user (\\w+) (.+)$", told, re.MULTILINE)}


def hash_password(password: str) -> str:
    """Return the password as Redis takes it in place of the text."""
    return "#" + sha256(password.encode()).hexdigest()


def test_the_users_have_the_rights_of_the_docs_and_nothing_else(home: Path) -> None:
    users = find_users(start(home, REDISCLI_AUTH="secret").stdout)

    wanted = {"btcts": RIGHTS["btcts"], "reader": f"{RIGHTS['reader']} {STATUS_RIGHTS}"}
    assert {name: set(users[name]) for name in wanted} == {
        name: {"on", hash_password("secret"), *rights.split()} for name, rights in wanted.items()
    }


def test_the_default_user_may_touch_all_data_or_restarts_would_lose_some_and_may_not_administer(home: Path) -> None:
    users = find_users(start(home, REDISCLI_AUTH="secret").stdout)

    assert users["default"] == ["on", hash_password("secret"), "~*", "&*", "+@all", "-@admin", "+config|get"]


def test_a_reader_may_have_a_password_of_its_own(home: Path) -> None:
    users = find_users(start(home, REDISCLI_AUTH="secret", REDIS_READER_PASSWORD="other").stdout)

    assert {name: rules[1] for name, rules in users.items()} == {
        "default": hash_password("secret"),
        "btcts": hash_password("secret"),
        "reader": hash_password("other"),
    }


@pytest.mark.parametrize("content", [b"it's $5", b"it's $5\n", b"it's $5\r\n", b"\xef\xbb\xbfit's $5\n\n"])
def test_passwords_may_lie_in_files(home: Path, content: bytes) -> None:
    (home / "secret").write_bytes(content)
    (home / "other").write_text("other\n")

    done = start(home, REDIS_PASSWORD_FILE="secret", REDIS_READER_PASSWORD_FILE="other")

    users = find_users(done.stdout)
    assert {name: rules[1] for name, rules in users.items()} == {
        "default": hash_password("it's $5"),
        "btcts": hash_password("it's $5"),
        "reader": hash_password("other"),
    }


def test_redis_cli_gets_the_password_of_the_file(home: Path) -> None:
    (home / "secret").write_text("it's\n")

    done = start(home, "redis-cli", "PING", REDISCLI_AUTH="", REDIS_PASSWORD_FILE="secret")

    assert done.stdout == "it's PING\n"


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({}, "REDIS_PASSWORD is blank; set another one in .env"),
        ({"REDIS_PASSWORD_FILE": "empty"}, "REDIS_PASSWORD is blank; write another one into the file"),
        ({"REDIS_PASSWORD_FILE": "lines"}, "REDIS_PASSWORD has a line break"),
        ({"REDIS_PASSWORD_FILE": "absent"}, "REDIS_PASSWORD_FILE cannot be read (absent: No such file or directory)"),
        ({"REDIS_PASSWORD_FILE": "folder"}, "REDIS_PASSWORD_FILE cannot be read (folder: Is a directory)"),
        ({"REDISCLI_AUTH": "a", "REDIS_PASSWORD_FILE": "secret"}, "REDIS_PASSWORD and REDIS_PASSWORD_FILE are both"),
        ({"REDISCLI_AUTH": "a", "REDIS_READER_PASSWORD": " "}, "REDIS_READER_PASSWORD is blank"),
        (
            {"REDISCLI_AUTH": "a", "REDIS_READER_PASSWORD_FILE": "secret"},
            "REDIS_READER_PASSWORD_FILE needs a REDIS_PASSWO",
        ),
    ],
)
def test_a_password_that_cannot_be_is_refused_in_one_line(home: Path, variables: dict[str, str], said: str) -> None:
    (home / "folder").mkdir()
    for name, content in {"secret": "secret", "empty": "\n", "lines": "two\nlines\n"}.items():
        (home / name).write_text(content)

    done = start(home, **variables)

    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert done.stderr.startswith(said)
