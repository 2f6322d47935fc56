"""A data directory that others can change, or that they have put something into, is not used for anything."""

import os
import stat
from pathlib import Path

import pytest

from btcts.embedded import Embedded
from btcts.embedded.places import is_local
from btcts.errors import EmbeddedError
from embedded.endings import kill
from support.redis_binaries import binaries

STRANGER = 4242

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to somebody else")

ACTS = ["ensure", "start", "prepare", "install", "run"]


def act(embedded: Embedded, name: str, said: list[str]) -> None:
    getattr(embedded, name)(*([said.append] if name in ACTS else []))


@pytest.mark.parametrize("name", [*ACTS, "stop", "status"])
def test_a_folder_that_everybody_may_write_is_refused_at_each_use(
    name: str, embedded: Embedded, data_dir: Path, said: list[str]
) -> None:
    data_dir.mkdir()
    data_dir.chmod(0o777)

    with pytest.raises(EmbeddedError) as refused:
        act(embedded, name, said)

    assert f"(uid {os.geteuid()}, gid {data_dir.stat().st_gid}, mode 0777)" in str(refused.value)
    assert f"; chmod go-w {data_dir}, " in str(refused.value)
    assert list(data_dir.iterdir()) == []


def test_one_that_was_opened_to_others_since_is_refused_too(
    embedded: Embedded, data_dir: Path, said: list[str]
) -> None:
    embedded.ensure(said.append)
    data_dir.chmod(0o1777)

    with pytest.raises(EmbeddedError, match="mode 1777"):
        embedded.ensure(said.append)

    data_dir.chmod(0o700)


def test_one_in_a_folder_that_everybody_may_write_is_refused(
    embedded: Embedded, data_dir: Path, said: list[str]
) -> None:
    data_dir.mkdir()
    data_dir.parent.chmod(0o777)

    with pytest.raises(EmbeddedError, match=rf"others can change {data_dir.parent} \(.*chmod go-w {data_dir.parent},"):
        embedded.ensure(said.append)


@pytest.mark.parametrize("mode", [0o700, 0o750, 0o755, 0o711])
def test_one_that_others_may_read_is_used(mode: int, embedded: Embedded, data_dir: Path, said: list[str]) -> None:
    data_dir.mkdir()
    data_dir.chmod(mode)

    embedded.ensure(said.append)

    assert stat.S_IMODE((data_dir / "db").stat().st_mode) == 0o700


@pytest.mark.server
def test_folders_on_the_way_are_made_for_us_alone_whatever_the_mask(data_dir: Path, said: list[str]) -> None:
    nested = data_dir / "a" / "b"
    before = os.umask(0)

    Embedded(nested, redis_server=binaries().server).ensure(said.append)

    os.umask(before)
    modes = {stat.S_IMODE(folder.stat().st_mode) for folder in (data_dir, data_dir / "a", nested, nested / "db")}
    kill(nested)
    assert modes == {0o700}
    assert stat.S_IMODE((nested / "binaries").stat().st_mode) == 0o600


@as_root
@pytest.mark.parametrize("name", ["binaries", "lock", "db", "redis", "redis.sock"])
def test_what_somebody_else_put_into_it_is_refused(
    name: str, embedded: Embedded, data_dir: Path, said: list[str]
) -> None:
    data_dir.mkdir()
    (data_dir / name).mkdir() if name in ("db", "redis") else (data_dir / name).touch()
    os.chown(data_dir / name, STRANGER, -1)

    with pytest.raises(EmbeddedError, match=rf"others can change {data_dir / name} \(uid {STRANGER}"):
        embedded.ensure(said.append)


@pytest.mark.server
@as_root
def test_a_link_to_ours_that_somebody_else_made_is_refused(data_dir: Path, said: list[str]) -> None:
    data_dir.mkdir()
    link = data_dir.parent / "link"
    link.symlink_to(data_dir)
    os.chown(link, STRANGER, -1, follow_symlinks=False)

    with pytest.raises(EmbeddedError, match=f"others can change {link} "):
        Embedded(link, redis_server=binaries().server).ensure(said.append)


def test_a_recorded_server_that_others_can_change_is_not_run_again(
    data_dir: Path, another_server: Path, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    Embedded(data_dir, redis_server=another_server).ensure(said.append)
    kill(data_dir)
    another_server.chmod(0o777)

    assert Embedded(data_dir).find() is None


@pytest.mark.parametrize("exposed", ["redis-server", "redistimeseries.so", "."])
def test_a_server_on_path_that_others_can_change_is_passed_over(
    exposed: str, data_dir: Path, another_server: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(another_server.parent))
    module = another_server.with_name("redistimeseries.so")
    module.unlink()
    module.touch()
    found = Embedded(data_dir).find()

    (another_server.parent / exposed).chmod(0o777)

    assert found
    assert Embedded(data_dir).find() is None


def test_local_file_systems_are_told_from_those_of_a_network(tmp_path: Path) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(
        "1 0 8:1 / / rw,relatime - ext4 /dev/sda1 rw\n"
        "2 1 0:9 / /home rw shared:1 master:2 - nfs4 server:/home rw\n"
        "3 2 8:2 / /home/with\\040space rw - xfs /dev/sdb1 rw\n"
        "4 1 0:8 / /shared rw - 9p share rw\n"
        "5 1 0:7 / /over rw - nfs server:/over rw\n"
        "6 1 8:3 / /over rw - btrfs /dev/sdc1 rw\n"
    )
    paths = ["/srv", "/home", "/home/me", "/homework", "/home/with space/x", "/shared/data", "/over/data"]

    assert [path for path in paths if is_local(Path(path), mounts)] == [
        "/srv",
        "/homework",
        "/home/with space/x",
        "/over/data",
    ]
    assert not is_local(Path("/srv"), tmp_path / "none")
