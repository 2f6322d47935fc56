"""A process that has loaded btcts and forks for each command: `python -m support.forkserver DESCRIPTOR`.

It loads what `python -m btcts` loads sooner or later. `support.commands` sends orders: the length in four bytes,
together with the command's three streams and a socket to report on, then the order as JSON. The report is a line with
the process id, and one with the wait status each time that the command stops or ends.
"""

import atexit
import gc
import io
import json
import os
import pkgutil
import select
import signal
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from support.leaks import find_leaks, list_secrets

LATE = (
    "encodings.idna",
    "encodings.utf_8_sig",
    "grp",
    "platformdirs",
    "pydantic.type_adapter",
    "rich._emoji_codes",
    "rich.table",
    "typer._adapters",
    "typer._click.decorators",
    "zoneinfo",
)
"""Modules that commands import while they run."""

UNUSED = {"HOME"}
"""Read by sysconfig when it is loaded, to know where `pip install --user` would put things."""

LENGTH = struct.Struct("!I")
STREAMS = (("stdin", "r"), ("stdout", "w"), ("stderr", "w"))


class Order(NamedTuple):
    """A command: `module:function` to call, its arguments, and its surroundings."""

    call: str
    arguments: list[str]
    environ: dict[str, str]
    folder: str
    umask: int
    session: bool


def load() -> list[str]:
    """Import everything; return the environment variables that were read for it."""
    read: set[str] = set()
    kind: Any = type(os.environ)
    get = kind.__getitem__

    def record(environ: Any, name: str) -> str:
        read.add(name)
        value: str = get(environ, name)
        return value

    kind.__getitem__ = record
    try:
        btcts = import_module("btcts")
        names = [module.name for module in pkgutil.walk_packages(btcts.__path__, "btcts.")]
        for name in (*names, *LATE):
            if name != "btcts.__main__":
                import_module(name)
    finally:
        kind.__getitem__ = get
    import_module("btcts.providers.trust").load_trust()  # kept for commands with the same variables of TLS
    gc.collect()
    gc.freeze()  # the collection at the end of a fork would copy all that was loaded
    return sorted(read - UNUSED)


def serve(control: socket.socket) -> tuple[Order, list[int]]:
    """Fork for orders until there is nobody to give any; return in each fork, with its order and descriptors."""
    reports: dict[int, socket.socket] = {}
    woken, waker = os.pipe()
    os.set_blocking(waker, False)
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
    while True:
        ready, _, _ = select.select([control, woken], [], [])
        if woken in ready:
            os.read(woken, 4096)
            report_changes(reports)
        if control in ready:
            received = receive(control)
            if received is None:
                os._exit(0)
            order, descriptors = received
            pid = os.fork()
            if pid == 0:
                return order, descriptors
            reports[pid] = socket.socket(fileno=descriptors.pop())
            for descriptor in descriptors:
                os.close(descriptor)
            tell(reports[pid], pid)


def receive(control: socket.socket) -> tuple[Order, list[int]] | None:
    """Return the next order and its descriptors; None when there will be none."""
    try:
        head, descriptors, _, _ = socket.recv_fds(control, LENGTH.size, len(STREAMS) + 1)
    except ConnectionResetError:  # it has gone without reading our first line
        return None
    if not head:
        return None
    length = LENGTH.unpack(head)[0]
    body = b""
    while len(body) < length:
        body += control.recv(length - len(body))
    return Order(*json.loads(body)), descriptors


def report_changes(reports: dict[int, socket.socket]) -> None:
    """Tell of the commands that have stopped or ended."""
    while reports:
        pid, status = os.waitpid(-1, os.WNOHANG | os.WUNTRACED)
        if not pid:
            return
        tell(reports[pid], status)
        if not os.WIFSTOPPED(status):
            reports.pop(pid).close()


def tell(report: socket.socket, number: int) -> None:
    """Send a number to who has ordered the command; it may have gone."""
    with suppress(OSError):
        report.sendall(b"%d\n" % number)


def become(order: Order, descriptors: list[int]) -> None:
    """Turn this process into one that has just been started for the order."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    if order.session:
        os.setsid()
    for number in range(len(STREAMS)):
        os.dup2(descriptors[number], number)
    os.closerange(len(STREAMS), max(map(int, os.listdir("/dev/fd"))) + 1)  # noqa: PTH208 -- names are enough
    os.umask(order.umask)
    os.chdir(order.folder)
    os.environ.clear()
    os.environ.update(order.environ)
    time.tzset()
    sys.path[0] = str(Path.cwd())
    for number, (name, mode) in enumerate(STREAMS):
        stream = open_stream(number, mode, getattr(sys, name))
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)


def report_leaks(environ: Mapping[str, str]) -> Callable[[str, tuple[Any, ...]], None]:
    """Return a hook that repeats secrets on stderr, where the scan finds them, when a child is handed any."""

    def look(event: str, arguments: tuple[Any, ...]) -> None:
        if event in ("subprocess.Popen", "os.exec"):
            handed = repr((arguments[1], os.environ if arguments[-1] is None else arguments[-1]))
            for secret in find_leaks(handed, list_secrets(environ)):
                os.write(2, f"a child is handed {secret}\n".encode())

    return look


def open_stream(number: int, mode: str, model: Any) -> io.TextIOWrapper:
    """Open a standard stream as the interpreter does, by the settings it has opened the model with."""
    raw = io.FileIO(number, mode, closefd=False)
    raw.name = model.name
    unbuffered = model.write_through
    written: Any = raw if unbuffered else io.BufferedWriter(raw)
    stream = io.TextIOWrapper(
        io.BufferedReader(raw) if mode == "r" else written,
        model.encoding,
        model.errors,
        newline="\n" if mode == "w" else None,
        line_buffering=not unbuffered and (raw.isatty() or number == 2),
        write_through=unbuffered,
    )
    stream.mode = mode
    return stream


def end_quickly(code: object) -> None:
    """End the process as the interpreter would, but leave freeing its memory to the system.

    Freeing it takes half of the time of a short command. Return where this would look different: an exit code that is
    a text, or a stream that cannot be flushed.
    """
    if code is not None and not isinstance(code, int):
        return
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    with suppress(OSError, ValueError):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit((code or 0) & 0xFF)


def main() -> None:
    """Load, say what was read for it, and serve."""
    with socket.socket(fileno=int(sys.argv[1])) as control:
        with suppress(OSError):  # who has started us may have gone
            control.sendall(json.dumps(load()).encode() + b"\n")
        order, descriptors = serve(control)
    become(order, descriptors)
    sys.addaudithook(report_leaks(order.environ))
    module, _, function = order.call.partition(":")
    loaded = import_module(module)
    sys.argv[:] = [os.fspath(loaded.__file__ or ""), *order.arguments]
    try:
        getattr(loaded, function)()
    except SystemExit as exc:
        end_quickly(exc.code)
        raise


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        main()
