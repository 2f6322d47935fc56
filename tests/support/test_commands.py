"""Forked commands find and do what those in processes of their own find and do."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import redis

from support.commands import BTCTS, MAIN, TESTS, ForkServer, Running
from support.servers import Server

PROBE = (sys.executable, "-m", "support.probe")
CALLED = "support.probe:main"


@pytest.fixture
def environ(server: Server, tmp_path: Path) -> dict[str, str]:
    """Hardly anything of this process, but what the interpreter reads at its start."""
    kept = {name: value for name, value in os.environ.items() if name.startswith(("PYTHON", "LC_", "LANG"))}
    return {
        **kept,
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "TZ": "Asia/Tokyo",
        "COLUMNS": "70",
        "REDIS_URL": f"unix://{server.socket}",
        "BTCTS_COLLECT_PROVIDERS": "coinbase",
        "BTCTS_PROVIDERS_COINBASE_URL": "http://127.0.0.1:9",
    }


def probe(running: Running) -> Any:
    out, err = running.communicate(timeout=60)
    assert (running.returncode, err or "") == (0, "")
    return json.loads(out)


@pytest.mark.parametrize("session", [False, True])
@pytest.mark.parametrize("stderr", [subprocess.PIPE, subprocess.DEVNULL])
def test_a_fork_finds_itself_where_a_fresh_process_does(
    commands: ForkServer, environ: dict[str, str], stderr: int, *, session: bool
) -> None:
    given = {**environ, "BYTES": "\udce9\n"}
    options: dict[str, Any] = {
        "env": given,
        "cwd": TESTS,
        "stdin": subprocess.DEVNULL,
        "stdout": subprocess.PIPE,
        "stderr": stderr,
        "text": True,
        "start_new_session": session,
    }
    before = os.umask(0o037)
    try:
        forked = probe(commands.fork(CALLED, ["a", "b c", "\udcff"], **options))
        fresh = probe(subprocess.Popen([*PROBE, "a", "b c", "\udcff"], **options))
    finally:
        os.umask(before)

    assert forked == fresh
    assert forked["environment"] == given
    assert forked["umask"] == 0o037


CALLS = (
    ["--version"],
    ["--help"],
    ["show", "hour", "--format", "json", "--at", "2026-01-01"],
    ["show"],
    ["status"],
    ["config", "show"],
    ["config", "path"],
    ["shwo"],
    ["collect"],
    ["collect", "--once", "-v"],
    ["verify", "--format", "json"],
)


@pytest.mark.parametrize("call", CALLS, ids=" ".join)
def test_a_fork_does_what_a_fresh_process_does(
    commands: ForkServer, environ: dict[str, str], client: redis.Redis, tmp_path: Path, call: list[str]
) -> None:
    done = commands.run(call, env=environ, cwd=tmp_path)
    client.flushall()
    fresh = subprocess.run([*BTCTS, *call], env=environ, cwd=tmp_path, capture_output=True, text=True, check=False)

    assert (done.returncode, timeless(done.stdout), timeless(done.stderr)) == (
        fresh.returncode,
        timeless(fresh.stdout),
        timeless(fresh.stderr),
    )


def timeless(text: str) -> str:
    """The text without its numbers, which depend on the time."""
    return re.sub(r"[-+]?\d[\d,.:]*", "N", text)


def test_a_variable_that_is_read_at_the_start_makes_a_fork_impossible(
    commands: ForkServer, environ: dict[str, str]
) -> None:
    assert commands.resembles(environ)
    for name in ("PYTHONOPTIMIZE", "LC_ALL", "_BTCTS_COMPLETE", "TYPER_USE_RICH"):
        assert not commands.resembles({**environ, name: "1"})


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_a_signal_ends_a_fork_as_it_ends_a_process(
    commands: ForkServer, environ: dict[str, str], tmp_path: Path, number: signal.Signals
) -> None:
    options: dict[str, Any] = {"env": environ, "cwd": tmp_path, "stdout": subprocess.PIPE, "text": True}
    call = ["show", "--watch", "--format", "json"]
    codes = []

    for running in (commands.fork(MAIN, call, **options), subprocess.Popen([*BTCTS, *call], **options)):
        with running:
            assert running.stdout
            running.stdout.readline()
            running.send_signal(number)
            codes.append(running.wait(30))

    assert codes[0] == codes[1] != 0


def test_a_fork_that_stops_says_so_and_goes_on(commands: ForkServer, environ: dict[str, str], tmp_path: Path) -> None:
    with commands.fork(MAIN, ["show", "--watch", "--format", "json"], env=environ, stdout=subprocess.PIPE) as running:
        assert running.stdout
        running.stdout.readline()
        running.send_signal(signal.SIGSTOP)
        status = running.wait_for_change()
        running.send_signal(signal.SIGCONT)
        running.terminate()
        code = running.wait(30)

    assert os.WIFSTOPPED(status)
    assert code == -signal.SIGTERM


def test_a_fork_whose_reader_has_gone_ends_with_1(
    commands: ForkServer, environ: dict[str, str], tmp_path: Path
) -> None:
    reader, writer = os.pipe()
    os.close(reader)

    done = commands.run(["--help"], env=environ, cwd=tmp_path, stdout=writer)
    fresh = subprocess.run([*BTCTS, "--help"], env=environ, stdout=writer, stderr=subprocess.PIPE, check=False)
    os.close(writer)

    assert (done.returncode, done.stderr) == (fresh.returncode, "") == (1, "")
