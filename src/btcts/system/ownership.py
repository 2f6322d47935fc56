"""Checks that no other user can change a file or a folder; files that others can change are not trusted.

We, root and the owner of / are trusted. Anyone who may write to a folder can replace what is in it, unless the sticky
bit forbids that, as in /tmp. A group may write if it is root's, or if we are its only member (umask 002 with private
groups).
"""

import os
import stat
from collections.abc import Iterator
from errno import EPERM
from pathlib import Path
from typing import NamedTuple

DEEPEST_LINKS = 40
"""Maximum number of symbolic links that Linux follows in one path."""


class Exposed(NamedTuple):
    """A file or a folder that others can change."""

    path: Path
    uid: int
    gid: int
    mode: int

    def __str__(self) -> str:
        return f"others can change {self.path} (uid {self.uid}, gid {self.gid}, mode {self.mode:04o})"

    @property
    def remedy(self) -> str:
        """The command that takes the access away from others."""
        if self.uid not in _find_trusted():
            return f"chown {os.geteuid()} {self.path}"
        return f"chmod go-w {self.path}"


def find_exposed(path: Path) -> Exposed | None:
    """Return the first file or folder on the way from / to `path` that others can change, or None.

    Links are followed, and must belong to a trusted owner too. Missing parts cannot be changed and are skipped.
    """
    way = (_judge(step, passed_through=True) for step in _walk_path(path.absolute(), DEEPEST_LINKS))
    return next(filter(None, way), None) or _judge(_resolve(path), passed_through=False)


def find_exposed_itself(path: Path) -> Exposed | None:
    """Return the path if its own owner or mode lets others change it, or None."""
    return _judge(path, passed_through=False)


def find_exposed_file(file: Path) -> Exposed | None:
    """Return what lets others change the file, like `find_exposed`, or None; a missing file cannot be changed."""
    try:
        file.lstat()
    except OSError:
        return None
    return find_exposed(file)


def require_private(folder: Path) -> None:
    """Refuse a folder that others can change, directly or through a parent.

    Raises:
        PermissionError: others can change it; the message names the exposed path.
    """
    exposed = find_exposed(folder)
    if exposed is not None:
        raise PermissionError(EPERM, f"{exposed}; {exposed.remedy}")


def _walk_path(path: Path, links: int) -> Iterator[Path]:
    """Yield every folder and link on the way, following links, up to the limit of the system."""
    for step in (*reversed(path.parents), path):
        yield step
        target = _read_link(step)
        if links and target:
            yield from _walk_path(target, links - 1)


def _read_link(path: Path) -> Path | None:
    try:
        return path.parent / path.readlink()
    except OSError:  # not a link, or not accessible
        return None


def _resolve(path: Path) -> Path:
    try:
        return path.resolve()
    except RuntimeError:  # a loop of links
        return path.absolute()


def _judge(path: Path, *, passed_through: bool) -> Exposed | None:
    """Return the path as exposed, or None; a folder that is only passed through may be sticky and writable."""
    try:
        found = path.lstat()
    except OSError:  # missing, or not accessible
        return None
    safe = found.st_uid in _find_trusted() and not (
        _is_open(path, found) and not (passed_through and found.st_mode & stat.S_ISVTX)
    )
    return None if safe else Exposed(path, found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode))


def _is_open(path: Path, found: os.stat_result) -> bool:
    """Tell whether the mode lets others write; for links, devices and pipes it has no such meaning."""
    if not stat.S_ISDIR(found.st_mode) and not stat.S_ISREG(found.st_mode):
        return False
    by_group = found.st_mode & stat.S_IWGRP and not (_is_private(found.st_gid) and not _has_access_list(path))
    return bool(found.st_mode & stat.S_IWOTH or by_group)


def _find_trusted() -> set[int]:
    return {0, os.geteuid(), Path("/").stat().st_uid}


def _is_private(gid: int) -> bool:
    """Tell whether the group is private: named after us, with no members but us and root."""
    import grp
    import pwd

    if gid == 0:
        return True
    try:
        name, group = pwd.getpwuid(os.geteuid()).pw_name, grp.getgrgid(gid)
    except KeyError:
        return False
    strangers = (
        account for account in pwd.getpwall() if account.pw_gid == gid and account.pw_uid not in _find_trusted()
    )
    return group.gr_name == name and set(group.gr_mem) <= {name} and not any(strangers)


def _has_access_list(path: Path) -> bool:
    """Tell whether an access list lets further users write; the group bits then apply to all of them."""
    if not hasattr(os, "listxattr"):  # macOS does not reflect access lists in the mode
        return False
    try:
        return "system.posix_acl_access" in os.listxattr(path)
    except OSError:
        return False
