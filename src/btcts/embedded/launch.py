"""Start the redis-server process, and read in its log why it did not come up."""

import os
import re
import subprocess
import time
from collections.abc import Callable, Iterable
from typing import NoReturn

from btcts.embedded.places import Places
from btcts.embedded.programs import PASSED_ON, Binaries, pick_environment
from btcts.embedded.status import answers
from btcts.errors import EmbeddedError
from btcts.system import durable
from btcts.system.foreign import cite

LOG_LIMIT = 1 << 20
"""A log with more bytes than this becomes `redis.log.1` when a server starts."""

REFUSED_DATA = re.compile(
    r"Bad file format reading the append only file"
    r"|Unexpected end of file reading the append only file"
    r"|Unknown command '.*?' reading the append only file"
    r"|the truncated file is not the last file"
    r"|Unable to obtain the AOF file \S+ length\. stat: No such file"
    r"|FATAL AOF MANIFEST FILE ERROR"
    r"|Internal error in RDB reading"
    r"|Error loading data from RDB",
    re.DOTALL,
)
"""The messages by which redis-server 7.4 refuses its data; they matched all of 330 damaged directories that it refused.

A disk that fails or a file that may not be opened is none of these: there the data may be whole.
"""

NEWER_DATA = re.compile("Can't handle RDB format version")
"""The message by which a server refuses intact data of a newer version."""

CAME_UP = re.compile("Ready to accept connections|Redis is now ready to exit|Received shutdown signal")

WARNING_LINE = re.compile(r"^\d+:\w \d+ \w+ \d+ [\d:.]+ # (?!WARNING)(.+)$", re.MULTILINE)


def launch(binaries: Binaries, places: Places, lock: int) -> int:
    """Start a server that outlives us and keeps the lock; return the offset in the log where its output begins.

    On return it has left our session and reads its data, or has failed and freed the lock.
    """
    begin = _prepare(places)
    command = [*_build_command(binaries, places), "--daemonize", "yes", "--logfile", str(places.log)]
    with _spawn(command, places, lock) as server:
        try:
            server.wait()
        finally:
            server.kill()  # without effect, unless we are interrupted before it has left our session
    return begin


def rehearse(binaries: Binaries, places: Places, lock: int, attempts: Iterable[None]) -> int | None:
    """Start a server on a private socket to load the data, then end it; return its log offset if it fails."""
    begin = _prepare(places)
    stage = places.socket.with_name("rehearsal")
    command = [*_build_command(binaries, places), "--unixsocket", str(stage)]
    with _spawn(command, places, lock) as server:
        for _ in attempts:
            if answers(stage) or server.poll() is not None:
                break
        server.terminate()
    return begin if server.returncode else None


def become(binaries: Binaries, places: Places, lock: int) -> NoReturn:
    """Turn this process into the server, which keeps the lock and logs to stdout."""
    os.set_inheritable(lock, True)
    os.chdir(places.data_dir)
    os.execve(binaries.server, _build_command(binaries, places), pick_environment(PASSED_ON))


def recover(places: Places, begin: int, say: Callable[[str], None]) -> None:
    """Prepare another start after a server ended, judging by its log from `begin` on.

    Refused data are put aside, and that is reported. A server that came up, or was told to end, has not failed.

    Raises:
        EmbeddedError: it ended for any other reason.
    """
    with places.log.open("rb") as log:
        log.seek(begin)
        story = log.read().decode(errors="replace")
    if NEWER_DATA.search(story):
        raise EmbeddedError(
            f"the data in {places.db} are of a newer redis-server than this one; "
            "set BTCTS_REDIS_SERVER to that one, or rename the folder to start afresh"
        )
    if REFUSED_DATA.search(story):
        broken = places.data_dir / time.strftime("broken-%Y%m%dT%H%M%SZ", time.gmtime())
        places.db.rename(broken)
        places.db.mkdir(mode=0o700)
        say(f"the embedded Redis could not read its data; they are in {broken} now, and it starts afresh")
    elif not CAME_UP.search(story):
        raise EmbeddedError(f"redis-server exited at once ({_find_reason(story)}); its log is {places.log}")


def _spawn(command: list[str], places: Places, lock: int) -> "subprocess.Popen[bytes]":
    """Start a server that inherits the lock and writes into the log."""
    with places.log.open("ab") as log:
        return subprocess.Popen(
            command,
            cwd=places.data_dir,
            env=pick_environment(PASSED_ON),
            pass_fds=(lock,),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )


def _find_reason(story: str) -> str:
    """Return the line that tells why a server ended: its last warning, or else the last line it wrote."""
    lines = WARNING_LINE.findall(story) or [line for line in story.splitlines() if line.strip()]
    return cite(lines[-1]) if lines else "it said nothing"


def _build_command(binaries: Binaries, places: Places) -> list[str]:
    """Return the server's command line. Only the append-only file keeps the data.

    It is rewritten at 8 MB instead of Redis' 64: a merge adds almost 1 MB of commands to it, which a start replays,
    while the data themselves are 100 KB.
    """
    settings = {
        "loadmodule": binaries.module,
        "port": "0",
        "unixsocket": places.socket,
        "unixsocketperm": "700",
        "pidfile": places.pid_file,
        "dir": places.db,
        "appendonly": "yes",
        "appendfsync": "everysec",
        "aof-load-truncated": "yes",
        "auto-aof-rewrite-min-size": "8mb",
        "save": "",
        "maxmemory-policy": "noeviction",
    }
    return [str(binaries.server), *(word for name, value in settings.items() for word in (f"--{name}", str(value)))]


def _prepare(places: Places) -> int:
    """Put our name into the lock and an overlong log aside; return the log's size."""
    places.name_host()
    size = durable.create(places.log)
    if size <= LOG_LIMIT:
        return size
    places.log.replace(places.log.with_suffix(".log.1"))
    return 0
