"""The redis-servers that the tests start: whichever is named, and however much it says."""

import os
import select
import subprocess
import sys
from pathlib import Path

import pytest

from btcts.embedded.programs import Binaries, find_with_module
from support.redis_binaries import join, pinned
from support.servers import WITH_US, StartServer, connect

ROOT = Path(__file__).parents[2]

CONNECTIONS = 800
"""So many take a debugging server to say more than a pipe holds, which is 64 KiB."""


def test_a_server_that_says_a_lot_goes_on(start_server: StartServer) -> None:
    server = start_server("--loglevel", "debug")

    for _ in range(CONNECTIONS):
        with connect(server.socket, socket_timeout=5) as client:
            client.ping()
    with connect(server.socket, socket_timeout=5) as client:
        assert client.info("stats")["total_connections_received"] > CONNECTIONS


@pytest.mark.server
@pytest.mark.skipif(not WITH_US, reason="only setpriv of Linux ends a server with the process that has started it")
def test_a_server_ends_with_a_test_process_that_is_killed(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from support.servers import Server;"
        "print(Server(Path(sys.argv[1])).start().pid, flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]

    with subprocess.Popen(command, cwd=ROOT / "tests", stdin=subprocess.PIPE, stdout=subprocess.PIPE) as running:
        assert running.stdout
        server = os.pidfd_open(int(running.stdout.readline()))
        running.kill()
        ended = select.select([server], [], [], 30)[0]
        os.close(server)

    assert ended


@pytest.mark.server
def test_a_server_and_a_module_that_lie_apart_are_found_together() -> None:
    joined = join(pinned())

    assert find_with_module(joined.server) == Binaries(joined.server, pinned().module.resolve())
    assert subprocess.check_output([joined.server, "--version"]) == subprocess.check_output(
        [pinned().server, "--version"]
    )


@pytest.mark.server
def test_variables_of_the_tests_name_the_server(tmp_path: Path) -> None:
    server = tmp_path / "redis-server"
    server.symlink_to(pinned().server)
    named = {"BTCTS_TEST_REDIS_SERVER": str(server), "BTCTS_TEST_REDIS_MODULE": str(pinned().module)}
    code = "from support.redis_binaries import binaries; print(binaries())"

    said = subprocess.check_output(
        [sys.executable, "-c", code], env={**os.environ, **named}, cwd=ROOT / "tests", text=True
    )

    assert said == f"{Binaries(pinned().server.resolve(), pinned().module.resolve())}\n"


def test_where_no_redis_server_can_be_had_that_is_said_once_and_the_other_tests_are_run(tmp_path: Path) -> None:
    nowhere = {**os.environ, "BTCTS_TEST_REDIS_SERVER": str(tmp_path / "redis-server")}
    tests = ["tests/store/test_misdirected.py", "-k", "sentinel or says_nothing"]
    command = [sys.executable, "-m", "pytest", "-n", "0", "-p", "no:cacheprovider", *tests]

    def run(*options: str) -> tuple[int, str]:
        done = subprocess.run([*command, *options], env=nowhere, cwd=ROOT, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout

    code, said = run()
    assert code == pytest.ExitCode.INTERRUPTED
    assert len([line for line in said.splitlines() if str(tmp_path) in line and 'pytest -m "not server"' in line]) == 1
    assert run("-m", "not server")[0] == pytest.ExitCode.OK
