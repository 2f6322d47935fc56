"""The scan for secrets finds one wherever it may be, and lets it stand where it belongs."""

import html
import json
import os
import subprocess
import sys
import urllib.parse
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
import redis

from btcts.errors import ConfigError, ProviderError
from btcts.services.watch.command import Program
from btcts.system import foreign
from support.commands import ForkServer
from support.forkserver import report_leaks
from support.leaks import EVIDENCE, find_leaks, judge_test
from support.servers import Server
from support.terminals import Terminal

SECRET = 'pa"ss wo\\rd%41ö'
SPELLINGS = {
    "plain": SECRET,
    "upper": SECRET.upper(),
    "lower": SECRET.lower(),
    "json": json.dumps(SECRET),
    "json twice": json.dumps(json.dumps(SECRET)),
    "escapes": "".join(f"\\u{ord(character):04x}" for character in SECRET),
    "python": repr(SECRET),
    "python bytes": repr(SECRET.encode()),
    "url": urllib.parse.quote(SECRET, safe=""),
    "url twice": urllib.parse.quote(urllib.parse.quote(SECRET)),
    "html": html.escape(SECRET),
    "hexadecimal": SECRET.encode().hex(),
    **{f"login of {user!r}": b64encode(f"{user}:{SECRET}".encode()).decode() for user in ("", "a", "me")},
    "base64 of a URL": urlsafe_b64encode(f"?{SECRET}".encode()).decode(),
}


@pytest.mark.parametrize("spelling", SPELLINGS.values(), ids=SPELLINGS)
def test_a_secret_is_found_in_any_spelling(spelling: str) -> None:
    assert find_leaks(f"said: {spelling}!", [SECRET, "another"]) == [SECRET]


def test_a_part_of_a_secret_and_other_texts_are_no_leak() -> None:
    assert find_leaks(f"{SECRET[:-1]} {SECRET.swapcase()[1:]}", [SECRET]) == []
    assert find_leaks(SECRET, []) == []


@pytest.fixture
def known() -> Iterator[str]:
    """A secret that the scan knows; what it finds is the test's to expect."""
    secret = "s3cret-of-the-scan"
    EVIDENCE.secrets.add(secret)
    yield secret
    EVIDENCE.judge()


def say(secret: str, stream: str = "stdout") -> list[str]:
    return [sys.executable, "-c", f"import sys; print({secret[::-1]!r}[::-1], file=sys.{stream})"]


