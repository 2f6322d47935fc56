"""Who can change a file or a folder; what others can change is never obeyed.

We, root and the owner of / are trusted. Whoever may write to a folder can put something else in the place of what
lies in it, unless the sticky bit forbids that, as in /tmp. A group may write when it is root's, or when nobody but us
belongs to it (umask 002 with private groups).
"""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from errno import EPERM
from pathlib import Path

DEEPEST_LINKS = 40
"""How many symbolic links Linux follows in one path."""


@dataclass(frozen=True, slots=True)
class Exposed:
    """A file or a folder that others can change."""

    path: Path
    uid: int
    gid: int
    mode: int

    def __str__(self) -> str:
        return f"others can change {self.path} (uid {self.uid}, gid {self.gid}, mode {self.mode:04o})"

    @property
    def remedy(self) -> str:
        """The command that makes it ours alone."""
        if self.uid not in _find_trusted():
            return f"chown {os.geteuid()} {self.path}"
        return f"chmod go-w {self.path}"


def find_exposed(path: Path) -> Exposed | None:
    """Return the first thing on the way from / to `path` that others can change, or None.

    Links are followed, and have to be ours or root's too. What is not there yet cannot be changed.
    """
    if not hasattr(os, "geteuid"):  # Windows
        return None
    way = (_judge(step, passed_through=True) for step in _walk_path(path.absolute(), DEEPEST_LINKS))
    return next(filter(None, way), None) or _judge(_resolve(path), passed_through=False)


def find_exposed_itself(path: Path) -> Exposed | None:
    """Return the path if others can change it, by its own owner and mode alone, or None."""
    return _judge(path, passed_through=False) if hasattr(os, "geteuid") else None


def find_exposed_file(file: Path) -> Exposed | None:
    """Return which of a file, the folder it lies in, and those behind a link others can change, or None."""
    if not hasattr(os, "geteuid"):  # Windows
        return None
    try:
        file.lstat()
    except OSError:  # nobody can change what is not there
        return None
    folder, target = _resolve(file.parent), _resolve(file)
    places = {folder: True, folder / file.name: False, target.parent: True, target: False}
    return next(filter(None, (_judge(place, passed_through=passed) for place, passed in places.items())), None)


def require_private(folder: Path) -> None:
    """Refuse a folder that others can change, in itself or by what it lies in.

    Raises:
        PermissionError: its text names what can be changed.
    """
    exposed = find_exposed(folder)
    if exposed is not None:
        raise PermissionError(EPERM, f"{exposed}; {exposed.remedy}")


def _walk_path(path: Path, links: int) -> Iterator[Path]:
    """Yield every folder and link on the way, those that links lead through included, as far as the system goes."""
    for step in (*reversed(path.parents), path):
        yield step
        target = _read_link(step)
        if links and target:
            yield from _walk_path(target, links - 1)


def _read_link(path: Path) -> Path | None:
    try:
        return path.parent / path.readlink()
    except OSError:  # it is none, or cannot be used either
        return None


def _resolve(path: Path) -> Path:
    try:
        return path.resolve()
    except RuntimeError:  # a loop of links
        return path.absolute()


def _judge(path: Path, *, passed_through: bool) -> Exposed | None:
    """Return the path as exposed, or None; one that is only passed through may be open to others with a sticky bit."""
    try:
        found = path.lstat()
    except OSError:  # it is not there, or cannot be used either
        return None
    safe = found.st_uid in _find_trusted() and not (
        _is_open(path, found) and not (passed_through and found.st_mode & stat.S_ISVTX)
    )
    return None if safe else Exposed(path, found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode))


def _is_open(path: Path, found: os.stat_result) -> bool:
    """Whether the mode lets others write; that of links, devices and pipes says nothing."""
    if not stat.S_ISDIR(found.st_mode) and not stat.S_ISREG(found.st_mode):
        return False
    by_group = found.st_mode & stat.S_IWGRP and not (_is_private(found.st_gid) and not _has_access_list(path))
    return bool(found.st_mode & stat.S_IWOTH or by_group)


def _find_trusted() -> set[int]:
    return {0, os.geteuid(), Path("/").stat().st_uid}


def _is_private(gid: int) -> bool:
    """Whether nobody but us and root belongs to the group, by the name that private groups have and its members."""
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
    """Whether more users than the mode tells may write; then the bits of the group are those of all of them."""
    if not hasattr(os, "listxattr"):  # macOS keeps its lists out of the mode
        return False
    try:
        return "system.posix_acl_access" in os.listxattr(path)
    except OSError:
        return False
