"""No command prints, logs, stores or hands on a secret, however others throw it back."""

import json
import subprocess
import sys
import tempfile
import threading
import urllib.parse
from base64 import b64encode
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import redis

from cli.conftest import Btcts
from support import leaks
from support.leaks import find_leaks
from support.servers import Server, connect, free_port

KEY = "b54bcf4d-1bca-4e8e-9a24-22ff2c3d462c"
PASSWORD = 'h"u/nt er\\2%41ö'
TOKEN = "proxytoken"
PROXY_PASSWORD = "pr0xy/p@ss"
SECRETS = (KEY, PASSWORD, TOKEN, PROXY_PASSWORD)


def spell(secret: str) -> str:
    """The secret in all the ways in which servers repeat it."""
    escaped = "".join(f"\\u{ord(character):04X}" for character in secret)
    basic = b64encode(f"{TOKEN}:{secret}".encode()).decode()
    ways = (secret, secret.upper(), json.dumps(secret), escaped, urllib.parse.quote(secret, safe=""), basic)
    return " ".join((*ways, secret.encode().hex()))


class Echo(BaseHTTPRequestHandler):
    """Refuses, and repeats what it was sent in every spelling: as an API, as a proxy, or as a webhook."""

    def respond(self) -> None:
        """Answer any request."""
        said = spell(self.headers.get("X-CMC_PRO_API_KEY", KEY))
        login = urllib.parse.unquote(f"{TOKEN}:{PROXY_PASSWORD}")
        status, text = self.server.answer  # type: ignore[attr-defined]
        body = text.replace("SAID", json.dumps(said)[1:-1]).replace("LOGIN", spell(login)).encode()
        self.send_response(status)
        self.send_header("Location", f"http://elsewhere.test/{urllib.parse.quote(said)}")
        self.send_header("X-Said", urllib.parse.quote(said))
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_CONNECT = respond

    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing."""


def test_the_log_of_verbose_commands_is_guarded() -> None:
    run = (
        "import logging; from btcts.cli.output import show_log; from btcts.config import Secret; "
        f"Secret({KEY!r}); show_log(); logging.getLogger('btcts.x').debug('\x1b[31m%s', 'http://me:pw@h {KEY.upper()}')"
    )

    done = subprocess.run([sys.executable, "-c", run], capture_output=True, text=True, timeout=30, check=True)

    assert (done.stdout, done.stderr) == ("", "btcts:  [31mhttp://***@h ***\n")


ANSWERS = {
    "a refused key": (401, '{"status": {"error_code": 1001, "error_message": "SAID"}}'),
    "an unknown error": (400, '{"status": {"error_code": 4711, "error_message": "SAID"}}'),
    "another shape": (200, '{"status": {"error_code": 0, "credit_count": 1}, "data": ["SAID", {"SAID": "SAID"}]}'),
    "no status": (200, '{"SAID": "SAID"}'),
    "no JSON": (200, "SAID"),
    "no price": (
        200,
        '{"status": {"error_code": 0, "credit_count": 1}, '
        '"data": [{"id": 1, "quote": [{"symbol": "USD", "price": "SAID", "last_updated": "SAID"}]}]}',
    ),
    "a page": (500, "<html>SAID"),
    "a redirect": (302, ""),
    "a proxy": (407, "LOGIN"),
}


@pytest.fixture
def echo() -> Iterator[ThreadingHTTPServer]:
    """A server that repeats secrets."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Echo) as server:
        server.answer = ANSWERS["no JSON"]  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def running_guarded() -> Iterator[Server]:
    """The Redis of these tests that wants the password."""
    with tempfile.TemporaryDirectory(prefix="btcts-") as folder:
        running = Server(Path(folder), "--requirepass", PASSWORD).start()
        yield running
        running.kill()


@pytest.fixture
def guarded(running_guarded: Server) -> Iterator[Server]:
    """The same, empty; what the test stores in it is looked through for secrets."""
    with connect(running_guarded.socket, password=PASSWORD) as client:
        client.flushall()
    yield running_guarded
    leaks.record_server(running_guarded.socket, ("--requirepass", PASSWORD))


