"""A deployment by Compose that is thrown away: a clone, a project name, a port and exchanges of its own."""

import re
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from support.exchanges.server import PROVIDERS

ROOT = Path(__file__).parents[2]
FOLDERS = ("src", "requirements", "deploy")
FILES = ("Dockerfile", "docker-compose.yml", ".dockerignore", ".env.example", "redis.conf", "start-redis.sh")
FILES_OF_WHEEL = ("pyproject.toml", "README.md", "LICENSE")

PASSWORD = r"""it's "5" $HOME ${HOME} # \ ü"""
WRITTEN = r"""'it\'s "5" $HOME ${HOME} # \ ü'"""
"""The same as .env.example says to write it."""

PROFILE = ("--profile", "monitoring")

BUILD_WITHIN_S = 900
WITHIN_S = 120
"""What anything but a first build may take."""

EXCHANGES_IMAGE = """
ARG BASE
FROM ${BASE}
COPY --chmod=0555 . /tests
ENTRYPOINT ["python", "/tests/support/exchanges", "--host", "0.0.0.0"]
"""

ReadUntil = Callable[[str], str]


@dataclass(frozen=True)
class Done:
    """The end of a command."""

    code: int
    out: str
    err: str


def run(*command: str, cwd: Path | None = None, within_s: float = WITHIN_S, given: str | None = None) -> Done:
    """Run a command to its end, which has to come in time."""
    done = subprocess.run(command, cwd=cwd, input=given, capture_output=True, text=True, timeout=within_s, check=False)
    return Done(done.returncode, done.stdout, done.stderr)


def do(*command: str, cwd: Path | None = None, within_s: float = WITHIN_S, given: str | None = None) -> str:
    """Run a command that has to succeed, and return what it printed."""
    done = run(*command, cwd=cwd, within_s=within_s, given=given)
    assert done.code == 0, f"{command}: {done.err[-2000:]}"
    return done.out.strip()


def explain_no_engine() -> str | None:
    """Return why no container can be run here; None where one can."""
    for command in (("docker", "info"), ("docker", "compose", "version")):
        try:
            done = run(*command)
        except FileNotFoundError:
            return "there is no docker command"
        if done.code != 0:
            return f"{' '.join(command)}: {done.err.strip().splitlines()[0]}"
    return None


@contextmanager
def follow(*command: str, cwd: Path) -> Iterator[ReadUntil]:
    """Read what a command goes on printing: up to the first line that has a text in it, which has to come in time."""
    with subprocess.Popen(command, cwd=cwd, stdout=subprocess.PIPE, text=True) as process:
        limit = threading.Timer(WITHIN_S, process.kill)
        limit.start()

        def read_until(text: str) -> str:
            assert process.stdout
            for line in process.stdout:
                if text in line:
                    return line
            raise AssertionError(f"{command} printed no line with {text!r}")

        try:
            yield read_until
        finally:
            limit.cancel()
            process.kill()


