"""Which redis-server is taken."""

import os
from pathlib import Path

import pytest

from btcts.embedded import Embedded
from btcts.embedded.programs import Binaries
from btcts.errors import EmbeddedError
from embedded.endings import kill
from support.redis_binaries import binaries, pinned


@pytest.fixture(autouse=True)
def _bare_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No redis-server of this machine on PATH."""
    monkeypatch.setenv("PATH", str(tmp_path / "nothing-here"))


def put_on_path(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{os.environ['PATH']}{os.pathsep}{folder}")


def test_without_any_server_nothing_is_found(data_dir: Path) -> None:
    assert Embedded(data_dir).find() is None


def test_a_server_on_path_is_found_with_the_module_beside_it(
    data_dir: Path, another_server: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_on_path(another_server.parent, monkeypatch)

    assert Embedded(data_dir).find() == Binaries(another_server, binaries().module.resolve())


@pytest.mark.parametrize("modules", ["lib", "lib/redis/modules"])
def test_the_module_may_lie_where_packages_put_it(
    modules: str, data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, module = tmp_path / "bin/redis-server", tmp_path / modules / "redistimeseries.so"
    for file in (server, module):
        file.parent.mkdir(parents=True)
        file.touch(mode=0o755)
    put_on_path(server.parent, monkeypatch)

    assert Embedded(data_dir).find() == Binaries(server, module)


def test_a_server_on_path_without_the_module_is_passed_over(
    data_dir: Path, another_server: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    another_server.with_name("redistimeseries.so").unlink()
    put_on_path(another_server.parent, monkeypatch)

    assert Embedded(data_dir).find() is None


@pytest.mark.server
def test_the_installed_binaries_are_found(data_dir: Path) -> None:
    data_dir.mkdir()
    (data_dir / "redis").symlink_to(pinned().server.parents[2])

    found = Embedded(data_dir).find()

    assert found
    assert found.server == data_dir / "redis/0.1.8/bin/redis-server"
    assert found.server.with_name("redis-cli").is_file()


def test_the_server_of_the_first_start_is_taken_when_path_has_it_no_more(
    data_dir: Path, another_server: Path, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as shell:
        put_on_path(another_server.parent, shell)
        Embedded(data_dir).ensure(said.append)
    kill(data_dir)

    found = Embedded(data_dir).find()

    assert found
    assert found.server == another_server


def test_a_recorded_server_that_has_vanished_is_searched_anew(
    embedded: Embedded, data_dir: Path, another_server: Path, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    Embedded(data_dir, redis_server=another_server).ensure(said.append)
    another_server.unlink()

    assert Embedded(data_dir).find() is None


@pytest.mark.parametrize("content", [b"", b"\xff\x80\n\xfe", b"/bin/\0\n/lib/\0\n", b"a\nb\nc\n"])
def test_a_damaged_record_counts_as_none(content: bytes, data_dir: Path) -> None:
    data_dir.mkdir()
    (data_dir / "binaries").write_bytes(content)

    assert Embedded(data_dir).find() is None


def test_a_folder_in_the_place_of_the_record_counts_as_none(data_dir: Path) -> None:
    (data_dir / "binaries").mkdir(parents=True)

    assert Embedded(data_dir).find() is None


def test_a_folder_in_the_place_of_the_record_does_no_harm(embedded: Embedded, data_dir: Path, said: list[str]) -> None:
    (data_dir / "binaries").mkdir(parents=True)

    embedded.ensure(said.append)

    assert embedded.status().running


@pytest.mark.parametrize("entry", ["", ".", "bin", "~/bin"])
def test_no_server_of_the_current_folder_is_found(
    entry: str, data_dir: Path, another_server: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (another_server.parent / "bin").symlink_to(".")
    (another_server.parent / "~").symlink_to(".")
    monkeypatch.chdir(another_server.parent)
    monkeypatch.setenv("PATH", f"/nowhere:{entry}:/nowhere")

    assert Embedded(data_dir).find() is None


def test_a_loop_of_links_on_path_is_passed_over(
    data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "redis-server").symlink_to(tmp_path / "redis-server")
    put_on_path(tmp_path, monkeypatch)

    assert Embedded(data_dir).find() is None


def test_a_server_that_did_not_come_up_is_not_recorded(data_dir: Path, another_server: Path, said: list[str]) -> None:
    another_server.write_text("#!/bin/sh\nexit 1\n")
    with pytest.raises(EmbeddedError, match="it said nothing"):
        Embedded(data_dir, redis_server=another_server).ensure(said.append)

    assert Embedded(data_dir).find() is None


def test_a_configured_server_goes_before_all_others(
    embedded: Embedded, data_dir: Path, another_server: Path, said: list[str]
) -> None:
    embedded.ensure(said.append)

    found = Embedded(data_dir, redis_server=another_server).find()

    assert found
    assert found.server == another_server


def test_a_configured_server_without_the_module_is_an_error(data_dir: Path, another_server: Path) -> None:
    another_server.with_name("redistimeseries.so").unlink()

    with pytest.raises(EmbeddedError, match=f"{another_server} .*redistimeseries.so"):
        Embedded(data_dir, redis_server=another_server).find()


def test_the_server_is_told_no_secret(
    data_dir: Path, another_server: Path, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("API_KEY", "only-for-coinmarketcap")

    Embedded(data_dir, redis_server=another_server).ensure(said.append)

    environment = another_server.with_name("redis-server.environment").read_text()
    assert "PATH=" in environment
    assert "only-for-coinmarketcap" not in environment


def test_the_server_runs_in_our_folder_and_looks_for_nothing_in_the_current_one(
    data_dir: Path, another_server: Path, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LD_LIBRARY_PATH", ":lib:/opt/lib:")
    monkeypatch.setenv("PATH", f".:{os.environ['PATH']}:")

    Embedded(data_dir, redis_server=another_server).ensure(said.append)

    lines = another_server.with_name("redis-server.environment").read_text().splitlines()
    environment = dict(line.split("=", 1) for line in lines)
    assert environment["LD_LIBRARY_PATH"] == "/opt/lib"
    assert all(Path(folder).is_absolute() for folder in environment["PATH"].split(":"))
    assert environment["PWD"] == str(data_dir)
