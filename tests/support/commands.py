"""Commands of btcts as processes, forked from one that has loaded btcts: a third of the time of a start.

A command that has to be started truly is run by `subprocess`: start-up, imports, completion, closed streams. So is,
without being asked for, one whose environment differs in what Python or a library reads at its start.
"""

import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Self

from support.forkserver import LENGTH, STREAMS, Order
from support.leaks import EVIDENCE, record_stream

TESTS = Path(__file__).parents[1]
BTCTS = (sys.executable, "-m", "btcts")
MAIN = "btcts.__main__:main"

AT_START = ("PYTHON", "LC_", "LANG", "LD_", "MALLOC_", "GLIBC_", "OPENSSL_", "_BTCTS_COMPLETE")
"""The beginnings of variables that the interpreter, C libraries and `main` read before anything else."""


class Command:
    """A forked command, with what tests use of `subprocess.Popen`."""

    def __init__(self, report: socket.socket, streams: Sequence[IO[Any] | None]) -> None:
        self.returncode: int | None = None
        self.stdin, self.stdout, self.stderr = streams[0], *map(record_stream, streams[1:])
        self._report = report
        self._lines = report.makefile("rb", buffering=0)
        self.pid = self._read_number()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        for stream in filter(None, (self.stdin, self.stdout, self.stderr)):
            stream.close()
        self.wait()

    def poll(self) -> int | None:
        """Return the exit code, or None while it lives."""
        while self.returncode is None and self._is_told_within(0):
            self.wait_for_change()
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end, and return the exit code."""
        while self.returncode is None:
            if not self._is_told_within(timeout):
                raise subprocess.TimeoutExpired("btcts", timeout or 0)
            self.wait_for_change()
        return self.returncode

    def wait_for_change(self) -> int:
        """Wait until it stops or ends, and return the wait status."""
        status = self._read_number()
        if not os.WIFSTOPPED(status):
            self.returncode = os.waitstatus_to_exitcode(status)
            self._lines.close()
            self._report.close()
        return status

    def communicate(self, timeout: float | None = None) -> tuple[Any, Any]:
        """Read both streams to their ends, wait for its end, and return what was read."""
        with ThreadPoolExecutor(2) as pool:
            read = [pool.submit(stream.read) if stream else None for stream in (self.stdout, self.stderr)]
            try:
                self.wait(timeout)
            except subprocess.TimeoutExpired:
                self.kill()
                raise
        out, err = (reading and reading.result() for reading in read)
        self.__exit__()
        return out, err

    def send_signal(self, number: int) -> None:
        """Send it a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it."""
        self.send_signal(signal.SIGKILL)

    def _is_told_within(self, timeout: float | None) -> bool:
        return bool(select.select([self._report], [], [], timeout)[0])

    def _read_number(self) -> int:
        line = self._lines.readline()
        assert line, "the fork server has ended"
        return int(line)


Running = Command | subprocess.Popen[Any]
"""A command that has been started in either way."""


class ForkServer:
    """Starts commands of btcts. Threads may share it; `close` it in the end."""

    def __init__(self) -> None:
        self._environ = dict(os.environ)
        self._lock = threading.Lock()
        self._control, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "support.forkserver", str(theirs.fileno())],
                cwd=TESTS,
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
            )
        self._names: set[str] | None = None

    def close(self) -> None:
        """Start no more."""
        self._control.close()
        self._process.wait()

    def start(self, arguments: Sequence[str], *, env: Mapping[str, str], **options: Any) -> Running:
        """Start `btcts` with arguments; the options are some of those of `subprocess.Popen`."""
        if self.resembles(env):
            return self.fork(MAIN, arguments, env=env, **options)
        return subprocess.Popen([*BTCTS, *arguments], env=env, **options)

    def run(
        self, arguments: Sequence[str], *, timeout: float = 60, **options: Any
    ) -> "subprocess.CompletedProcess[str]":
        """Run `btcts` to its end, with what it prints; the options are those of `start`."""
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, **options}
        with self.start(arguments, **pipes) as running:
            out, err = running.communicate(timeout=timeout)
        return subprocess.CompletedProcess(arguments, running.wait(), out, err)

    def resembles(self, environ: Mapping[str, str]) -> bool:
        """Tell whether a process with this environment would load as the server did."""
        with self._lock:
            if self._names is None:
                with self._control.makefile() as said:
                    self._names = set(json.loads(said.readline()))
        at_start = {name for name in (*environ, *self._environ) if name.startswith(AT_START)}
        return all(environ.get(name) == self._environ.get(name) for name in at_start | self._names)

    def fork(
        self,
        call: str,
        arguments: Sequence[str],
        *,
        env: Mapping[str, str],
        cwd: str | Path = ".",
        start_new_session: bool = False,
        **streams: Any,
    ) -> Command:
        """Call a `module:function` of that name in a fork; `streams` are stdin, stdout, stderr and text."""
        EVIDENCE.learn(env, arguments)
        umask = os.umask(0)
        os.umask(umask)
        order = Order(call, list(arguments), dict(env), str(Path(cwd).absolute()), umask, start_new_session)
        report, theirs = socket.socketpair()
        with theirs, open_streams(**streams) as (given, kept):
            self._send(order, [*given, theirs.fileno()])
        return Command(report, kept)

    def _send(self, order: Order, descriptors: Sequence[int]) -> None:
        body = json.dumps(order).encode()
        with self._lock:
            socket.send_fds(self._control, [LENGTH.pack(len(body))], descriptors)
            self._control.sendall(body)


@contextmanager
def open_streams(*, text: bool = False, **streams: Any) -> Iterator[tuple[list[int], list[IO[Any] | None]]]:
    """Open descriptors for the three streams of a command, and our ends of those that are pipes."""
    given, kept, opened = [], [], []
    for standard, (name, mode) in enumerate(STREAMS):
        stream = streams.get(name)
        ours: IO[Any] | None = None
        if stream == subprocess.PIPE:
            ends = os.pipe()
            stream, own = ends if mode == "r" else ends[::-1]
            kind = ("w" if mode == "r" else "r") + ("" if text else "b")
            ours = os.fdopen(own, kind)
            opened.append(stream)
        elif stream == subprocess.DEVNULL:
            stream = os.open(os.devnull, os.O_RDWR)
            opened.append(stream)
        given.append(standard if stream is None else stream if isinstance(stream, int) else stream.fileno())
        kept.append(ours)
    try:
        yield given, kept
    finally:
        for descriptor in opened:
            os.close(descriptor)
