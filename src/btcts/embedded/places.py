"""The files of one embedded Redis, the machine that uses them, and the lock that tells whether its server is alive.

All paths follow from the uid and the data directory alone: XDG_RUNTIME_DIR, TMPDIR and PATH differ between a shell and
cron, and two servers with the same socket and the same append-only file would not notice each other.

The name of a host changes with DHCP and with each new container. The lock alone decides where only one machine can have
the files, and where the id of the system or of its last boot shows that the machine is the same.
"""

import os
import re
import stat
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from btcts.errors import EmbeddedError
from btcts.system import durable
from btcts.system.foreign import plain
from btcts.system.ownership import find_exposed, find_exposed_itself

IDS = ("/etc/machine-id", "/proc/sys/kernel/random/boot_id")
"""Files with ids that tell machines apart; a container often has only the second, that of its host."""

MOUNTS = Path("/proc/self/mountinfo")
"""https://docs.kernel.org/filesystems/proc.html#proc-pid-mountinfo-information-about-mounts"""

LOCAL = frozenset(
    b"bcachefs btrfs exfat ext2 ext3 ext4 f2fs fuseblk jfs nilfs2 ntfs3 overlay ramfs tmpfs vfat xfs zfs".split()
)
"""File systems that only one machine mounts at a time; others may be shared by a network or by virtual machines."""

LONGEST_SOCKET_PATH = 100
"""In bytes; the systems take 107 (Linux) and 103 (macOS)."""

LARGEST_FILE = 1 << 16

LONGEST_TEXT, LONGEST_PID = 255, 10
"""Most characters of a host name and of a process id; anything longer is damaged."""


