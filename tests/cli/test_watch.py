"""`btcts watch` as its users run it."""

import json
import os
import re
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import redis

from btcts.config import BTC_USD
from btcts.domain.clock import ServerClock
from btcts.domain.model import Tick
from btcts.store import Store
from cli.conftest import BTCTS, Done
from support.commands import ForkServer

WATCH = (*BTCTS, "watch")

SECRET = "s3cr3t"

Watch = Callable[..., Done]
Come = Callable[..., None]


@pytest.fixture
def watch(commands: ForkServer, environ: dict[str, str], tmp_path: Path) -> Watch:
    """Run `btcts watch` with arguments; keywords change the environment."""

    def run(*arguments: str, **changes: str) -> Done:
        done = commands.run(["watch", *arguments], env={**environ, "TZ": "UTC", **changes}, cwd=tmp_path)
        assert SECRET not in done.stdout + done.stderr
        return Done(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture
def come(client: redis.Redis) -> Come:
    """Let these prices come in now, a millisecond apart."""

    def write(*prices: float) -> None:
        now_ms = int(client.time()[0]) * 1000 + int(client.time()[1]) // 1000
        ticks = [Tick(now_ms - len(prices) + 1 + number, price) for number, price in enumerate(prices)]
        Store(client, BTC_USD, clock=ServerClock(), where="test").write(ticks)

    return write


@pytest.fixture
def hook() -> Iterator[tuple[str, list[bytes]]]:
    """The address of a local server, and the bodies that were posted to it."""
    bodies: list[bytes] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/{SECRET}", bodies
        server.shutdown()
        thread.join()


def test_a_look_says_one_line_for_each_alert_and_says_it_once(watch: Watch, come: Come) -> None:
    come(61_000.0)

    first, second = (watch("--once", "--above", "60000", "--below", "50000") for _ in range(2))

    assert (first.code, first.err) == (0, "")
    assert len(first.out.splitlines()) == 1
    assert " UTC  BTC-USD " in first.out
    assert " 61,000.00, " in first.out
    assert first.out.endswith(" above 60,000.00\n")
    assert second == Done(0, "", "")


def test_an_alert_reaches_the_command_and_the_webhook(
    watch: Watch, come: Come, hook: tuple[str, list[bytes]], tmp_path: Path
) -> None:
    come(55_000.0)
    url, bodies = hook
    ways = ("--exec", f"sh -c 'cat > {tmp_path}/in; echo $BTCTS_ALERT_KIND'", "--webhook", url)
    quiet = watch("--once", "--move", "+5/1h", *ways)
    come(58_000.0)

    done = watch("--once", "--move", "+5/1h", "--format", "json", *ways)

    document = json.loads(done.out)
    assert quiet == Done(0, "", "")
    assert (done.code, done.err) == (0, "rise\n")
    assert (document["rule"], document["price"], document["reference"]) == ("move +5/1h", 58_000.0, 55_000.0)
    assert [json.loads(body) for body in bodies] == [json.loads((tmp_path / "in").read_text())] == [document]


def test_a_delivery_that_fails_is_1_and_made_by_the_next_run(
    watch: Watch, come: Come, hook: tuple[str, list[bytes]]
) -> None:
    come(61_000.0)
    url, bodies = hook
    nobody = f"http://{SECRET}:{SECRET}@127.0.0.1:9/{SECRET}"

    failed = watch("--once", "--above", "60000", "--webhook", nobody)
    made = watch("--once", "--above", "60000", "--webhook", url)

    assert failed.code == 1
    assert len(failed.err.splitlines()) == 1
    assert "'above 60000'" in failed.err
    assert "(connection refused)); " in failed.err
    assert failed.err.endswith(" tried again\n")
    assert SECRET not in failed.out + failed.err
    assert made == Done(0, "", "")
    assert len(bodies) == 1


FIELDS = {"discord.com": "content", "hooks.slack.com": "text"}


@pytest.fixture
def services() -> Iterator[tuple[str, list[tuple[str, object]]]]:
    """A proxy to services that answer as documented, and what they took: the host and the message.

    Discord ignores other fields, and answers 204; Slack takes none that it does not know, and answers ok. Both answer
    400 where the message is missing.
    """
    taken: list[tuple[str, object]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            host = urlsplit(self.path).hostname or ""
            document = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            message = document.get(FIELDS[host])
            refused = not message or (host == "hooks.slack.com" and set(document) != {"text"})
            if not refused:
                taken.append((host, message))
            self.send_response(400 if refused else 200 if host == "hooks.slack.com" else 204)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", taken
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("host", FIELDS)
def test_discord_and_slack_take_the_message(
    watch: Watch, come: Come, services: tuple[str, list[tuple[str, object]]], host: str
) -> None:
    proxy, taken = services
    come(61_000.0)

    done = watch("--once", "--above", "60000", "--webhook", f"http://{host}/{SECRET}", http_proxy=proxy, no_proxy="")

    assert (done.code, done.err) == (0, "")
    ((asked, text),) = taken
    assert asked == host
    assert re.fullmatch(r"BTC-USD .*61,000\.00, .*above 60,000\.00", str(text))


def test_a_delivery_that_is_given_up_is_1_and_not_made_again(watch: Watch, come: Come, refusing: str) -> None:
    come(61_000.0)

    failed, again = (watch("--once", "--above", "60000", "--webhook", f"{refusing}/{SECRET}") for _ in range(2))

    assert failed.code == 1
    assert len(failed.err.splitlines()) == 1
    assert "'above 60000'" in failed.err
    assert "(HTTP 404 from 127.0.0.1); " in failed.err
    assert again == Done(0, "", "")


@pytest.fixture
def refusing() -> Iterator[str]:
    """A server that has no webhook."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.send_error(404)

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_the_command_of_an_alert_gets_no_secret_of_ours(watch: Watch, come: Come, tmp_path: Path) -> None:
    come(61_000.0)
    secrets = {"API_KEY": SECRET, "REDIS_PASSWORD": SECRET, "HTTPS_PROXY": f"http://me:{SECRET}@127.0.0.1:9"}

    done = watch("--once", "--above", "60000", "--exec", f"sh -c 'env > {tmp_path}/env'", **secrets)

    handed = (tmp_path / "env").read_text()
    assert (done.code, done.err) == (0, "")
    assert "BTCTS_ALERT_MESSAGE=BTC-USD is at 61,000.00" in handed
    assert SECRET not in handed


def test_a_stale_feed_is_said_on_stderr_and_with_stale_as_an_alert(watch: Watch) -> None:
    talk = watch("--once", "--above", "60000")
    alert = watch("--once", "--stale", "--format", "json")
    again = watch("--once", "--stale", "--format", "json")

    assert (talk.code, talk.out) == (0, "")
    assert talk.err.startswith("btcts: no price ")
    assert (alert.code, alert.err, json.loads(alert.out)["kind"]) == (0, "", "stale")
    assert again == Done(0, "", "")


def test_without_redis_a_look_is_3_and_says_where_it_looked(watch: Watch) -> None:
    done = watch("--once", "--above", "60000", REDIS_URL=f"redis://user:{SECRET}@127.0.0.1:9")

    assert (done.code, done.out) == (3, "")
    assert len(done.err.splitlines()) == 1
    assert "127.0.0.1:9" in done.err
    assert SECRET not in done.err


@pytest.mark.parametrize("asked", [signal.SIGINT, signal.SIGTERM])
def test_a_watch_goes_on_until_it_is_told_to_stop_and_ends_with_0(
    environ: dict[str, str], watch: Watch, come: Come, asked: signal.Signals
) -> None:
    come(55_000.0)
    assert watch("--once", "--above", "60000") == Done(0, "", "")
    come(61_000.0, 55_000.0)
    command = [*WATCH, "--interval", "1", "--above", "60000", "--format", "json"]
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        assert running.stdout
        assert running.stderr
        begun = running.stderr.readline()
        alert = json.loads(running.stdout.readline())

        running.send_signal(asked)
        out, err = running.communicate(timeout=30)

    assert begun.startswith("btcts: watching above 60000 ")
    assert (alert["kind"], alert["price"]) == ("above", 61_000.0)
    assert (running.returncode, out, err) == (0, "", "")


def test_the_second_watch_of_a_rule_is_told_and_ends_with_2(environ: dict[str, str], come: Come, watch: Watch) -> None:
    come(55_000.0)
    with subprocess.Popen([*WATCH, "--above", "60000"], env=environ, stderr=subprocess.PIPE, text=True) as running:
        assert running.stderr
        running.stderr.readline()

        same = watch("--once", "--above", "60000.0")
        other = watch("--once", "--above", "60001")

        running.terminate()
        running.communicate(timeout=30)

    assert (same.code, same.out) == (2, "")
    assert " 'above 60000' at " in same.err
    assert other == Done(0, "", "")


def test_a_reader_that_goes_away_loses_no_alert(environ: dict[str, str], come: Come, watch: Watch) -> None:
    come(61_000.0)
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer) as gone:
        lost = subprocess.run(
            [*WATCH, "--once", "--above", "60000"], env=environ, stdout=gone, stderr=subprocess.PIPE, timeout=60
        )

    assert lost.stderr == b""
    assert len(watch("--once", "--above", "60000").out.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], "--above, --below, --move or --stale"),
        (["--above", "100,000"], "--above '100,000'"),
        (["--move", "-100/1h"], "--move '-100/1h'"),
        (["--stale", "--interval", "nan"], "--interval must "),
        (["--stale", "--once", "--interval", "5"], "--once"),
        (["--stale", "--max-age", "inf"], "--max-age must "),
        (["--stale", "--exec", "nowhere-to-be-found"], "nowhere-to-be-found"),
        (["--stale", "--webhook", f"gopher://{SECRET}"], "--webhook"),
    ],
    ids=" ".join,
)
def test_a_wrong_call_is_2_with_one_line_about_it(watch: Watch, arguments: list[str], expected: str) -> None:
    done = watch(*arguments)

    assert (done.code, done.out) == (2, "")
    assert len(done.err.splitlines()) == 1
    assert expected in done.err
    assert SECRET not in done.err