@pytest.fixture
def secretive(environ: dict[str, str], guarded: Server, echo: ThreadingHTTPServer) -> dict[str, str]:
    """An environment full of secrets."""
    url = f"http://127.0.0.1:{echo.server_port}"
    environ |= {
        "API_KEY": KEY,
        "REDIS_URL": f"unix://{guarded.socket}",
        "REDIS_PASSWORD": PASSWORD,
        "HTTPS_PROXY": f"http://{TOKEN}:{urllib.parse.quote(PROXY_PASSWORD, safe='')}@127.0.0.1:{echo.server_port}",
        "BTCTS_COLLECT_PROVIDERS": "coinmarketcap,kraken",
        "BTCTS_PROVIDERS_COINMARKETCAP_URL": url,
        "BTCTS_PROVIDERS_KRAKEN_URL": "https://kraken.test",
    }
    return environ


def stored(guarded: Server, folder: Path) -> str:
    """All that is in Redis and in the data directory."""
    with connect(guarded.socket, password=PASSWORD) as client:
        hashes = [client.hgetall(key) for key in client.scan_iter() if client.type(key) == "hash"]
    files = [file.read_bytes().decode(errors="replace") for file in folder.rglob("*") if file.is_file()]
    return "\n".join((repr(hashes), *files))


COMMANDS = (
    ("collect", "--once", "-v"),
    ("collect", "--once", "--format", "json"),
    ("status",),
    ("status", "--format", "json"),
    ("show",),
    ("verify", "--upstream", "-v"),
    ("backfill", "--hours", "1"),
    ("config", "show"),
    ("config", "show", "--format", "json"),
)


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
def test_what_providers_and_proxies_repeat(
    btcts: Btcts, secretive: dict[str, str], echo: ThreadingHTTPServer, guarded: Server, answer: tuple[int, str]
) -> None:
    echo.answer = answer  # type: ignore[attr-defined]

    collected = [btcts("collect", "--once", *more) for more in (["-v"], ["--format", "json"])]
    seen = [btcts("status"), btcts("status", "--format", "json")]

    printed = "\n".join(done.out + done.err for done in (*collected, *seen))
    assert "coinmarketcap" in printed
    assert "Traceback" not in printed
    assert find_leaks(printed, SECRETS) == []
    assert find_leaks(stored(guarded, Path(secretive["BTCTS_DATA_DIR"])), SECRETS) == []


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_keeps_the_secrets_that_it_is_given(
    btcts: Btcts, secretive: dict[str, str], command: tuple[str, ...]
) -> None:
    done = btcts(*command)

    assert done.code in (0, 1, 4)
    assert find_leaks(done.out + done.err, SECRETS) == []


@pytest.mark.parametrize("command", [("show",), ("collect", "--once"), ("status",)], ids=" ".join)
def test_what_a_redis_repeats(
    btcts: Btcts, secretive: dict[str, str], tmp_path: Path, command: tuple[str, ...]
) -> None:
    port, gone = free_port(), {"REDIS_URL": None, "REDIS_HOST": "127.0.0.1"}
    with ThreadingHTTPServer(("127.0.0.1", port), Echo) as server:
        server.answer = 400, f"LOGIN {spell(PASSWORD)}"  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        done = btcts(*command, **gone, REDIS_PORT=str(port))
        server.shutdown()
        thread.join()

    assert done.code in (3, 4)
    assert find_leaks(done.out + done.err, SECRETS) == []


URL = f"redis://someone:{urllib.parse.quote(PASSWORD)}@127.0.0.1:1/0"


