"""Data that the server refuses are put aside; a server that fails for another reason leaves them alone."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import redis

from btcts.embedded import Embedded
from btcts.embedded.status import ask
from btcts.errors import EmbeddedError
from embedded.starters import foreground

AOF = "db/appendonlydir"


def flip(start: int, length: int) -> Callable[[bytes], bytes]:
    def damage(content: bytes) -> bytes:
        flipped = bytes(byte ^ 0xFF for byte in content[start : start + length])
        return content[:start] + flipped + content[start + length :]

    return damage


def filled(embedded: Embedded) -> None:
    """Leave a stopped server with a snapshot and commands after it in its append-only files."""
    embedded.start(lambda _: None)
    with redis.Redis(unix_socket_path=str(embedded.socket)) as client:
        for stamp in range(1000):
            client.execute_command("TS.ADD", "ticks", stamp, 64123.5)
    embedded.stop()


def put_aside(data_dir: Path) -> list[Path]:
    return list(data_dir.glob("broken-*"))


def test_data_of_a_newer_redis_stay_where_they_are(embedded: Embedded, data_dir: Path, said: list[str]) -> None:
    filled(embedded)
    snapshot = data_dir / AOF / "appendonly.aof.1.base.rdb"
    snapshot.write_bytes(b"REDIS0099" + snapshot.read_bytes()[9:])

    with pytest.raises(EmbeddedError, match=rf"{data_dir}/db .*newer.*; .*BTCTS_REDIS_SERVER"):
        embedded.start(said.append)

    assert put_aside(data_dir) == []
    assert said == []


@pytest.mark.parametrize(
    ("file", "damage"),
    [
        pytest.param("appendonly.aof.1.incr.aof", flip(5000, 64), id="bytes flipped among the commands"),
        pytest.param("appendonly.aof.1.incr.aof", flip(5, 1), id="a length flipped at their begin"),
        pytest.param("appendonly.aof.1.base.rdb", flip(20, 8), id="bytes flipped in the snapshot"),
        pytest.param("appendonly.aof.manifest", flip(0, 4), id="bytes flipped in the manifest"),
        pytest.param("appendonly.aof.manifest", lambda _: b"", id="the manifest emptied"),
    ],
)
def test_damaged_data_are_put_aside_and_one_line_says_so(
    file: str, damage: Callable[[bytes], bytes], embedded: Embedded, data_dir: Path, said: list[str]
) -> None:
    filled(embedded)
    damaged = data_dir / AOF / file
    damaged.write_bytes(damage(damaged.read_bytes()))

    socket = embedded.start(said.append).socket

    (broken,) = put_aside(data_dir)
    assert ask(socket, "DBSIZE") == ":0"
    assert len(said) == 1
    assert str(broken) in said[0]
    assert (broken / "appendonlydir" / file).exists()


def test_a_missing_file_of_commands_is_damage_too(embedded: Embedded, data_dir: Path, said: list[str]) -> None:
    filled(embedded)
    (data_dir / AOF / "appendonly.aof.1.incr.aof").unlink()

    embedded.start(said.append)

    assert len(put_aside(data_dir)) == 1


def test_a_command_cut_off_by_a_crash_costs_that_command_only(
    embedded: Embedded, data_dir: Path, said: list[str]
) -> None:
    filled(embedded)
    commands = data_dir / AOF / "appendonly.aof.1.incr.aof"
    commands.write_bytes(commands.read_bytes()[:-10])

    embedded.start(said.append)

    with redis.Redis(unix_socket_path=str(embedded.socket)) as client:
        assert client.execute_command("TS.GET", "ticks") == [998, 64123.5]
    assert said == []


def test_data_that_cannot_be_opened_stay_where_they_are(embedded: Embedded, data_dir: Path, said: list[str]) -> None:
    filled(embedded)
    commands = data_dir / AOF / "appendonly.aof.1.incr.aof"
    commands.unlink()
    commands.mkdir()

    with pytest.raises(EmbeddedError, match=rf"redis-server .* \(.*{os.strerror(errno.EISDIR)}\)"):
        embedded.start(said.append)

    assert put_aside(data_dir) == []


def test_a_module_that_cannot_be_loaded_leaves_the_data_alone(
    embedded: Embedded, data_dir: Path, said: list[str], another_server: Path
) -> None:
    filled(embedded)
    module = another_server.with_name("redistimeseries.so")
    module.unlink()
    module.write_text("not a module")

    with pytest.raises(EmbeddedError, match=f"load module from {module}"):
        Embedded(data_dir, redis_server=another_server).start(said.append)

    assert put_aside(data_dir) == []


def test_a_server_that_the_loader_rejects_leaves_the_data_alone(
    embedded: Embedded, data_dir: Path, said: list[str], another_server: Path
) -> None:
    filled(embedded)
    another_server.write_text("#!/bin/sh\necho 'libssl.so.3: cannot open shared object file' >&2\nexit 127\n")

    with pytest.raises(EmbeddedError, match=r"\(libssl.so.3: "):
        Embedded(data_dir, redis_server=another_server).start(said.append)

    assert put_aside(data_dir) == []


def test_the_foreground_puts_damaged_data_aside_as_well(embedded: Embedded, data_dir: Path) -> None:
    filled(embedded)
    (data_dir / AOF / "appendonly.aof.manifest").write_bytes(b"")

    with foreground(data_dir) as process:
        answer = ask(embedded.socket, "DBSIZE")
        process.terminate()
        complaints = process.communicate()[1]

    (broken,) = put_aside(data_dir)
    assert answer == ":0"
    assert len(complaints.splitlines()) == 1
    assert str(broken) in complaints
