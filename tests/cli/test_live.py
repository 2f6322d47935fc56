"""`btcts show --watch` on a terminal and in a pipe: processes that are watched while the world around them changes."""

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest

from btcts.config import BTC_USD
from btcts.domain.clock import ServerClock
from btcts.domain.model import Tick
from btcts.store import Store
from cli.conftest import Btcts
from support.commands import MAIN, ForkServer, Running
from support.servers import Server, StartServer, connect
from support.terminals import Terminal

Watch = Callable[..., Terminal]

HINT = "Ctrl-C ends."


@pytest.fixture
def lasting(start_server: StartServer) -> Server:
    """A server that has its data again after it was killed."""
    return start_server("--appendonly", "yes", "--appendfsync", "always")


@pytest.fixture
def say_price(lasting: Server) -> Callable[[float], None]:
    """Store a price that is true now."""

    def say(price: float) -> None:
        with connect(lasting.socket) as client:
            Store(client, BTC_USD, clock=ServerClock(), where="test").write([Tick(time.time_ns() // 1_000_000, price)])

    return say


@pytest.fixture
def watch(commands: ForkServer, environ: dict[str, str], lasting: Server, tmp_path: Path) -> Iterator[Watch]:
    """Run `btcts show --watch` with these arguments on a terminal of its own."""
    with ExitStack() as stack:

        def run(*arguments: str, columns: int = 100, rows: int = 40) -> Terminal:
            own = {name: value for name, value in environ.items() if name not in ("COLUMNS", "NO_COLOR")}
            start = partial(commands.fork, MAIN, ["show", "--watch", "--interval", "0.2", *arguments])
            redis = {"REDIS_URL": f"unix://{lasting.socket}"}
            terminal = Terminal(start, own | redis, tmp_path / "errors", columns=columns, rows=rows)
            return stack.enter_context(terminal)

        yield run


def assert_left_as_it_was(terminal: Terminal) -> None:
    assert terminal.modes == {"alternate": False, "cursor": True, "wraps": True, "drawing": False}
    assert terminal.line_attributes() == terminal.attributes


def test_the_price_is_there_at_once_and_a_new_one_takes_its_place(
    watch: Watch, say_price: Callable[[float], None]
) -> None:
    say_price(64_001.25)
    terminal = watch()
    first = terminal.until(lambda screen: HINT in screen)

    say_price(64_123.5)
    second = terminal.until(lambda screen: "64,123.50" in screen)

    assert "BTC-USD 64,001.25" in first
    assert "BTC-USD 64,123.50" in second
    assert "hour" in second


@pytest.mark.parametrize("arguments", [[], ["15min"], ["minute", "--chart"]], ids=" ".join)
def test_every_frame_is_whole_and_writes_only_the_lines_that_changed(
    watch: Watch, say_price: Callable[[float], None], arguments: list[str]
) -> None:
    say_price(64_001.25)
    terminal = watch(*arguments)
    terminal.until(lambda screen: HINT in screen)

    for price in (64_011.0, 64_021.0, 64_031.0):
        say_price(price)
        terminal.until(lambda screen, price=price: f"BTC-USD {price:,.2f}" in screen)

    assert all(frame[0].startswith("BTC-USD 64,0") and frame[-1] == HINT for frame in terminal.frames)
    assert len(terminal.drawn[0]) == 100 * 40
    assert all(len(each) < len(terminal.drawn[0]) for each in terminal.drawn[1:])


def test_a_feed_that_died_is_said_to_be_stale_and_its_age_grows(
    watch: Watch, say_price: Callable[[float], None]
) -> None:
    terminal = watch("5min", "--max-age", "1")
    terminal.until(lambda screen: HINT in screen)

    say_price(64_001.25)
    terminal.until(lambda screen: re.search(r"Stale: the newest price is ([3-9]|\d\d) s old, the limit is 1 s", screen))

    ages = [int(found[1]) for frame in terminal.frames if (found := re.search(r"64,001.25, (\d+) s old", frame[0]))]
    assert ages == sorted(ages)
    assert len(set(ages)) > 1


def test_a_redis_that_is_killed_is_said_to_be_away_and_comes_back(
    watch: Watch, say_price: Callable[[float], None], lasting: Server
) -> None:
    say_price(64_001.25)
    terminal = watch()
    terminal.until(lambda screen: HINT in screen)

    lasting.kill()
    away = terminal.until(lambda screen: "trying again" in screen)
    lasting.start()
    say_price(64_123.5)
    back = terminal.until(lambda screen: "64,123.50" in screen)

    assert re.search(r"Redis .* since \d\d:\d\d:\d\d", away)
    assert "BTC-USD 64,001.25" in away
    assert HINT in back


def test_a_redis_that_hangs_stops_neither_the_age_nor_the_end(
    watch: Watch, say_price: Callable[[float], None], lasting: Server
) -> None:
    say_price(64_001.25)
    terminal = watch()
    terminal.until(lambda screen: HINT in screen)

    os.kill(lasting.pid, signal.SIGSTOP)
    terminal.until(lambda screen: "Redis has not answered since" in screen)
    terminal.until(lambda screen: re.search(r"64,001.25, ([4-9]|\d\d) s old", screen))
    terminal.send(signal.SIGINT)

    assert terminal.ended() == 130


def test_it_follows_the_size_of_the_terminal(watch: Watch, say_price: Callable[[float], None]) -> None:
    say_price(64_001.25)
    terminal = watch("hour")
    terminal.until(lambda screen: HINT in screen)

    terminal.resize(60, 20)
    small = terminal.until(lambda screen: screen.endswith(f" of 25 slots. {HINT}"))
    terminal.resize(140, 60)
    large = terminal.until(lambda screen: screen.count("no price") == 24)

    assert len(small.split("\n")) == 20
    assert small.count("64,001.25") == 2
    assert large.endswith(f"\n{HINT}")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_it_leaves_the_terminal_as_it_was(
    watch: Watch, say_price: Callable[[float], None], tmp_path: Path, number: signal.Signals, code: int
) -> None:
    say_price(64_001.25)
    terminal = watch()
    terminal.until(lambda screen: HINT in screen)
    while_watching = terminal.line_attributes()

    terminal.send(number)

    assert terminal.ended() == code
    assert while_watching != terminal.attributes
    assert_left_as_it_was(terminal)
    assert (tmp_path / "errors").read_text() == ""


def test_suspended_it_gives_the_terminal_back_and_draws_anew_afterwards(
    watch: Watch, say_price: Callable[[float], None]
) -> None:
    say_price(64_001.25)
    terminal = watch()
    terminal.until(lambda screen: HINT in screen)

    terminal.send(signal.SIGTSTP)
    terminal.until_stopped()
    assert_left_as_it_was(terminal)
    terminal.send(signal.SIGCONT)
    again = terminal.until(lambda screen: terminal.modes["alternate"] and HINT in screen)

    assert "BTC-USD 64,001.25" in again


def test_without_redis_at_first_it_fails_as_ever_and_touches_no_terminal(watch: Watch, lasting: Server) -> None:
    lasting.kill()

    terminal = watch()

    assert terminal.ended() == 3
    assert terminal.drawn == []
    assert_left_as_it_was(terminal)


@pytest.fixture
def stream(commands: ForkServer, environ: dict[str, str], lasting: Server) -> Iterator[Running]:
    """`btcts show minute --watch --format json` in pipes."""
    with commands.start(
        ["show", "minute", "--limit", "1", "--watch", "--format", "json", "--interval", "0.2"],
        env={**environ, "REDIS_URL": f"unix://{lasting.socket}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as running:
        yield running
        running.kill()


def test_json_is_a_line_at_once_and_one_for_each_new_price(stream: Running, say_price: Callable[[float], None]) -> None:
    assert stream.stdout
    prices = [json.loads(stream.stdout.readline())["price"]]

    for price in (64_001.25, 64_123.5):
        say_price(price)
        prices.append(json.loads(stream.stdout.readline())["price"])
    stream.send_signal(signal.SIGINT)
    rest, errors = stream.communicate(timeout=30)

    assert prices == [None, 64_001.25, 64_123.5]
    assert (stream.returncode, rest, errors) == (130, "", "")


def test_json_says_once_that_redis_is_away_and_once_that_it_is_back(
    stream: Running, say_price: Callable[[float], None], lasting: Server
) -> None:
    assert stream.stdout
    assert stream.stderr
    stream.stdout.readline()

    lasting.kill()
    away = stream.stderr.readline()
    lasting.start()
    back = stream.stderr.readline()
    say_price(64_001.25)
    document = json.loads(stream.stdout.readline())

    assert away.startswith("btcts: no Redis ")
    assert away.endswith("; trying again\n")
    assert back.endswith(" answers again\n")
    assert document["price"] == 64_001.25


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], "use --format json"),
        (["--chart"], "use --format json"),
        (["--format", "csv"], "no csv"),
        (["--svg", "day.svg"], "no picture"),
        (["--format", "json", "--at", "2h"], "--at 2h"),
        (["--format", "json", "--interval", "0.1"], "0.2"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_watched_is_refused_in_one_line(btcts: Btcts, arguments: list[str], expected: str) -> None:
    done = btcts("show", "--watch", *arguments)

    assert (done.code, done.out) == (2, "")
    assert len(done.err.splitlines()) == 1
    assert expected in done.err
