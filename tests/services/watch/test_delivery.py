"""Alerts that leave the process: commands that are run, addresses that are posted to, and the next try."""

import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from btcts.config import table
from btcts.errors import ConfigError
from btcts.providers import default_endpoints
from btcts.providers.http import Client
from btcts.services.watch.command import SECRETS, Program, parse_command, pass_on
from btcts.services.watch.outbox import FIRST_WAIT_MS, LONGEST_WAIT_MS, Undelivered, choose_wait_ms, is_due
from btcts.services.watch.webhook import Webhook, parse_address
from support.clocks import FakeClock
from support.raw_server import Raw, RawServer
from support.series import HOUR, NOW

SECRET = "s3cr3t"

# Commands


def shell(script: str, timeout_s: float = 20.0) -> Program:
    """A command that runs this."""
    return Program(("sh", "-c", script), timeout_s)


def test_a_command_gets_the_document_on_its_stdin_and_values_in_its_environment(tmp_path: Path) -> None:
    problem = shell(f'cat > {tmp_path}/in; printf %s "$BTCTS_ALERT_MESSAGE$HOME" > {tmp_path}/env').run(
        '{"price": 1}', {"BTCTS_ALERT_MESSAGE": "$(id); a 'b' \"c\"\n"}
    )

    assert problem is None
    assert (tmp_path / "in").read_text() == '{"price": 1}'
    assert (tmp_path / "env").read_text() == "$(id); a 'b' \"c\"\n" + os.environ.get("HOME", "")


def test_a_command_gets_no_secret_of_ours_and_all_else() -> None:
    login = f"user:{SECRET}@proxy.example:3128"
    mine = {"PATH": "/bin", "SLACK_TOKEN": "mine", "DATABASE_URL": "postgres://me:mine@db", "NO_PROXY": "localhost"}
    kept = {
        **mine,
        "REDIS_URL": "redis://127.0.0.1:6379/0",
        "REDIS_PASSWORD_FILE": "/run/secrets/redis",
        "API_KEY_FILE": "/run/secrets/key",
        "BTCTS_DATA_DIR": "/var/lib/btcts",
        "https_proxy": "http://proxy.example:3128",
    }
    secret = {
        "API_KEY": SECRET,
        "REDIS_PASSWORD": SECRET,
        "HTTPS_PROXY": f"http://{login}",
        "http_proxy": login,
        "ALL_PROXY": f"socks5://{login}",
        "BTCTS_PROVIDERS_KRAKEN_URL": f"http://{login}",
    }

    assert pass_on(kept | secret) == kept
    assert pass_on({"REDIS_URL": f"redis://:{SECRET}@127.0.0.1"}) == {}
    assert pass_on({"REDIS_URL": f"redis+sentinel://h/main?sentinel_password={SECRET}"}) == {}


def test_every_secret_setting_is_kept_from_commands() -> None:
    assert {setting.variable for setting in table(default_endpoints()).values() if setting.secret} == SECRETS


def test_what_a_command_prints_goes_to_our_stderr() -> None:
    run = (
        "from btcts.services.watch.command import Program\nProgram(('sh', '-c', 'echo out; echo err >&2')).run('', {})"
    )

    done = subprocess.run([sys.executable, "-c", run], capture_output=True, text=True, timeout=30, check=True)

    assert (done.stdout, sorted(done.stderr.split())) == ("", ["err", "out"])


def test_a_command_is_split_as_a_shell_would_and_no_shell_interprets_it(tmp_path: Path) -> None:
    script = tmp_path / "say"
    script.write_text(f'#!/bin/sh\nprintf "%s|" "$@" > {tmp_path}/said\n')
    script.chmod(0o700)

    problem = parse_command(f"{script} 'one two' $HOME *; echo").run("", {})

    assert problem is None
    assert (tmp_path / "said").read_text() == "one two|$HOME|*;|echo|"


def test_a_command_that_reads_nothing_has_not_failed() -> None:
    assert shell("exec <&-; exit 0").run("x" * 1_000_000, {}) is None


@pytest.mark.parametrize(
    ("script", "problem"), [("exit 3", "sh ended with exit code 3"), ("kill -9 $$", "sh was ended by signal 9")]
)
def test_a_command_that_fails_is_said_with_its_code(script: str, problem: str) -> None:
    assert shell(script).run("", {}) == Undelivered(problem)


def test_a_command_that_is_gone_is_said() -> None:
    failure = Program(("/nowhere/notify", SECRET)).run("", {})

    assert failure
    assert failure.problem.startswith("/nowhere/notify ")
    assert SECRET not in failure.problem


