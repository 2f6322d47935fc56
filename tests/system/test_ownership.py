"""Ownership: who can change a file or a folder."""

import os
import stat
from pathlib import Path

import pytest

from btcts.system.ownership import find_exposed, find_exposed_file, require_private

STRANGER = 4242

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to somebody else")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "parent" / "folder"
    made.mkdir(parents=True, mode=0o755)
    return made


def test_what_is_ours_is_not_exposed(folder: Path) -> None:
    assert find_exposed(folder) is None


def test_what_everybody_may_read_is_not_exposed(folder: Path) -> None:
    folder.chmod(0o755)

    assert find_exposed(folder) is None


def test_what_is_not_there_yet_is_not_exposed(folder: Path) -> None:
    assert find_exposed(folder / "later" / "still") is None


@pytest.mark.parametrize("mode", [0o777, 0o757, 0o703, 0o1777])
def test_a_folder_that_others_may_write_is_exposed(mode: int, folder: Path) -> None:
    folder.chmod(mode)

    exposed = find_exposed(folder)

    assert exposed
    assert str(exposed) == (
        f"others can change {folder} (uid {os.geteuid()}, gid {folder.stat().st_gid}, mode {mode:04o})"
    )
    assert exposed.remedy == f"chmod go-w {folder}"


def test_so_is_what_lies_in_it(folder: Path) -> None:
    folder.parent.chmod(0o777)

    exposed = find_exposed(folder / "later")

    assert exposed
    assert exposed.path == folder.parent


def test_the_sticky_bit_protects_what_lies_in_it(folder: Path) -> None:
    folder.parent.chmod(0o1777)

    assert find_exposed(folder) is None


@as_root
@pytest.mark.parametrize("name", ["parent", "parent/folder"])
def test_what_belongs_to_somebody_else_is_exposed(name: str, folder: Path) -> None:
    given_away = folder.parents[1] / name
    os.chown(given_away, STRANGER, -1)

    exposed = find_exposed(folder)

    assert exposed
    assert (exposed.path, exposed.uid) == (given_away, STRANGER)
    assert exposed.remedy == f"chown 0 {given_away}"


@as_root
def test_a_group_that_nobody_knows_is_not_ours(folder: Path) -> None:
    os.chown(folder, -1, STRANGER)
    folder.chmod(0o775)

    assert find_exposed(folder)


@as_root
def test_the_group_of_root_is_trusted(folder: Path) -> None:
    os.chown(folder, -1, 0)
    folder.chmod(0o775)

    assert find_exposed(folder) is None


def test_a_link_leads_to_what_is_judged(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(folder)
    folder.parent.chmod(0o777)

    exposed = find_exposed(tmp_path / "link")

    assert exposed
    assert exposed.path == folder.parent


@as_root
def test_a_link_of_somebody_else_is_exposed_wherever_it_leads(folder: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(folder)
    os.chown(link, STRANGER, -1, follow_symlinks=False)

    exposed = find_exposed(link / "below")

    assert exposed
    assert exposed.path == link


def test_a_loop_of_links_is_for_its_user_to_meet(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")

    assert find_exposed(tmp_path / "loop" / "below") is None
    assert find_exposed_file(tmp_path / "loop") is None


def test_a_device_is_what_it_is() -> None:
    assert stat.S_IMODE(Path(os.devnull).stat().st_mode) & 0o002
    assert find_exposed_file(Path(os.devnull)) is None


def test_a_file_is_exposed_by_any_folder_above_it_and_a_missing_one_by_none(folder: Path) -> None:
    (folder / "file").touch(mode=0o644)
    folder.parent.chmod(0o777)

    exposed = find_exposed_file(folder / "file")

    assert exposed
    assert exposed.path == folder.parent
    assert find_exposed_file(folder / "missing") is None


def test_the_refusal_names_the_folder_and_the_next_step(folder: Path) -> None:
    folder.chmod(0o777)

    with pytest.raises(PermissionError, match=rf"others can change {folder} \(.*\); chmod go-w {folder}"):
        require_private(folder)
