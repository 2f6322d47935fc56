"""A real redis-server of the tests' own: on a socket in a folder of its own, ended by its process, seldom on TCP."""

import os
import shutil
import socket
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import IO

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from support.redis_binaries import binaries

READY_WITHIN_S = 20

WITH_US = ["setpriv", "--pdeathsig", "KILL", "--"] if sys.platform == "linux" and shutil.which("setpriv") else []
"""Runs a server that ends with the thread that has started it: a test process that is killed cannot end it."""

KEPT_LINES = 200

READY = "Ready to accept connections"


def connect(socket: Path, **options: object) -> redis.Redis:
    """A client as the product makes it, except that it never tries again by itself."""
    return redis.Redis(
        unix_socket_path=str(socket),
        protocol=3,
        decode_responses=True,
        retry=Retry(NoBackoff(), 0),
        **options,
    )


FIRST_PORT, LAST_PORT, WORKERS = 15_000, 32_000, 8
_CHANCE = Random()
_TAKEN: set[int] = set()


def free_port() -> int:
    """A port of loopback that nobody listens on, for what cannot do without TCP.

    It is none of those that connections get (32 768 and above on Linux), nor one that another process of the tests
    takes: a server may be started, or started again, long after.
    """
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % WORKERS
    while True:
        port = _CHANCE.randrange(FIRST_PORT + worker, LAST_PORT, WORKERS)
        if port not in _TAKEN:
            with socket.socket() as probe, suppress(OSError):
                probe.bind(("127.0.0.1", port))
                _TAKEN.add(port)
                return port


class Log(threading.Thread):
    """Reads what a server says as long as it lives: one that nobody reads stands still when the pipe is full.

    `ready` is set when the server takes connections, and when it has ended without that.
    """

    def __init__(self, stream: IO[str], words: str = READY) -> None:
        super().__init__(daemon=True)
        self._words = words
        self.ready = threading.Event()
        self.accepts = False
        self._stream = stream
        self._lines: deque[str] = deque(maxlen=KEPT_LINES)

    def run(self) -> None:
        """Read to the end."""
        with self._stream:
            for line in self._stream:
                self._lines.append(line)
                if self._words in line:
                    self.accepts = True
                    self.ready.set()
        self.ready.set()

    def newest(self) -> str:
        """The newest lines."""
        return "".join(self._lines)


class Server:
    """One redis-server in `folder`; `module=False` leaves the TimeSeries module out, `options` are its arguments.

    The words of `module_options` are arguments of the module.
    """

    READY = READY

    def __init__(self, folder: Path, *options: str, module: bool = True, module_options: str = "") -> None:
        self.folder = folder
        self.socket = folder / "socket"
        self._options = options
        self._module = module
        self._module_options = module_options.split()
        self._process: subprocess.Popen[str] | None = None
        self._log: Log | None = None

    def start(self) -> "Server":
        """Start it and wait until it has loaded its data and takes connections."""
        command = [*WITH_US, *self._make_command()]
        self._process = subprocess.Popen(command, cwd=self.folder, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout
        self._log = Log(self._process.stdout, self.READY)
        self._log.start()
        self._log.ready.wait(READY_WITHIN_S)
        if not self._log.accepts:
            log = self._log
            self.kill()
            raise AssertionError(f"redis-server did not start: {log.newest()}")
        return self

    def _make_command(self) -> list[str]:
        found = binaries()
        command = [str(found.server), "--port", "0", "--unixsocket", "socket", "--save", "", *self._options]
        return command + (["--loadmodule", str(found.module), *self._module_options] if self._module else [])

    @property
    def runs(self) -> bool:
        """Whether it was started and not killed since."""
        return self._process is not None

    def kill(self) -> None:
        """End it as a power cut would: nothing is saved, no client is told. Without effect when it has ended."""
        if self._process is None or self._log is None:
            return
        process, self._process = self._process, None
        process.kill()
        process.wait()
        self._log.join()

    @property
    def pid(self) -> int:
        """The process, to end it at a moment of one's own."""
        assert self._process
        return self._process.pid


StartServer = Callable[..., Server]
"""Starts one more server with these options, `module=False` without TimeSeries, `module_options` with arguments of the
module; it ends with the test."""
