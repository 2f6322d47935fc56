"""A real redis-server of the tests' own: on a socket in a folder of its own, ended by its process, seldom on TCP."""

import socket
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from redis_binaries import binaries

READY_WITHIN_S = 20


def connect(socket: Path, **options: object) -> redis.Redis:
    """A client as the product makes it, except that it never tries again by itself."""
    return redis.Redis(
        unix_socket_path=str(socket),
        protocol=3,
        decode_responses=True,
        retry=Retry(NoBackoff(), 0),
        **options,
    )


def free_port() -> int:
    """A port of loopback that nobody listens on, for what cannot do without TCP."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Server:
    """One redis-server in `folder`; `module=False` leaves the TimeSeries module out, `options` are its arguments."""

    def __init__(self, folder: Path, *options: str, module: bool = True) -> None:
        self.folder = folder
        self.socket = folder / "socket"
        self._options = options
        self._module = module
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> "Server":
        """Start it and wait until it has loaded its data and takes connections."""
        found = binaries()
        command = [str(found.server), "--port", "0", "--unixsocket", "socket", "--save", "", *self._options]
        command += ["--loadmodule", str(found.module)] if self._module else []
        self._process = subprocess.Popen(command, cwd=self.folder, stdout=subprocess.PIPE, text=True)
        self._wait_until_ready(self._process)
        return self

    def kill(self) -> None:
        """End it as a power cut would: nothing is saved, no client is told. Without effect when it has ended."""
        if self._process is None:
            return
        process, self._process = self._process, None
        process.kill()
        process.communicate()

    @property
    def pid(self) -> int:
        """The process, to end it at a moment of one's own."""
        assert self._process
        return self._process.pid

    def _wait_until_ready(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout
        log = []
        deadline = threading.Timer(READY_WITHIN_S, process.kill)
        deadline.start()
        try:
            for line in process.stdout:
                log.append(line)
                if "Ready to accept connections" in line:
                    return
        finally:
            deadline.cancel()
        self.kill()
        raise AssertionError(f"redis-server did not start: {''.join(log)}")


StartServer = Callable[..., Server]
"""Starts one more server with these options, `module=False` without TimeSeries; it ends with the test."""
