"""Stopping, seeing, and the foreground."""

import fcntl
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from btcts.embedded import Embedded
from btcts.embedded.places import hold_lock
from btcts.embedded.status import ask, listens
from btcts.errors import EmbeddedError
from embedded.endings import kill
from embedded.starters import foreground
from support.redis_binaries import binaries
from support.servers import connect


def test_stop_keeps_the_data(embedded: Embedded, said: list[str]) -> None:
    ask(embedded.ensure(said.append), "TS.ADD ticks 1000 64123.5")

    embedded.stop()

    embedded.start(said.append)
    with redis.Redis(unix_socket_path=str(embedded.socket)) as client:
        assert client.execute_command("TS.GET", "ticks") == [1000, 64123.5]


def test_after_a_stop_the_process_is_gone(embedded: Embedded, data_dir: Path, said: list[str]) -> None:
    embedded.ensure(said.append)

    status = embedded.stop()

    assert (status.running, status.stopped, status.pid) == (False, True, None)
    assert "bye bye" in (data_dir / "redis.log").read_text()


def test_nothing_starts_on_demand_after_a_stop(embedded: Embedded, said: list[str]) -> None:
    embedded.ensure(said.append)
    embedded.stop()

    with pytest.raises(EmbeddedError, match="`btcts server start`"):
        embedded.ensure(said.append)


def test_after_a_stop_no_server_is_even_looked_for(data_dir: Path, said: list[str]) -> None:
    embedded = Embedded(data_dir, redis_server=data_dir / "not-there")
    embedded.stop()

    with pytest.raises(EmbeddedError, match="`btcts server start`"):
        embedded.ensure(said.append)


def test_start_allows_starts_on_demand_again(embedded: Embedded, data_dir: Path, said: list[str]) -> None:
    embedded.stop()

    embedded.start(said.append)

    kill(data_dir)
    assert ask(embedded.ensure(said.append), "PING") == "+PONG"


def test_start_is_content_with_a_running_server(embedded: Embedded, said: list[str]) -> None:
    first = embedded.start(said.append)

    assert embedded.start(said.append) == first


def test_stop_before_the_first_start_still_forbids_starts(embedded: Embedded, said: list[str]) -> None:
    status = embedded.stop()

    assert (status.running, status.stopped) == (False, True)


def test_a_server_that_cannot_be_asked_to_end_is_told_with_its_pid(
    embedded: Embedded, data_dir: Path, said: list[str]
) -> None:
    embedded.ensure(said.append).unlink()
    pid = embedded.status().pid
    hasty = Embedded(data_dir, patience_s=0.02)

    with pytest.raises(EmbeddedError, match=rf"process {pid} .*after 0\.02 s"):
        hasty.stop()


def test_a_server_that_lost_its_lock_is_stopped_too(embedded: Embedded, data_dir: Path, said: list[str]) -> None:
    socket = embedded.ensure(said.append)
    (data_dir / "lock").unlink()

    status = embedded.stop()

    assert not status.running
    assert not listens(socket)


def test_a_hung_server_that_lost_its_lock_is_not_taken_for_stopped(
    embedded: Embedded, data_dir: Path, said: list[str], request: pytest.FixtureRequest
) -> None:
    embedded.ensure(said.append)
    pid = embedded.status().pid
    assert pid
    request.addfinalizer(lambda: os.kill(pid, signal.SIGKILL))
    os.kill(pid, signal.SIGSTOP)
    (data_dir / "lock").unlink()

    with pytest.raises(EmbeddedError, match=rf"process {pid} .*after 0\.02 s"):
        Embedded(data_dir, patience_s=0.02).stop()


def test_the_server_of_another_host_is_not_taken_for_stopped(
    embedded: Embedded, data_dir: Path, said: list[str], tmp_path: Path
) -> None:
    embedded.ensure(said.append)
    kill(data_dir)
    (data_dir / "lock").write_text("atlantis\n")
    (tmp_path / "mountinfo").write_text("1 0 0:9 / / rw - nfs server:/ rw\n")

    with pytest.raises(EmbeddedError, match="of host atlantis"):
        Embedded(data_dir, mounts=tmp_path / "mountinfo").stop()


@pytest.mark.server
@pytest.mark.parametrize("lost", ["the socket", "its folder"])
def test_a_server_whose_socket_was_removed_is_stopped_too(lost: str, deep_dir: Path, said: list[str]) -> None:
    embedded = Embedded(deep_dir, redis_server=binaries().server)
    socket = embedded.ensure(said.append)
    pid = embedded.status().pid
    socket.unlink()
    if lost == "its folder":
        socket.parent.rmdir()

    status = embedded.stop()

    assert pid
    assert (status.running, status.pid) == (False, None)
    assert "User requested shutdown" in (deep_dir / "redis.log").read_text()


