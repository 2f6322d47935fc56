"""Starting on demand: one server, private, and the same for whoever asks."""

import errno
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import redis

from btcts.embedded import Embedded
from btcts.embedded.launch import launch, recover
from btcts.embedded.places import Places, hold_lock, is_in_use
from btcts.embedded.status import ask
from btcts.errors import EmbeddedError
from embedded.endings import bury, kill
from embedded.starters import starter
from support.redis_binaries import binaries, pinned


def test_the_first_command_that_needs_it_gets_a_server_with_timeseries(embedded: Embedded, said: list[str]) -> None:
    socket = embedded.ensure(said.append)

    assert ask(socket, "TS.CREATE ticks") == "+OK"


def test_one_line_says_that_a_server_was_started_and_which_and_where_its_data_are(
    embedded: Embedded, data_dir: Path, said: list[str]
) -> None:
    embedded.ensure(said.append)

    assert len(said) == 1
    assert f"({binaries().server})" in said[0]
    assert f"{data_dir}/db" in said[0]


def test_nothing_is_said_when_the_server_of_the_first_start_is_started_again(
    embedded: Embedded, data_dir: Path, said: list[str]
) -> None:
    embedded.ensure(print)
    kill(data_dir)

    embedded.ensure(said.append)

    assert said == []


@pytest.mark.server
def test_nothing_is_said_at_the_start_of_what_was_fetched_just_now(data_dir: Path, said: list[str]) -> None:
    data_dir.mkdir()
    (data_dir / "redis").symlink_to(pinned().server.parents[2])
    embedded = Embedded(data_dir)
    embedded.install(said.append)

    embedded.ensure(said.append)

    assert said == []


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_starter_whose_streams_are_closed_hands_the_lock_on_all_the_same(
    closed: str, embedded: Embedded, data_dir: Path
) -> None:
    with starter(data_dir, closed) as process:
        process.communicate()

    assert embedded.status().running
    assert is_in_use(data_dir / "lock")


def test_the_next_command_finds_the_same_server(embedded: Embedded, data_dir: Path, said: list[str]) -> None:
    embedded.ensure(said.append)
    first = embedded.status().pid

    Embedded(data_dir).ensure(said.append)

    assert embedded.status().pid == first


def test_twenty_first_starts_at_once_come_to_one_server(embedded: Embedded, data_dir: Path) -> None:
    starters = [starter(data_dir) for _ in range(20)]

    answers = [process.communicate() for process in starters]

    assert {out for out, _ in answers} == {f"{embedded.socket}\n"}
    assert sum(err.startswith("starting") for _, err in answers) == 1
    assert (data_dir / "redis.log").read_text().count("Server initialized") == 1


def test_a_server_that_came_up_is_of_use_although_the_disk_takes_no_record_of_it(
    embedded: Embedded, data_dir: Path, said: list[str]
) -> None:
    (data_dir / "binaries").mkdir(parents=True)

    embedded.ensure(said.append)

    assert embedded.status().running
    assert list(data_dir.glob("binaries.*")) == []


def test_the_server_outlives_its_starter_in_a_session_of_its_own(embedded: Embedded, data_dir: Path) -> None:
    with starter(data_dir) as process:
        process.communicate()

    pid = embedded.status().pid
    assert pid is not None
    assert os.getsid(pid) == pid


def test_it_listens_on_its_socket_only_and_keeps_every_key(embedded: Embedded, said: list[str]) -> None:
    with redis.Redis(unix_socket_path=str(embedded.ensure(said.append)), decode_responses=True) as client:
        settings = client.config_get("*")
        modules = client.module_list()

    expected = {"port": "0", "tls-port": "0", "appendonly": "yes", "appendfsync": "everysec", "save": ""}
    assert {name: settings[name] for name in expected} == expected
    assert settings["maxmemory-policy"] == "noeviction"
    assert {module["name"] for module in modules} - {"vectorset"} == {"timeseries"}  # that one is part of Redis 8


