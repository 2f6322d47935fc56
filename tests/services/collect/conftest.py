"""Commands that are killed at a step of their talk with Redis, and a Redis that is killed the same way."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from services.collect.killed_collector import FatalWire, run
from services.scenes import LastingScene, Scene, Story
from support.servers import StartServer, connect

TESTS = Path(__file__).parents[2]

Kill = Callable[[Story, int], tuple[bool, list[Any]]]
"""Lets a story's command run until it is killed at a step: whether it came to that, and what it had said by then."""


@pytest.fixture
def scene(start_server: StartServer, tmp_path: Path) -> Iterator[Scene]:
    """An empty Redis and an empty spool."""
    server = start_server("--enable-debug-command", "yes")
    with connect(server.socket) as client:
        yield Scene(server, client, tmp_path)


@pytest.fixture(scope="module")
def mortal() -> Iterator[subprocess.Popen[str]]:
    """Run commands in processes of their own, which kill themselves."""
    command = [sys.executable, "-m", "services.collect.killed_collector"]
    with subprocess.Popen(command, cwd=TESTS, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield process


@pytest.fixture
def count_kill(record_property: Callable[[str, object], None]) -> Callable[[], None]:
    """Count one more kill for the summary of the run."""
    kills = count(1)
    return lambda: record_property("kill points", next(kills))


@pytest.fixture
def killed(scene: Scene, mortal: subprocess.Popen[str], count_kill: Callable[[], None]) -> Kill:
    """Commands that are killed themselves."""

    def kill(story: Story, step: int) -> tuple[bool, list[Any]]:
        count_kill()
        assert mortal.stdin
        assert mortal.stdout
        order = [str(scene.server.socket), str(scene.folder), story.command, story.now_ms, step]
        mortal.stdin.write(json.dumps(order) + "\n")
        mortal.stdin.flush()
        killed, said = json.loads(mortal.stdout.readline())
        while len(scene.client.client_list()) > 1:
            pass  # Redis is still busy with what the dead one sent
        return killed, said

    return kill


@pytest.fixture
def lasting(start_server: StartServer, tmp_path: Path) -> Iterator[LastingScene]:
    """The same with a Redis that finds its data again when it is killed and started."""
    server = start_server("--appendonly", "yes", "--appendfsync", "always")
    with connect(server.socket) as client:
        yield LastingScene(server, client, tmp_path)


@pytest.fixture
def redis_killed(lasting: LastingScene, count_kill: Callable[[], None]) -> Kill:
    """Commands in this process, and a Redis that is killed while they run and started again when they have ended."""

    def kill(story: Story, step: int) -> tuple[bool, list[Any]]:
        count_kill()
        said: list[Any] = []
        wire = FatalWire(lasting.server.socket, step, lasting.server.kill)
        run(story.command, story.now_ms, wire.client, lasting.folder, said.append)
        if wire.ended:
            lasting.server.start()
        return wire.ended, said

    return kill
