"""Standard streams that are closed, or that take no more: the command does its work and says what it can."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import redis

from cli.conftest import BTCTS
from support.series import TICK
from support.servers import Server, connect

Shell = Callable[[str], "subprocess.CompletedProcess[str]"]


@pytest.fixture
def shell(environ: dict[str, str], tmp_path: Path) -> Shell:
    """Run `btcts` by a line of the shell, where it is called $B."""

    def run(line: str) -> "subprocess.CompletedProcess[str]":
        own = environ | {"B": " ".join(BTCTS)}
        return subprocess.run(
            ["sh", "-c", line], env=own, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
        )

    return run


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_command_does_its_work_with_closed_streams(shell: Shell, client: redis.Redis, closed: str) -> None:
    done = shell(f"$B collect --once {closed}")

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert client.exists(TICK)


@pytest.mark.parametrize("command", ["show", "show --chart", "status", "config show", "--help", "collect --once -v"])
@pytest.mark.usefixtures("client")
def test_a_stdout_on_a_full_disk_is_said_in_one_line(shell: Shell, command: str) -> None:
    done = shell(f"$B {command} >/dev/full")

    assert done.returncode == 74
    assert "stdout" in done.stderr.splitlines()[-1]
    assert "(no space left" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


def test_a_stderr_on_a_full_disk_changes_no_exit_code(shell: Shell) -> None:
    assert shell("$B nonsense 2>/dev/full").returncode == 2


def test_a_log_on_a_full_disk_does_not_end_the_collector(
    environ: dict[str, str], server: Server, tmp_path: Path
) -> None:
    command = [*BTCTS, "collect", "--forever", "--interval", "1"]

    with (
        Path("/dev/full").open("w") as full,
        connect(server.socket) as client,
        subprocess.Popen(command, env=environ, cwd=tmp_path, stdout=full, stderr=subprocess.PIPE, text=True) as running,
    ):
        cycles = set()
        while len(cycles) < 3 and running.poll() is None:
            cycles.add(client.hget("btc:price:state", "last_cycle_ms"))
        running.terminate()
        _, said = running.communicate(timeout=30)

    assert len(cycles) == 3
    assert "Traceback" not in said


def test_quiet_and_verbose_contradict_each_other(shell: Shell) -> None:
    done = shell("$B status -q -v")

    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "--quiet and --verbose" in done.stderr


def test_documents_follow_a_closed_stdin(shell: Shell) -> None:
    assert json.loads(shell("$B show --format json <&-").stdout)["price"] is None


def test_an_alert_is_delivered_although_it_cannot_be_printed(shell: Shell, tmp_path: Path) -> None:
    shell("$B collect --once")

    delivered = shell(f"$B watch --once --above 1 --exec 'touch {tmp_path}/delivered' >/dev/full")
    alone = shell("$B watch --once --above 2 >/dev/full")
    later = shell("$B watch --once --above 2")

    assert (delivered.returncode, alone.returncode, later.returncode) == (0, 74, 0)
    assert (tmp_path / "delivered").exists()
    assert "above 2.00" in later.stdout
