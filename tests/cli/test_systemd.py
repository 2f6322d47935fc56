"""The units of src/systemd, and the messages of the real commands to the one who started them."""

import configparser
import re
import shlex
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import chain, islice
from pathlib import Path

import click
import pytest
import typer

from btcts.cli.main import app
from btcts.config.table import list_settings
from btcts.domain.model import BUDGET
from btcts.providers import DEFAULTS
from btcts.services.collect.cycle import Cycle
from support.commands import ForkServer, Running

FOLDER = Path(__file__).parents[2] / "src" / "systemd"
SERVICES = sorted(FOLDER.glob("*.service"))
PREFIX = "/opt/btcts/bin/btcts"
HARDENED = {
    "DynamicUser": "yes",
    "ProtectSystem": "strict",
    "NoNewPrivileges": "yes",
    "CapabilityBoundingSet": "",
    "StateDirectory": "btcts",
}

Messages = Iterator[dict[str, str]]
Supervise = Callable[..., tuple[Running, Messages]]


def read_unit(file: Path) -> configparser.ConfigParser:
    """Return a unit; of keys that are there several times the last."""
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read_string(file.read_text("utf-8"))
    return unit


@pytest.mark.parametrize("file", SERVICES, ids=lambda file: file.stem)
def test_a_service_runs_a_command_that_there_is_and_may_do_little(file: Path) -> None:
    service = read_unit(file)["Service"]

    program, *arguments = shlex.split(service["ExecStart"])
    parsed = parse_command(arguments)

    assert program == PREFIX
    assert parsed
    assert {key: service[key] for key in HARDENED} == HARDENED
    assert "MemoryMax" in service
    assert service["SystemCallFilter"] == "~@privileged @resources"


@pytest.mark.parametrize("file", SERVICES, ids=lambda file: file.stem)
def test_the_variables_of_a_service_are_settings(file: Path) -> None:
    lines = re.findall(r"^#?Environment=(.+)$", file.read_text("utf-8"), re.MULTILINE)

    named = {word.partition("=")[0] for line in lines for word in line.split()}

    assert len(named) > 1
    assert named - {"HOME"} <= {name for setting in list_settings(DEFAULTS).values() for name in setting.variables}


def parse_command(arguments: list[str]) -> str:
    """Return the name of the command that these arguments run; unknown options are an error."""
    command: click.Command = typer.main.get_command(app)
    while isinstance(command, click.Group):
        context = click.Context(command, info_name=command.name)
        _, found, arguments = command.resolve_command(context, arguments)
        assert found is not None
        command = found
    command.make_context(command.name, arguments)
    return str(command.name)


def test_the_timer_runs_the_service_of_its_name_each_minute() -> None:
    (file,) = FOLDER.glob("*.timer")
    timer = read_unit(file)["Timer"]

    assert file.with_suffix(".service") in SERVICES
    assert timer["OnCalendar"] == "minutely"
    assert timer["AccuracySec"] == "1s"


@pytest.fixture
def supervise(environ: dict[str, str], tmp_path: Path, commands: ForkServer) -> Iterator[Supervise]:
    """Start a command as systemd does; return the process and what it tells."""
    with ExitStack() as stack:

        def start(*arguments: str, **changes: str) -> tuple[Running, Messages]:
            manager = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
            manager.bind(f"{tmp_path}/notify")
            manager.settimeout(30)
            own = environ | {"NOTIFY_SOCKET": f"{tmp_path}/notify"} | changes
            running = stack.enter_context(commands.start(arguments, env=own, stderr=subprocess.DEVNULL))
            stack.callback(running.kill)
            return running, iter(lambda: read_message(manager), {})

        yield start


def read_message(manager: socket.socket) -> dict[str, str]:
    return dict(line.split("=", 1) for line in manager.recv(65_536).decode().splitlines())


COLLECT = ("collect", "--forever", "--quiet", "--no-streams", "--interval", "1")


def await_food(told: Messages) -> dict[str, str]:
    """Return the first message that feeds the watchdog; on a busy machine the first cycles may find no price."""
    return next(message for message in islice(told, 30) if message.get("WATCHDOG") == "1")


def test_a_collector_feeds_the_watchdog_with_prices_and_says_when_it_stops(supervise: Supervise) -> None:
    running, told = supervise(*COLLECT, WATCHDOG_USEC="2000000")
    first = next(told)
    fed = await_food(chain([first], told))
    running.send_signal(signal.SIGTERM)
    last = next(message for message in told if "STOPPING" in message)

    assert (first["READY"], fed["READY"]) == ("1", "1")
    assert first["WATCHDOG_USEC"] == "3000000"  # three cycles
    assert fed["STATUS"]
    assert last == {"STOPPING": "1"}
    assert running.wait(30) == 0


def test_a_spooled_price_feeds_the_watchdog_too(supervise: Supervise, tmp_path: Path) -> None:
    _, told = supervise(*COLLECT, REDIS_URL=f"unix://{tmp_path}/nobody")

    assert await_food(told)


def test_a_collector_that_keeps_nothing_is_ready_and_feeds_no_watchdog(supervise: Supervise) -> None:
    nobody = {"BTCTS_COLLECT_PROVIDERS": "kraken", "BTCTS_PROVIDERS_KRAKEN_URL": "http://127.0.0.1:9"}
    _, told = supervise(*COLLECT, **nobody)
    messages = [next(told) for _ in range(3)]  # refused, and not asked again for a while

    assert {message["READY"] for message in messages} == {"1"}
    assert not any("WATCHDOG" in message for message in messages)


@pytest.mark.parametrize(("why", "fed"), [(BUDGET, True), ("", False)])
def test_only_a_budget_excuses_a_cycle_that_keeps_nothing(why: str, *, fed: bool) -> None:
    assert Cycle(0, waiting=(("coinmarketcap", 5, BUDGET), ("kraken", 5, why))).fruitful is fed


def test_serve_feeds_the_watchdog_with_its_looks(supervise: Supervise, tmp_path: Path) -> None:
    changes = {"REDIS_URL": f"unix://{tmp_path}/nobody"}  # a Redis that is away is no reason to start anew
    running, told = supervise("serve", "--listen", "127.0.0.1:0", **changes)
    ready, fed = next(told), next(told)
    running.send_signal(signal.SIGTERM)

    assert ready["READY"] == "1"
    assert ready["STATUS"].startswith("http://127.0.0.1:")
    assert fed == {"WATCHDOG": "1"}
    assert next(message for message in told if "STOPPING" in message)
    assert running.wait(30) == 0