def test_nobody_else_can_enter(embedded: Embedded, data_dir: Path, said: list[str]) -> None:
    socket = embedded.ensure(said.append)

    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (data_dir, data_dir / "db", socket)}

    assert modes == {"data": 0o700, "db": 0o700, "redis.sock": 0o700}


def test_the_server_inherits_no_descriptor_of_its_starter(embedded: Embedded, said: list[str]) -> None:
    read_end, write_end = os.pipe()
    os.set_inheritable(write_end, True)

    embedded.ensure(said.append)

    os.close(write_end)
    os.set_blocking(read_end, False)
    assert os.read(read_end, 1) == b""
    os.close(read_end)


def test_a_locale_that_is_not_installed_does_not_matter(
    embedded: Embedded, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LC_ALL", "xx_XX.UTF-8")

    socket = embedded.ensure(said.append)

    assert ask(socket, "PING") == "+PONG"


def test_what_was_synced_survives_sigkill_and_the_dead_socket_is_replaced(
    embedded: Embedded, data_dir: Path, said: list[str]
) -> None:
    with redis.Redis(unix_socket_path=str(embedded.ensure(said.append))) as client:
        client.execute_command("TS.ADD", "ticks", 1000, 64123.5)
        client.execute_command("WAITAOF", 1, 0, 0)
    kill(data_dir)
    assert embedded.socket.is_socket()

    embedded.ensure(said.append)

    with redis.Redis(unix_socket_path=str(embedded.socket)) as client:
        assert client.execute_command("TS.GET", "ticks") == [1000, 64123.5]


@pytest.mark.server
@pytest.mark.parametrize("name", ["with space", "it's", 'say "hi"', "100%", "naïve", "--port"])
def test_any_folder_name_will_do(name: str, data_dir: Path, said: list[str]) -> None:
    odd_dir = data_dir / name

    try:
        socket = Embedded(odd_dir, redis_server=binaries().server).ensure(said.append)

        assert ask(socket, "PING") == "+PONG"
    finally:
        bury(odd_dir, odd_dir)


@pytest.mark.server
def test_a_path_too_long_for_a_socket_leads_to_a_private_folder(deep_dir: Path, said: list[str]) -> None:
    embedded = Embedded(deep_dir, redis_server=binaries().server)

    socket = embedded.ensure(said.append)

    assert ask(socket, "PING") == "+PONG"
    assert len(os.fsencode(socket)) < 100
    assert stat.S_IMODE(socket.parent.stat().st_mode) == 0o700


@pytest.mark.server
def test_the_socket_is_the_same_through_a_symbolic_link(deep_dir: Path, data_dir: Path) -> None:
    deep_dir.mkdir(parents=True)
    (data_dir / "link").symlink_to(deep_dir)

    assert Embedded(data_dir / "link").socket == Embedded(deep_dir).socket


def test_neither_tmpdir_nor_the_runtime_folder_move_the_socket(
    deep_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = Embedded(deep_dir).socket
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))

    assert Embedded(deep_dir).socket == before


@pytest.mark.server
def test_a_socket_folder_open_to_others_is_refused(deep_dir: Path, said: list[str]) -> None:
    embedded = Embedded(deep_dir, redis_server=binaries().server)
    folder = embedded.socket.parent
    folder.mkdir(mode=0o755)

    with pytest.raises(EmbeddedError, match=f"{folder} is not .*private"):
        embedded.ensure(said.append)


@pytest.mark.server
def test_a_socket_folder_behind_a_symbolic_link_is_refused(deep_dir: Path, said: list[str], tmp_path: Path) -> None:
    embedded = Embedded(deep_dir, redis_server=binaries().server)
    folder = embedded.socket.parent
    folder.symlink_to(tmp_path)

    with pytest.raises(EmbeddedError, match=f"{folder} is not .*private"):
        embedded.ensure(said.append)


def test_a_lock_held_by_a_process_that_does_not_answer_is_told_with_its_pid(
    embedded: Embedded, data_dir: Path, said: list[str]
) -> None:
    embedded.ensure(said.append).unlink()
    pid = embedded.status().pid
    hasty = Embedded(data_dir, redis_server=binaries().server, patience_s=0.02)

    with pytest.raises(EmbeddedError, match=rf"process {pid} .*{data_dir}/lock"):
        hasty.ensure(said.append)


