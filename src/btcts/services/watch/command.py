"""Alerts as runs of a user's command: without a shell, values in its environment, the document on its stdin."""

import os
import shlex
import shutil
import signal
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

from btcts.errors import ConfigError
from btcts.services.watch.outbox import Undelivered
from btcts.system.calls import start_call
from btcts.system.causes import describe

TIMEOUT_S = 30.0

SECRETS = {"API_KEY", "REDIS_PASSWORD", "REDIS_SENTINEL_PASSWORD"}
"""The environment variables with secret settings."""

GRACE_S = 2.0
"""Time for processes to end before they are killed."""

STDERR = 2
"""The stream for the command's output: our stdout is for alerts alone."""


@dataclass(frozen=True, slots=True)
class Program:
    """A program and its arguments; messages name the program only, as arguments may be secret."""

    arguments: tuple[str, ...]
    timeout_s: float = TIMEOUT_S
    grace_s: float = GRACE_S

    def run(self, document: str, variables: Mapping[str, str]) -> Undelivered | None:
        """Run the program to its end; return why it failed, None when it did not.

        It gets its own process group, so that Ctrl-C reaches only us and the whole group can be ended.
        """
        try:
            process = subprocess.Popen(
                self.arguments,
                stdin=subprocess.PIPE,
                stdout=STDERR,
                env={**pass_on(os.environ), **variables},
                start_new_session=True,
            )
        except OSError as exc:
            return self._fail(f"does not start ({describe(exc)})")
        return self._await_end(process, document)

    def _await_end(self, process: subprocess.Popen[bytes], document: str) -> Undelivered | None:
        try:
            process.communicate(document.encode(), self.timeout_s)
        except subprocess.TimeoutExpired:
            ended = "was" if self._end_group(process) else "could not be"
            return self._fail(f"took more than {self.timeout_s:g} s and {ended} ended")
        except BaseException:
            self._end_group(process)
            raise
        if process.returncode < 0:
            return self._fail(f"was ended by signal {-process.returncode}")
        return self._fail(f"ended with exit code {process.returncode}") if process.returncode else None

    def _fail(self, how: str) -> Undelivered:
        return Undelivered(f"{self.arguments[0]} {how}")

    def _end_group(self, process: subprocess.Popen[bytes]) -> bool:
        """Ask all of the command's processes to end, then kill those that have not; tell whether the command ended.

        Those of another user, as after sudo, cannot be ended.
        """
        for number in (signal.SIGTERM, signal.SIGKILL):
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, number)
            with suppress(subprocess.TimeoutExpired):
                process.wait(self.grace_s)
        if process.returncode is None:
            start_call(process.wait)  # it would stay a zombie
        return process.returncode is not None


def pass_on(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables without the secrets of btcts: its keys, passwords, and logins in its URLs and in proxies.

    Other variables are the user's, and the command may need them. Names of files with secrets are not secret.
    """
    return {name: value for name, value in environ.items() if name not in SECRETS and not _has_login(name, value)}


def _has_login(name: str, value: str) -> bool:
    ours = name.startswith(("REDIS_", "BTCTS_")) or name.lower().endswith("_proxy")
    return ours and ("@" in value or "sentinel_password=" in value)


def parse_command(text: str) -> Program:
    """Parse the command of `--exec`, split as a shell would split it.

    Raises:
        ConfigError: it is malformed, or there is no such program.
    """
    try:
        arguments = tuple(shlex.split(text))
    except ValueError as exc:
        raise ConfigError(f"--exec cannot be split into words ({describe(exc)}); close what you quote") from exc
    if not arguments:
        raise ConfigError("--exec names no command; write it like --exec 'notify-send Bitcoin'")
    if shutil.which(arguments[0]) is None:
        raise ConfigError(f"--exec: there is no program {arguments[0]!r}; give its path, or sh -c '...' for the shell")
    return Program(arguments)