def test_a_command_that_takes_too_long_is_ended_with_all_its_processes(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)

    failure = shell(f"sleep 60 > {pipe} & wait", timeout_s=0.3).run("", {})

    # The pipe is at its end when the last process that could write to it is gone.
    os.set_blocking(reader, True)
    assert os.read(reader, 1) == b""
    os.close(reader)
    assert failure
    assert failure.problem.startswith("sh ")
    assert " 0.3 s" in failure.problem


STUBBORN = "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nsignal.pause()"


def test_a_command_that_will_not_end_is_killed() -> None:
    failure = Program((sys.executable, "-c", STUBBORN), timeout_s=1.0, grace_s=0.1).run("", {})

    assert failure
    assert f"{sys.executable} took more than 1 s" in failure.problem


def test_an_interrupt_ends_the_command_that_is_running() -> None:
    run = (
        "from btcts.services.watch.command import Program\n"
        "Program(('sh', '-c', 'read word; echo $$ >&2; exec sleep 60')).run('begin\\n', {})"
    )
    with subprocess.Popen([sys.executable, "-c", run], stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr
        pid = int(process.stderr.readline())
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=20)

    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


@pytest.mark.parametrize(
    ("text", "said"), [("", "names no command"), ("a 'b", "close what you quote"), ("nowhere-to-be-found x", "program")]
)
def test_a_malformed_command_is_refused_before_it_is_needed(text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        parse_command(text)


@given(words=st.lists(st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1), max_size=5))
def test_quoted_words_arrive_as_they_are(words: list[str]) -> None:
    assert parse_command(shlex.join(["sh", *words])).arguments == ("sh", *words)


# Webhooks


class Hook:
    """A local server that answers POST with `status`, and keeps what it was sent."""

    def __init__(self) -> None:
        self.status = 200
        self.headers: dict[str, str] = {}
        self.received: list[tuple[str, str, bytes]] = []
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                hook.received.append((self.path, self.headers["Content-Type"], body))
                self.send_response(hook.status)
                for name, value in hook.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *arguments: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        """An address of it with secrets in every part."""
        return f"http://{SECRET}:{SECRET}@127.0.0.1:{self.server.server_port}/{SECRET}?token={SECRET}"


@pytest.fixture
def hook() -> Iterator[Hook]:
    """A server that takes alerts."""
    made = Hook()
    thread = threading.Thread(target=made.server.serve_forever, args=(0.01,))
    thread.start()
    yield made
    made.server.shutdown()
    thread.join()
    made.server.server_close()


Post = Callable[..., Undelivered | None]


@pytest.fixture
def post() -> Iterator[Post]:
    """Post to an address."""
    with Client() as client:
        yield lambda url, document="{}", timeout_s=10.0: Webhook(
            parse_address(url), client, FakeClock(NOW), timeout_s=timeout_s
        ).post(document)


def test_a_webhook_gets_the_document_as_json(hook: Hook, post: Post) -> None:
    document = json.dumps({"price": 1.5})

    assert post(hook.url, document) is None

    assert hook.received == [(f"/{SECRET}?token={SECRET}", "application/json", document.encode())]


@pytest.mark.parametrize("status", [201, 202, 204])
def test_any_status_of_success_will_do(hook: Hook, post: Post, status: int) -> None:
    hook.status = status

    assert post(hook.url) is None


@pytest.mark.parametrize("status", [400, 404, 429, 500, 503])
def test_a_refusal_is_said_by_status_and_host_alone(hook: Hook, post: Post, status: int) -> None:
    hook.status = status

    failure = post(hook.url)

    assert failure
    assert failure.problem == f"HTTP {status} from 127.0.0.1"


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_not_followed_but_said(hook: Hook, post: Post, status: int) -> None:
    hook.status = status
    hook.headers = {"Location": "/elsewhere"}

    failure = post(hook.url)

    assert failure
    assert f"HTTP {status} from 127.0.0.1; redirects" in failure.problem
    assert len(hook.received) == 1


def test_nobody_there_is_said_without_the_address(post: Post) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        url = f"http://{SECRET}@127.0.0.1:{nobody.getsockname()[1]}/{SECRET}"

        failure = post(url)

    assert failure
    assert "127.0.0.1 (connection refused)" in failure.problem
    assert SECRET not in failure.problem


def test_a_server_that_says_nothing_is_given_up_in_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, Client() as client:
        hook = Webhook(
            parse_address(f"http://127.0.0.1:{listener.getsockname()[1]}/{SECRET}"),
            client,
            FakeClock(NOW),
            timeout_s=0.3,
        )

        assert hook.post("{}") == Undelivered("no answer from 127.0.0.1 within 0.3 s")