def test_who_is_in_a_hurry_waits_for_a_lock_no_longer_than_that(
    embedded: Embedded, data_dir: Path, said: list[str]
) -> None:
    embedded.ensure(said.append).unlink()

    with pytest.raises(EmbeddedError, match=r"after 0\.02 s"):
        Embedded(data_dir, redis_server=binaries().server).ensure(said.append, within_s=0.02)


def test_a_server_that_somebody_else_is_starting_is_waited_for(
    embedded: Embedded, data_dir: Path, said: list[str]
) -> None:
    places = Places(data_dir)
    places.create()
    with hold_lock(places.lock) as lock:
        assert lock is not None
        launch(binaries(), places, lock)

    socket = embedded.ensure(said.append)

    assert ask(socket, "PING") == "+PONG"
    assert places.log.read_text().count("Server initialized") == 1


def test_a_server_that_was_told_to_end_while_it_came_up_may_be_started_again(
    embedded: Embedded, data_dir: Path, said: list[str]
) -> None:
    places = Places(data_dir)
    places.create()
    with hold_lock(places.lock) as lock:
        assert lock is not None
        begin = launch(binaries(), places, lock)
    embedded.stop()

    recover(places, begin, said.append)

    assert said == []


@pytest.fixture
def on_network(data_dir: Path, tmp_path: Path) -> Embedded:
    """The embedded Redis of the same data directory, which lies on a network file system by the table of mounts."""
    mounts = tmp_path / "mountinfo"
    mounts.write_text(
        "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n"
        f"2 1 0:9 / {data_dir.parent} rw shared:3 - nfs4 server:/export rw\n"
        f"3 1 8:2 / {data_dir.parent}-like rw - ext4 /dev/sdb1 rw\n"
    )
    return Embedded(data_dir, redis_server=binaries().server, mounts=mounts)


@pytest.mark.server
def test_a_data_directory_in_use_by_another_host_is_refused(
    on_network: Embedded, data_dir: Path, said: list[str]
) -> None:
    on_network.ensure(said.append)
    kill(data_dir)
    (data_dir / "lock").write_text("atlantis\n")

    with pytest.raises(EmbeddedError, match=f"host atlantis, .*{os.uname().nodename}"):
        on_network.ensure(said.append)


def rename_host(data_dir: Path) -> None:
    """Let the files of a killed server say that the host was called otherwise when it was started."""
    for name in ("lock", "machine"):
        file = data_dir / name
        file.write_text(file.read_text().replace(os.uname().nodename, "atlantis"))


def test_a_host_that_changed_its_name_after_a_crash_starts_its_server_again(
    embedded: Embedded, data_dir: Path, said: list[str]
) -> None:
    embedded.ensure(said.append)
    kill(data_dir)
    rename_host(data_dir)

    embedded.ensure(said.append)

    assert embedded.status().running
    assert (data_dir / "lock").read_text() == f"{os.uname().nodename}\n"


def test_the_name_alone_is_no_obstacle_where_only_this_machine_has_the_files(
    embedded: Embedded, data_dir: Path, said: list[str]
) -> None:
    embedded.ensure(said.append)
    kill(data_dir)
    (data_dir / "lock").write_text("atlantis\n")
    (data_dir / "machine").unlink()

    embedded.ensure(said.append)

    assert embedded.status().running


@pytest.mark.server
def test_a_machine_that_is_known_by_its_ids_may_change_its_name_on_a_network_file_system(
    on_network: Embedded, data_dir: Path, said: list[str]
) -> None:
    on_network.ensure(said.append)
    kill(data_dir)
    rename_host(data_dir)

    on_network.ensure(said.append)

    assert on_network.status().running


@pytest.mark.server
def test_ids_that_a_third_host_left_behind_are_no_proof(on_network: Embedded, data_dir: Path, said: list[str]) -> None:
    on_network.ensure(said.append)
    kill(data_dir)
    rename_host(data_dir)
    (data_dir / "lock").write_text("lemuria\n")

    with pytest.raises(EmbeddedError, match="of host lemuria"):
        on_network.ensure(said.append)