def test_a_stranger_that_has_the_number_of_the_server_is_left_alone(
    embedded: Embedded, data_dir: Path, said: list[str]
) -> None:
    embedded.ensure(said.append).unlink()
    server = (data_dir / "redis.pid").read_text()
    with subprocess.Popen(["sleep", "60"]) as stranger:
        (data_dir / "redis.pid").write_text(f"{stranger.pid}\n")

        with pytest.raises(EmbeddedError, match=r"after 0\.5 s"):
            Embedded(data_dir, patience_s=0.5).stop()

        assert stranger.poll() is None
        stranger.kill()
    (data_dir / "redis.pid").write_text(server)


def test_status_creates_nothing(embedded: Embedded, data_dir: Path) -> None:
    status = embedded.status()

    assert (status.running, status.stopped, status.pid, status.version) == (False, False, None, None)
    assert not data_dir.exists()


def test_status_knows_the_process_and_the_versions(embedded: Embedded, data_dir: Path, said: list[str]) -> None:
    embedded.ensure(said.append)

    status = embedded.status()

    assert (status.running, status.data_dir, status.socket) == (True, data_dir, data_dir / "redis.sock")
    with connect(status.socket) as client:
        number = next(module["ver"] for module in client.module_list() if module["name"] == "timeseries")
        assert status.version == client.info("server")["redis_version"]
    assert status.module_version == f"{number // 10_000}.{number // 100 % 100}.{number % 100}"
    assert ask(status.socket, "INFO").count(f"process_id:{status.pid}\r\n") == 1


@pytest.mark.parametrize("content", [b"\xff\xfe\x00\x80", b"7" * 5000, b"0", b""])
def test_status_does_without_the_number_of_the_process_where_its_file_is_damaged(
    content: bytes, embedded: Embedded, data_dir: Path, said: list[str]
) -> None:
    embedded.ensure(said.append)
    whole = (data_dir / "redis.pid").read_bytes()
    (data_dir / "redis.pid").write_bytes(content)

    status = embedded.status()

    (data_dir / "redis.pid").write_bytes(whole)
    assert (status.running, status.pid) == (True, None)


def test_status_tells_a_process_that_does_not_answer(embedded: Embedded, said: list[str]) -> None:
    embedded.ensure(said.append).unlink()

    status = embedded.status()

    assert not status.running
    assert status.pid is not None


def test_run_becomes_the_server_and_ends_in_good_order_on_sigterm(
    embedded: Embedded, data_dir: Path, said: list[str]
) -> None:
    with foreground(data_dir) as process:
        assert embedded.status().pid == process.pid
        ask(embedded.socket, "TS.ADD ticks 1000 64123.5")
        process.send_signal(signal.SIGTERM)
        process.communicate()

    assert process.returncode == 0
    with redis.Redis(unix_socket_path=str(embedded.ensure(said.append))) as client:
        assert client.execute_command("TS.GET", "ticks") == [1000, 64123.5]


def test_run_holds_the_lock_as_long_as_it_lives(embedded: Embedded, data_dir: Path, said: list[str]) -> None:
    with foreground(data_dir) as process:
        kill(data_dir)
        process.communicate()

    assert embedded.ensure(said.append) == embedded.socket


def test_run_refuses_to_be_the_second(embedded: Embedded, data_dir: Path, said: list[str]) -> None:
    embedded.ensure(said.append)
    pid = embedded.status().pid

    with foreground(data_dir) as process:
        assert process.stderr
        complaint = process.stderr.read()

    assert f"process {pid} is already" in complaint


@pytest.mark.server
def test_a_lock_that_is_free_again_in_a_moment_can_be_waited_for(data_dir: Path) -> None:
    data_dir.mkdir()
    lock = data_dir / "lock"

    with hold_lock(lock) as first:
        assert first is not None

        def attempts() -> Iterator[None]:
            yield
            fcntl.flock(first, fcntl.LOCK_UN)
            yield

        with hold_lock(lock, attempts()) as second:
            assert second is not None


def test_run_counts_as_a_start_by_hand(embedded: Embedded, data_dir: Path) -> None:
    embedded.stop()

    with foreground(data_dir) as process:
        status = embedded.status()
        process.terminate()
        process.communicate()

    assert (status.running, status.stopped) == (True, False)


@pytest.mark.server
@pytest.mark.parametrize("place", ["data_dir", "deep_dir"])
def test_a_server_that_is_discarded_leaves_nothing_outside_of_its_data_directory(
    place: str, request: pytest.FixtureRequest, said: list[str]
) -> None:
    folder: Path = request.getfixturevalue(place)
    embedded = Embedded(folder, redis_server=binaries().server)
    embedded.ensure(said.append)

    embedded.discard()

    assert embedded.status().pid is None
    assert embedded.socket.parent.exists() is (place == "data_dir")