def test_a_header_that_trickles_in_has_no_more_time_than_silence() -> None:
    with RawServer(lambda _: Raw(b"HTTP/1.1 200 OK\r\nX-Long: ", b"x")) as server, Client() as client:
        failure = Webhook(parse_address(server.url), client, FakeClock(NOW), timeout_s=0.3).post("{}")

        assert server.gone.wait(5)
    assert failure == Undelivered("no answer from 127.0.0.1 within 0.3 s")


@pytest.mark.parametrize(
    "text", ["", f"ftp://{SECRET}@host/", f"{SECRET}", f"http://{SECRET}@/x", f"http://h:port{SECRET}/", "https://"]
)
def test_a_malformed_address_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(ConfigError, match=r"write it like https://") as refusal:
        parse_address(text)

    assert SECRET not in str(refusal.value)


# What a refusal means


@pytest.mark.parametrize(
    ("status", "final"),
    [(400, "correct --webhook"), (401, "the token"), (403, "the token"), (404, "make a new one"), (410, "make a new")],
)
def test_a_refusal_that_would_come_again_is_final(hook: Hook, post: Post, status: int, final: str) -> None:
    hook.status = status

    failure = post(hook.url)

    assert failure
    assert final in failure.final


DAYS = "Fri, 31 Dec 2999 23:59:59 GMT"
SOON, IN_MS = formatdate(NOW / 1000 + 90, usegmt=True), 90_000 - NOW % 1000


@pytest.mark.parametrize("status", [429, 503, 408, 500])
@pytest.mark.parametrize(
    ("asked", "wait_ms"),
    [
        (None, 0),
        ("7", 7000),
        ("999999", HOUR),
        (DAYS, HOUR),
        (SOON, IN_MS),
        ("0", 0),
        ("-5", 0),
        ("soon", 0),
    ],
)
def test_a_receiver_may_ask_for_time(hook: Hook, post: Post, status: int, asked: str | None, wait_ms: int) -> None:
    hook.status = status
    hook.headers = {"Retry-After": asked} if asked else {}

    failure = post(hook.url)

    assert failure
    assert (failure.final, failure.wait_ms) == ("", wait_ms)


@pytest.mark.parametrize(
    ("url", "field"),
    [
        ("https://discord.com/api/webhooks/1/token", "content"),
        ("https://ptb.discord.com./api/webhooks/1/token", "content"),
        ("https://discordapp.com/api/webhooks/1/token", "content"),
        ("https://discord.com/api/webhooks/1/token/slack", "text"),
        ("https://discordapp.com/api/webhooks/1/token/slack", "text"),
        ("https://notdiscord.com/slack", None),
        ("https://hooks.slack.com/services/T/B/x", "text"),
        ("https://hooks.example.com/discord.com", None),
        ("https://notdiscord.com/", None),
        ("https://discord.com.example.com/", None),
    ],
)
def test_services_are_known_by_their_host(url: str, field: str | None) -> None:
    with Client() as client:
        assert Webhook(parse_address(url), client, FakeClock(NOW)).text_field == field


# The next try


@given(failed=st.integers(1, 100), chance=st.floats(0, 1))
def test_tries_are_spaced_further_and_further_apart_up_to_the_longest_wait(failed: int, chance: float) -> None:
    full_ms = min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** (failed - 1))

    assert full_ms // 2 <= choose_wait_ms(failed, chance) <= full_ms


def test_a_delivery_is_due_at_first_not_before_its_time_and_then_again() -> None:
    next_ms = NOW + choose_wait_ms(1, 0.0)

    assert is_due(0, NOW)
    assert not is_due(next_ms, NOW)
    assert not is_due(next_ms, NOW + FIRST_WAIT_MS - 1)
    assert is_due(next_ms, NOW + FIRST_WAIT_MS)


def test_a_clock_that_was_set_back_keeps_no_delivery_waiting() -> None:
    assert is_due(NOW + FIRST_WAIT_MS, NOW - HOUR)


def test_an_address_may_stand_in_a_file_where_no_list_of_processes_shows_it(tmp_path: Path) -> None:
    file = tmp_path / "hook"
    file.write_text("https://hooks.example.com/path\n")

    assert parse_address(f"@{file}") == parse_address("https://hooks.example.com/path")


def test_a_file_of_an_address_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"--webhook @.*hook .*\(no such file"):
        parse_address(f"@{tmp_path}/hook")