def test_a_data_directory_that_another_host_left_in_good_order_is_taken_over(
    embedded: Embedded, data_dir: Path, said: list[str]
) -> None:
    embedded.start(said.append)
    embedded.stop()
    (data_dir / "lock").write_text("atlantis\n")

    status = embedded.start(said.append)

    assert status.running
    assert (data_dir / "lock").read_text() == f"{os.uname().nodename}\n"


def test_bytes_that_are_no_text_in_the_lock_are_no_obstacle(
    embedded: Embedded, data_dir: Path, said: list[str]
) -> None:
    data_dir.mkdir()
    (data_dir / "lock").write_bytes(b"\xff\xfe\x00\x80\n\x1b[31m")

    assert embedded.start(said.append).running


@pytest.mark.server
def test_a_damaged_lock_of_a_server_that_was_killed_is_told_in_one_printable_line(
    on_network: Embedded, data_dir: Path, said: list[str]
) -> None:
    on_network.ensure(said.append)
    kill(data_dir)
    (data_dir / "lock").write_bytes(b"\xff\n\x1b[31m" * 1000)

    with pytest.raises(EmbeddedError, match="of host") as refused:
        on_network.ensure(said.append)

    assert str(refused.value).isprintable()
    assert len(str(refused.value)) < 600


@pytest.mark.server
@pytest.mark.parametrize("act", ["ensure", "start", "prepare", "install"])
def test_a_name_that_is_too_long_for_a_folder_is_an_error_that_names_it(
    act: str, tmp_path: Path, said: list[str]
) -> None:
    folder = tmp_path / ("x" * 300)
    embedded = Embedded(folder, redis_server=binaries().server)

    with pytest.raises(EmbeddedError, match=f"cannot use {folder} ") as refused:
        getattr(embedded, act)(said.append)

    reason = os.strerror(errno.ENAMETOOLONG).lower()
    assert f" ({reason}: {folder}" in str(refused.value)


@pytest.mark.server
def test_a_loop_of_links_is_an_error_that_names_it(tmp_path: Path, said: list[str]) -> None:
    loop = tmp_path / "loop"
    loop.symlink_to(loop)

    with pytest.raises(EmbeddedError, match=f"cannot use {loop}"):
        Embedded(loop, redis_server=binaries().server).ensure(said.append)


def test_preparing_finds_the_server_and_starts_none(embedded: Embedded, data_dir: Path, said: list[str]) -> None:
    embedded.prepare(said.append)

    assert said == []
    assert not embedded.status().running


def test_preparing_refuses_a_server_without_the_module(data_dir: Path, another_server: Path, said: list[str]) -> None:
    another_server.with_name("redistimeseries.so").unlink()

    with pytest.raises(EmbeddedError, match="redistimeseries"):
        Embedded(data_dir, redis_server=another_server).prepare(said.append)


@pytest.mark.parametrize("state", ["running", "stopped"])
def test_nothing_is_prepared_where_nothing_will_be_started(
    state: str, embedded: Embedded, data_dir: Path, another_server: Path, said: list[str]
) -> None:
    embedded.start(print)
    if state == "stopped":
        embedded.stop()
    another_server.with_name("redistimeseries.so").unlink()

    Embedded(data_dir, redis_server=another_server).prepare(said.append)

    assert said == []


def test_an_overlong_log_is_put_aside_at_the_next_start(embedded: Embedded, data_dir: Path, said: list[str]) -> None:
    data_dir.mkdir()
    (data_dir / "redis.log").write_bytes(b"x" * (1 << 20) + b"x")

    embedded.ensure(said.append)

    assert (data_dir / "redis.log.1").stat().st_size == (1 << 20) + 1
    assert "Ready to accept" in (data_dir / "redis.log").read_text()


def test_importing_it_is_cheap() -> None:
    program = (
        "import sys, btcts.embedded; print(sorted({'redis', 'subprocess', 'tempfile', 'shutil'} & set(sys.modules)))"
    )

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout == "[]\n"