@pytest.mark.parametrize(
    "arguments",
    [
        ("show", URL),
        ("show", "--redis", URL),
        ("show", "--redis", f"{URL}?x=1"),
        ("show", "--redis", URL.replace("redis", "http")),
        ("show", "--at", URL),
        ("--redis", URL, "show"),
        (URL,),
        ("watch", "--above", URL),
        ("config", "show", "--config", URL),
        ("collect", "--once", "--provider", URL),
        ("backfill", "--file", URL),
        ("show", "--svg", f"{URL}/x"),
    ],
    ids=lambda words: " ".join(words).replace(URL, "URL"),
)
def test_a_url_in_the_wrong_place_is_not_repeated(btcts: Btcts, arguments: tuple[str, ...]) -> None:
    done = btcts(*arguments)

    assert done.code in (2, 3)
    assert find_leaks(done.out + done.err, [PASSWORD, "someone"]) == []


FORGED_LINE = "\nbtcts: all is well"
HARM = f"\x1b[31mred\x1b[0m{FORGED_LINE}\u202e[bold]x[/bold]\x9b\x7f"


def test_names_of_keys_and_labels_do_not_reach_the_terminal(btcts: Btcts, client: redis.Redis) -> None:
    btcts("init-keys")
    client.set(f"btc:price:{HARM}", "x")
    client.execute_command("TS.ALTER", "btc:price:minute", "LABELS", "app", "btcts", HARM, HARM, "field", HARM)
    client.hset(
        "btc:price:state", mapping={"problem": json.dumps(HARM), f"provider:{HARM}": json.dumps({"error": HARM})}
    )
    client.hset("btc:price:state", "members", json.dumps([HARM]))

    unknown = json.loads(btcts("prune", "--format", "json").out)["unknown"]
    ended = [btcts(*command) for command in (["prune"], ["verify"], ["status"], ["init-keys", "--dry-run"], ["show"])]

    printed = "".join(done.out + done.err for done in ended)
    assert not [line for line in printed.splitlines() if not line.isprintable()]
    assert FORGED_LINE not in printed
    assert "[bold]x[/bold]" in printed
    assert unknown == [f"btc:price:{HARM}"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("show", HARM),
        (HARM,),
        ("show", f"--{HARM}"),
        ("show", "--at", HARM),
        ("show", "--config", HARM),
        ("config", "init", "--path", f"{HARM}/x"),
        ("watch", "--above", HARM),
        ("watch", "--stale", "--exec", HARM),
        ("watch", "--stale", "--webhook", f"@{HARM}"),
        ("backfill", "--file", HARM),
        ("collect", "--once", "--provider", HARM),
    ],
    ids=lambda words: " ".join(words).replace(HARM, "HARM"),
)
def test_arguments_do_not_reach_the_terminal(btcts: Btcts, arguments: tuple[str, ...]) -> None:
    done = btcts(*arguments)

    assert not [line for line in (done.out + done.err).split("\n") if not line.isprintable()]
    assert FORGED_LINE not in done.out + done.err


@pytest.mark.parametrize(
    "name", ["BTCTS_DATA_DIR", "BTCTS_CONFIG", "REDIS_HOST", "REDIS_PORT", "REDIS_URL", "API_KEY_FILE"]
)
@pytest.mark.parametrize("command", [("config", "show"), ("config", "path"), ("server", "status"), ("status",)])
def test_settings_do_not_reach_the_terminal(btcts: Btcts, name: str, command: tuple[str, ...]) -> None:
    own = {} if name == "REDIS_URL" else {"REDIS_URL": None}

    done = btcts(*command, **own, **{name: f"/tmp/{HARM}"})

    assert not [line for line in (done.out + done.err).split("\n") if not line.isprintable()]
    assert FORGED_LINE not in done.out + done.err


@pytest.mark.usefixtures("secretive")
def test_a_child_gets_no_secret(btcts: Btcts, tmp_path: Path) -> None:
    child = tmp_path / "child"
    child.write_text('#!/bin/sh\nenv > got; cat >> got; tr "\\0" " " < /proc/$PPID/cmdline >> got\n')
    child.chmod(0o700)

    done = btcts("watch", "--once", "--stale", "--above", "1", "--exec", str(child))

    handed = (tmp_path / "got").read_text()
    assert (done.code, done.err) == (0, "")
    assert "BTCTS_ALERT_KIND=stale" in handed
    assert find_leaks(handed, SECRETS) == []
