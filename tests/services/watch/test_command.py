"""Alerts as runs of a command: what it gets, what it may not see, and how it fails."""

import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from btcts.config import list_settings
from btcts.errors import ConfigError
from btcts.providers import default_endpoints
from btcts.services.watch.command import SECRETS, Program, parse_command, pass_on
from btcts.services.watch.outbox import Undelivered

SECRET = "s3cr3t"


def shell(script: str, timeout_s: float = 20.0) -> Program:
    """A command that runs this."""
    return Program(("sh", "-c", script), timeout_s)


def test_a_command_gets_the_document_on_its_stdin_and_values_in_its_environment(tmp_path: Path) -> None:
    problem = shell(f'cat > {tmp_path}/in; printf %s "$BTCTS_ALERT_MESSAGE$HOME" > {tmp_path}/env').run(
        '{"price": 1}', {"BTCTS_ALERT_MESSAGE": "$(id); a 'b' \"c\"\n"}
    )

    assert problem is None
    assert (tmp_path / "in").read_text() == '{"price": 1}'
    assert (tmp_path / "env").read_text() == "$(id); a 'b' \"c\"\n" + os.environ.get("HOME", "")


def test_a_command_gets_no_secret_of_ours_and_all_else() -> None:
    login = f"user:{SECRET}@proxy.example:3128"
    mine = {"PATH": "/bin", "SLACK_TOKEN": "mine", "DATABASE_URL": "postgres://me:mine@db", "NO_PROXY": "localhost"}
    kept = {
        **mine,
        "REDIS_URL": "redis://127.0.0.1:6379/0",
        "REDIS_PASSWORD_FILE": "/run/secrets/redis",
        "API_KEY_FILE": "/run/secrets/key",
        "BTCTS_DATA_DIR": "/var/lib/btcts",
        "https_proxy": "http://proxy.example:3128",
    }
    secret = {
        "API_KEY": SECRET,
        "REDIS_PASSWORD": SECRET,
        "HTTPS_PROXY": f"http://{login}",
        "http_proxy": login,
        "ALL_PROXY": f"socks5://{login}",
        "BTCTS_PROVIDERS_KRAKEN_URL": f"http://{login}",
    }

    assert pass_on(kept | secret) == kept
    assert pass_on({"REDIS_URL": f"redis://:{SECRET}@127.0.0.1"}) == {}
    assert pass_on({"REDIS_URL": f"redis+sentinel://h/main?sentinel_password={SECRET}"}) == {}


def test_every_secret_setting_is_kept_from_commands() -> None:
    assert {setting.variable for setting in list_settings(default_endpoints()).values() if setting.secret} == SECRETS


def test_what_a_command_prints_goes_to_our_stderr() -> None:
    run = (
        "from btcts.services.watch.command import Program\nProgram(('sh', '-c', 'echo out; echo err >&2')).run('', {})"
    )

    done = subprocess.run([sys.executable, "-c", run], capture_output=True, text=True, timeout=30, check=True)

    assert (done.stdout, sorted(done.stderr.split())) == ("", ["err", "out"])


def test_a_command_is_split_as_a_shell_would_and_no_shell_interprets_it(tmp_path: Path) -> None:
    script = tmp_path / "say"
    script.write_text(f'#!/bin/sh\nprintf "%s|" "$@" > {tmp_path}/said\n')
    script.chmod(0o700)

    problem = parse_command(f"{script} 'one two' $HOME *; echo").run("", {})

    assert problem is None
    assert (tmp_path / "said").read_text() == "one two|$HOME|*;|echo|"


def test_a_command_that_reads_nothing_has_not_failed() -> None:
    assert shell("exec <&-; exit 0").run("x" * 1_000_000, {}) is None


@pytest.mark.parametrize(
    ("script", "problem"), [("exit 3", "sh ended with exit code 3"), ("kill -9 $$", "sh was ended by signal 9")]
)
def test_a_command_that_fails_is_said_with_its_code(script: str, problem: str) -> None:
    assert shell(script).run("", {}) == Undelivered(problem)


def test_a_command_that_is_gone_is_said() -> None:
    failure = Program(("/nowhere/notify", SECRET)).run("", {})

    assert failure
    assert failure.problem.startswith("/nowhere/notify ")
    assert SECRET not in failure.problem


def test_a_command_that_takes_too_long_is_ended_with_all_its_processes(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)

    failure = shell(f"sleep 60 > {pipe} & wait", timeout_s=0.3).run("", {})

    # The pipe is at its end when the last process that could write to it is gone.
    os.set_blocking(reader, True)
    assert os.read(reader, 1) == b""
    os.close(reader)
    assert failure
    assert failure.problem.startswith("sh ")
    assert " 0.3 s" in failure.problem


STUBBORN = "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nsignal.pause()"


def test_a_command_that_will_not_end_is_killed() -> None:
    failure = Program((sys.executable, "-c", STUBBORN), timeout_s=1.0, grace_s=0.1).run("", {})

    assert failure
    assert f"{sys.executable} took more than 1 s" in failure.problem


def test_a_command_of_another_user_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: int) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "killpg", refuse)  # only root could start a process that we may not end
    os.mkfifo(tmp_path / "pipe")
    program = Program(("sh", "-c", f"read word < {tmp_path}/pipe"), timeout_s=0.3, grace_s=0.1)

    failure = program.run("", {})

    (tmp_path / "pipe").write_text("")  # now it ends
    assert failure == Undelivered("sh took more than 0.3 s and could not be ended")


def test_an_interrupt_ends_the_command_that_is_running() -> None:
    run = (
        "from btcts.services.watch.command import Program\n"
        "Program(('sh', '-c', 'read word; echo $$ >&2; exec sleep 60')).run('begin\\n', {})"
    )
    with subprocess.Popen([sys.executable, "-c", run], stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr
        pid = int(process.stderr.readline())
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=20)

    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


@pytest.mark.parametrize(
    ("text", "said"), [("", "names no command"), ("a 'b", "close what you quote"), ("nowhere-to-be-found x", "program")]
)
def test_a_malformed_command_is_refused_before_it_is_needed(text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        parse_command(text)


@given(words=st.lists(st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1), max_size=5))
def test_quoted_words_arrive_as_they_are(words: list[str]) -> None:
    assert parse_command(shlex.join(["sh", *words])).arguments == ("sh", *words)