@dataclass(frozen=True)
class Deployment:
    """The containers of one project, from a clone that nobody but its owner can read."""

    folder: Path
    name: str
    port: int

    def clone(self) -> None:
        """Copy what is deployed, with the modes that umask 077 gives, and the local exchanges beside it."""
        for name in FOLDERS:
            shutil.copytree(ROOT / name, self.folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        for name in (*FILES, *FILES_OF_WHEEL):
            shutil.copy(ROOT / name, self.folder)
        do("chmod", "-R", "go=", str(self.folder))
        ours = self.folder / "exchanges"
        support = ROOT / "tests/support"
        without_caches = shutil.ignore_patterns("__pycache__")
        shutil.copytree(support / "exchanges", ours / "support/exchanges", ignore=without_caches)
        shutil.copy(support / "clocks.py", ours / "support")
        (ours / "Dockerfile").write_text(EXCHANGES_IMAGE)
        service = f"image: {self.name}-exchanges, pull_policy: never, init: true"
        (self.folder / "docker-compose.override.yml").write_text(f"services: {{ exchanges: {{ {service} }} }}\n")

    def set_password(self, written: str, *lines: str) -> None:
        """Make .env by the line of the README, and set in it the password as written, the ports and the exchanges."""
        do("install", "-m", "600", ".env.example", ".env", cwd=self.folder)
        text = (self.folder / ".env").read_text().replace("REDIS_PORT=6379", f"REDIS_PORT={self.port}")
        urls = [f"BTCTS_PROVIDERS_{provider.upper()}_URL=http://exchanges:8765/{provider}" for provider in PROVIDERS]
        text = text.replace("REDIS_PASSWORD=\n", f"REDIS_PASSWORD={written}\n")
        ports = [f"{name}_PORT=0" for name in ("PAGE", "PROMETHEUS", "GRAFANA")]
        (self.folder / ".env").write_text("\n".join([text, *urls, *ports, "BTCTS_COLLECT_INTERVAL_S=2", *lines, ""]))

    def make_secret(self, name: str) -> str:
        """Make the file of a secret by the line of the docs, and return what is in it."""
        line = re.findall(r"^mkdir .* secrets/page_token$", (ROOT / "docs/docker.md").read_text(), re.MULTILINE)[0]
        do("sh", "-c", line.replace("page_token", name), cwd=self.folder)
        return (self.folder / "secrets" / name).read_text().strip()

    def build(self) -> None:
        """Build the images of the clone, and on that of the collector the one of the exchanges."""
        do(*self.command("build"), cwd=self.folder, within_s=BUILD_WITHIN_S)
        base = f"BASE={self.name}-price_tracker"
        do("docker", "build", "--tag", f"{self.name}-exchanges", "--build-arg", base, str(self.folder / "exchanges"))

    def command(self, *arguments: str) -> tuple[str, ...]:
        """Return a command of Compose for this project."""
        return ("docker", "compose", "--project-name", self.name, *arguments)

    def compose(self, *arguments: str, within_s: float = WITHIN_S) -> Done:
        """Run a command of Compose."""
        return run(*self.command(*arguments), cwd=self.folder, within_s=within_s)

    def address(self, service: str, port: int) -> str:
        """Return where the port of a service is published."""
        return self.compose(*PROFILE, "port", service, str(port)).out.strip()

    def execute(self, service: str, *command: str) -> Done:
        """Run a command in a container."""
        return self.compose("exec", "-T", service, *command)

    def inspect(self, service: str, field: str) -> str:
        """Return what the engine knows of a container."""
        return do("docker", "inspect", "--format", f"{{{{{field}}}}}", self.container(service))

    def container(self, service: str) -> str:
        """Return the name of the container of a service."""
        return f"{self.name}-{service}-1"

    def kill(self, service: str) -> None:
        """End the first process of a container by SIGKILL from outside, as the kernel does when memory runs out."""
        pid = self.inspect(service, ".State.Pid")
        options = ("--rm", "--pid", "host", "--user", "0", "--network", "none", "--entrypoint", "python")
        do("docker", "run", *options, f"{self.name}-price_tracker", "-c", f"import os; os.kill({pid}, 9)")

    def follow_starts(self, service: str) -> AbstractContextManager[ReadUntil]:
        """Read the starts of the container of a service from now on."""
        since = f"{time.time_ns() / 1e9:.9f}"
        only = ("--filter", f"container={self.container(service)}", "--filter", "event=start")
        return follow("docker", "events", "--since", since, *only, "--format", "{{.Action}}", cwd=self.folder)

    def follow_log(self, service: str) -> AbstractContextManager[ReadUntil]:
        """Read the log of a service from now on."""
        return follow(*self.command("logs", "--follow", "--tail", "0", "--no-log-prefix", service), cwd=self.folder)

    def remove(self) -> None:
        """Leave no container, volume, network or image of this project."""
        self.compose(*PROFILE, "down", "--volumes", "--timeout", "5")
        services = ("redis", "price_tracker", "exchanges", "page", "prometheus", "grafana")
        run("docker", "image", "rm", "--force", *(f"{self.name}-{service}" for service in services))