class Places:
    """The files of the embedded Redis in `data_dir`, an absolute path without symbolic links.

    `mounts` is the table of file systems.
    """

    def __init__(self, data_dir: Path, mounts: Path = MOUNTS) -> None:
        self.data_dir = data_dir
        self.mounts = mounts
        self.lock = data_dir / "lock"  # locked as long as the server lives; its text is the host that started it
        self.stopped = data_dir / "stopped"  # there from a `server stop` to the next `server start`
        self.pid_file = data_dir / "redis.pid"  # written by the server; removed by it when it shuts down cleanly
        self.log = data_dir / "redis.log"  # of the server when it is not in the foreground
        self.db = data_dir / "db"  # the folder of the append-only files
        self.installation = data_dir / "redis"  # the folder that `server install` fills
        self.record = data_dir / "binaries"  # those started first, so that cron, with another PATH, starts the same
        self.machine = data_dir / "machine"  # the host that the lock names, and the ids of its machine

    @property
    def socket(self) -> Path:
        """The server's socket; in a folder of ours in /tmp when the path of the data directory is too long.

        Raises:
            EmbeddedError: that folder is somebody else's, or open to others.
        """
        socket = self.data_dir / "redis.sock"
        if len(os.fsencode(socket)) <= LONGEST_SOCKET_PATH:
            return socket
        from hashlib import sha256  # few need it

        digest = sha256(os.fsencode(self.data_dir)).hexdigest()[:16]
        folder = Path(f"/tmp/btcts-{os.getuid()}-{digest}")
        _refuse_unless_private(folder)
        return folder / "redis.sock"

    def create(self) -> None:
        """Create the folders, with access for us alone."""
        for folder in (self.data_dir, self.db, self.socket.parent):
            durable.make(folder)

    def refuse_exposed(self, named: Path) -> None:
        """Refuse a data directory that others can change: itself, a folder above it, or what lies in it.

        `named` is its path as it was given, with its links.

        Raises:
            EmbeddedError: it is exposed; the message has what they can change, and the next step.
        """
        ours = (self.db, self.installation, self.record, self.lock, self.socket.parent, self.socket)
        exposed = find_exposed(named) or next(filter(None, map(find_exposed_itself, ours)), None)
        if exposed is not None:
            raise EmbeddedError(
                f"the embedded Redis does not use {self.data_dir}: {exposed}; {exposed.remedy}, or set BTCTS_DATA_DIR"
            )

    def read_pid(self) -> int | None:
        """Return the pid of the running server, or of the last one if it was killed."""
        text = _read_line(self.pid_file)
        return int(text) or None if text.isdecimal() and len(text) <= LONGEST_PID else None  # 0: every process of ours

    def refuse_other_host(self) -> None:
        """Refuse a directory whose server was started on another host and has not shut down cleanly there.

        On a network file system the lock proves nothing: it may reach no further than its own host. A machine that is
        known to be the same merely has a new name.

        Raises:
            EmbeddedError: the other host may still run it; the message names both hosts.
        """
        theirs, ours = _read_line(self.lock), os.uname().nodename
        if theirs in ("", ours) or not durable.exists(self.pid_file):
            return
        host, _, ids = _read_line(self.machine).partition(" ")
        is_same = host == theirs and not set(ids.split()).isdisjoint(identify_machine().split())
        if not is_same and not is_local(self.data_dir, self.mounts):
            raise EmbeddedError(
                f"{self.data_dir} belongs to the embedded Redis of host {theirs}, and this is {ours}; "
                f"stop it there, or remove {self.pid_file} when that host is gone"
            )

    def name_host(self) -> None:
        """Write the name of this host into the lock, which the caller holds; its server has written nothing yet."""
        ours = os.uname().nodename
        machine = f"{ours} {identify_machine()}".rstrip()
        if _read_line(self.lock) != ours:  # a full disk may take nothing
            self.lock.write_text(f"{ours}\n")
        if _read_line(self.machine) != machine:
            with suppress(OSError):
                durable.replace(self.machine, f"{machine}\n".encode())
        self.pid_file.unlink(missing_ok=True)

    def find_server(self) -> int | None:
        """Return the pid in the server's file, if that process has the lock open (where the system can tell)."""
        pid = self.read_pid()
        if pid is None or not Path("/proc/self/fd").exists():  # macOS
            return pid
        try:
            lock = self.lock.stat()
            opened = (descriptor.stat() for descriptor in Path(f"/proc/{pid}/fd").iterdir())
            return pid if any(os.path.samestat(lock, known) for known in opened) else None
        except OSError:  # it has ended, or is a stranger's
            return None


@contextmanager
def hold_lock(lock: Path, attempts: Iterable[None] = (None,)) -> Iterator[int | None]:
    """Hold the lock until the block ends; yields its descriptor, or None when another process keeps it.

    A process that inherits the descriptor keeps the lock for as long as it lives, whatever ends it.
    """
    tried = (durable.lock(lock) for _ in attempts)
    descriptor = next((lock_fd for lock_fd in tried if lock_fd is not None), None)
    try:
        yield descriptor
    finally:
        if descriptor is not None:
            os.close(descriptor)


def is_in_use(lock: Path) -> bool:
    """Tell whether somebody holds the lock, without creating it."""
    if not durable.exists(lock):
        return False
    with hold_lock(lock) as descriptor:
        return descriptor is None


def identify_machine() -> str:
    """Return the ids of this machine, hashed, in one line; empty where it has none."""
    return " ".join(filter(None, (*map(_read_id, IDS), _read_hardware_id())))


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


def _read_line(path: Path) -> str:
    """Return the one line of a file of ours, safe to print even when damaged; empty without a file."""
    try:
        text = durable.read(path, LARGEST_FILE).decode(errors="replace").strip()
    except OSError:  # missing, or no file
        return ""
    return plain(text[:LONGEST_TEXT])


def _refuse_unless_private(folder: Path) -> None:
    try:
        found = folder.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise EmbeddedError(
            f"{folder} is not a private folder of uid {os.getuid()} (uid {found.st_uid}, "
            f"mode {stat.S_IMODE(found.st_mode):04o}); remove it, or set BTCTS_DATA_DIR to a shorter path"
        )