def read_lines(secret: str) -> None:
    with subprocess.Popen(say(secret), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        list(process.stdout)


def read_all(secret: str) -> None:
    with subprocess.Popen(say(secret, "stderr"), stderr=subprocess.PIPE) as process:
        assert process.stderr
        process.stderr.read()


def communicate(secret: str) -> None:
    subprocess.run(say(secret), capture_output=True, text=True, timeout=30, check=True)


def hand_on_environment(secret: str) -> None:
    Program(("true",)).run("", {"TOLD": secret})


def hand_on_arguments(secret: str) -> None:
    Program(("true", secret)).run("", {})


def raise_error(secret: str) -> None:
    with pytest.raises(ConfigError):
        raise ConfigError(f"wrong: {secret}")


def raise_provider_error(secret: str) -> None:
    with pytest.raises(ProviderError):
        raise ProviderError("kraken", f"it said {secret}")


@pytest.mark.parametrize(
    "leak",
    [
        read_lines,
        read_all,
        communicate,
        hand_on_environment,
        hand_on_arguments,
        raise_error,
        raise_provider_error,
    ],
)
def test_what_processes_say_and_get_and_what_errors_say_is_scanned(leak: Callable[[str], None], known: str) -> None:
    leak(known)

    (found,) = EVIDENCE.judge()
    assert known in found


def test_a_terminal_is_scanned(tmp_path: Path, known: str) -> None:
    with Terminal(partial(subprocess.Popen, say(known)), os.environ, tmp_path / "errors") as terminal:
        terminal.ended()

    (found,) = EVIDENCE.judge()
    assert known in found


def test_a_forked_command_that_hands_a_secret_on_says_so(known: str, capfd: pytest.CaptureFixture[str]) -> None:
    look = report_leaks({"API_KEY": known})

    look("subprocess.Popen", ("/bin/x", ["x"], None, {b"KEY": known.encode()}))
    look("os.exec", ("/bin/x", ["x", known], {}))
    look("subprocess.Popen", ("/bin/x", ["x"], None, {"KEY": "another"}))
    look("open", (known, "r", 0))

    out, err = capfd.readouterr()
    assert (out, err.count(f" {known}\n"), len(err.splitlines())) == ("", 2, 2)


def test_a_forked_command_is_scanned(known: str, commands: ForkServer) -> None:
    commands.run(["show", "--at", known], env=os.environ)

    assert any(known in leak for leak in EVIDENCE.judge())


def leave_file(folder: Path, secret: str) -> None:
    (folder / "spool").mkdir()
    (folder / "spool" / "ticks").write_text(f"1 2 {secret}")


def leave_name(folder: Path, secret: str) -> None:
    (folder / secret).touch()


@pytest.mark.parametrize("leave", [leave_file, leave_name])
def test_files_and_their_names_are_scanned(
    leave: Callable[[Path, str], None], tmp_path: Path, known: str, request: pytest.FixtureRequest
) -> None:
    leave(tmp_path, known)

    assert len(judge_test(request.node, tmp_path, None)) == 1


def test_settings_files_may_hold_secrets_and_teach_them(
    tmp_path: Path, known: str, request: pytest.FixtureRequest
) -> None:
    settings = '[redis]\nurl = "redis://:word-of-the-url@h"\n[redis.more]\n'
    (tmp_path / "btcts.toml").write_text(f'api_key = "{known}"\n{settings}')
    (tmp_path / "key").write_text(f"{known}\n")

    assert judge_test(request.node, tmp_path, None) == []
    (tmp_path / "log").write_text("it was word-of-the-url")
    assert len(judge_test(request.node, tmp_path, None)) == 1
    (tmp_path / "log").unlink()


@pytest.mark.parametrize(
    "command",
    [
        ("HSET", "btc:price:state", "provider:kraken", "{}"),
        ("HSET", "btc:price:state", "{}", "1"),
        ("SET", "{}", "1"),
        ("SET", "note", "{}"),
        ("TS.CREATE", "series", "LABELS", "note", "{}"),
    ],
    ids=str,
)
def test_keys_values_and_labels_of_redis_are_scanned(
    command: tuple[str, ...], client: redis.Redis, server: Server, known: str, request: pytest.FixtureRequest
) -> None:
    client.execute_command(*(word.format(known) for word in command))

    assert len(judge_test(request.node, None, server)) == 1


def test_a_command_is_given_its_secrets_by_variables_arguments_and_files(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("key-of-the-file\n")
    given = {
        "REDIS_PASSWORD": "password-given",
        "API_KEY_FILE": f"{tmp_path}/key",
        "https_proxy": "http://me:pr%30xy1@h",
    }

    subprocess.run(["true", "--redis", "redis://someone:by-argument@h"], env=os.environ | given, check=True)

    assert EVIDENCE.secrets == {"password-given", "key-of-the-file", "pr0xy1", "someone", "by-argument"}


def test_what_the_product_calls_a_secret_is_one() -> None:
    foreign.conceal("concealed-word")
    EVIDENCE.record("somewhere", "the concealed-word")

    assert len(EVIDENCE.judge()) == 1


PLANTED = """
import logging, subprocess, sys
import pytest
from btcts.system import foreign

@pytest.fixture(autouse=True)
def secret():
    foreign.conceal("planted-word")

def test_it_is_printed(): print("planted-word")
def test_it_is_complained(): print("planted-word", file=sys.stderr)
def test_it_is_logged(): logging.getLogger("btcts").warning("planted-word")
def test_it_is_stored(tmp_path): (tmp_path / "x").write_text("a planted-word")
def test_nothing_is_wrong(tmp_path): (tmp_path / "x.toml").write_text("planted-word")
"""


def test_a_test_that_leaks_fails_at_its_end(tmp_path: Path) -> None:
    tests = Path(__file__).parents[1]
    (tmp_path / "conftest.py").write_text((tests / "conftest.py").read_text())
    (tmp_path / "test_planted.py").write_text(PLANTED)
    options = ["-p", "no:cacheprovider", "-p", "no:xdist", "-c", os.devnull, "--rootdir", str(tmp_path), "-rE", "-q"]

    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": f"{tests}:{tmp_path}"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )

    assert "5 passed, 4 errors" in done.stdout
    assert "test_nothing_is_wrong" not in done.stdout
    for kind in ("Captured stdout", "Captured stderr", "Captured log", "the file x"):
        assert kind.removeprefix("Captured ") in done.stdout
