"""Identify the machine that uses a data directory, and tell whether another one could use it too.

The name of a host changes with DHCP, and with each new container. Where only one machine can have the files, or the
machine is known to be the same by the ids of its system or of its last start, the lock tells all there is to know.
"""

import os
import re
import sys
from contextlib import suppress
from pathlib import Path

IDS = ("/etc/machine-id", "/proc/sys/kernel/random/boot_id")
"""The files that tell machines apart; containers often have the second one alone, which is that of their host."""

MOUNTS = Path("/proc/self/mountinfo")
"""https://docs.kernel.org/filesystems/proc.html#proc-pid-mountinfo-information-about-mounts"""

LOCAL = frozenset(
    b"bcachefs btrfs exfat ext2 ext3 ext4 f2fs fuseblk jfs nilfs2 ntfs3 overlay ramfs tmpfs vfat xfs zfs".split()
)
"""The file systems that one machine at a time has mounted. A network or a host of virtual machines may share others."""


def identify_machine() -> str:
    """Return the ids of this machine, hashed, in one line; empty where it has none."""
    return " ".join(filter(None, (*map(_read_id, IDS), _read_hardware_id())))


def is_same_machine(ids: str) -> bool:
    """Tell whether one of these ids is of this machine."""
    return bool(set(ids.split()) & set(identify_machine().split()))


def is_local(path: Path, mounts: Path = MOUNTS) -> bool:
    """Tell whether the path (without links) is on a file system that only this machine can mount."""
    try:
        lines = mounts.read_bytes().splitlines()
    except OSError:  # macOS
        return False
    name, found = os.fsencode(path), (b"", b"")
    for line in lines:
        mount, _, system = line.partition(b" - ")
        place = re.sub(rb"\\([0-7]{3})", lambda octal: bytes([int(octal[1], 8)]), mount.split()[4])
        if len(place) >= len(found[0]) and (name + b"/").startswith(place.rstrip(b"/") + b"/"):
            found = place, system.split()[0]
    return found[1] in LOCAL


def _read_id(file: str) -> str:
    """Return the id in the file, hashed, since it must not be exposed (man 5 machine-id)."""
    with suppress(OSError):
        content = Path(file).read_bytes().strip()
        return _compute_digest(content) if content else ""
    return ""


def _read_hardware_id() -> str:
    """Return the hardware id of a Mac, hashed; elsewhere nothing."""
    if sys.platform != "darwin":
        return ""
    import ctypes

    with suppress(OSError, AttributeError):
        buffer, wait = ctypes.create_string_buffer(16), (ctypes.c_long * 2)(5, 0)
        if ctypes.CDLL(None).gethostuuid(buffer, ctypes.byref(wait)) == 0:
            return _compute_digest(buffer.raw)
    return ""


def _compute_digest(content: bytes) -> str:
    from hashlib import sha256  # few need it

    return sha256(b"btcts" + content).hexdigest()[:16]
