"""`btcts serve` as a process: how it starts, where it refuses to, and how it ends."""

import json
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
import redis

from cli.conftest import BTCTS, Btcts
from support.leaks import PLANTED_KEY, PLANTED_PASSWORD
from support.series import TICK
from support.wording import Wording

Serve = Callable[..., tuple[subprocess.Popen[str], str]]

FEW_FILES = 100

TOKEN = "0123456789abcdef0123"

wording = Wording(__file__)


@pytest.fixture
def serve(environ: dict[str, str], tmp_path: Path) -> Iterator[Serve]:
    """Start `btcts serve` on a free port of loopback; return the process and the URL that it names."""
    with ExitStack() as stack:

        def start(*arguments: str, prefix: Sequence[str] = (), **changes: str) -> tuple[subprocess.Popen[str], str]:
            command = [*prefix, *BTCTS, "serve", "--listen", "127.0.0.1:0", *arguments]
            running = stack.enter_context(
                subprocess.Popen(command, env=environ | changes, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
            )
            stack.callback(running.kill)
            line = running.stderr.readline() if running.stderr else ""
            found = re.fullmatch(r"btcts: serving BTC-USD of .* at (http://127\.0\.0\.1:\d+)\n", line)
            assert found, line
            return running, found[1]

        yield start


def put_price(client: redis.Redis) -> None:
    """Store a price of now."""
    client.execute_command("TS.ADD", TICK, "*", 61234.56)


def read_events(answer: httpx.Response) -> Iterator[dict[str, object]]:
    """Yield the content of each event."""
    return (json.loads(line[6:]) for line in answer.iter_lines() if line.startswith("data: "))


def test_it_serves_until_sigterm_also_with_open_streams(serve: Serve, client: redis.Redis) -> None:
    put_price(client)
    running, url = serve()
    with httpx.stream("GET", f"{url}/events", timeout=30) as answer:
        events = read_events(answer)
        prices = (event["price"] for event in events if "price" in event)
        price = next(prices)
        began = time.monotonic()
        running.send_signal(signal.SIGTERM)
        rest = list(events)

    code = running.wait(30)
    took_s = time.monotonic() - began

    assert (price, code) == (61234.56, 0)
    assert len(rest) <= 3
    assert took_s < 1 + 4  # other tests run at the same time
    assert running.stderr
    assert running.stderr.read() == ""


def test_connections_beyond_number_exhaust_no_files_and_fill_no_log(serve: Serve) -> None:
    running, url = serve(prefix=["sh", "-c", f'ulimit -n {FEW_FILES}; exec "$0" "$@"'])
    place = urlsplit(url)
    with ExitStack() as stack:
        for _ in range(2 * FEW_FILES):
            stack.enter_context(socket.create_connection((str(place.hostname), place.port or 0), 30))

    assert httpx.get(f"{url}/", timeout=30).status_code == 200
    running.terminate()
    assert running.stderr
    assert running.stderr.read() == ""


def test_it_starts_without_redis_and_says_so_to_readers(serve: Serve, tmp_path: Path) -> None:
    _, url = serve(REDIS_URL=f"unix://:{PLANTED_PASSWORD}@{tmp_path}/nobody")
    with httpx.stream("GET", f"{url}/events", timeout=30) as answer:
        next(event for event in read_events(answer) if event["away"])

    answers = [httpx.get(f"{url}{path}") for path in ("/api/price", "/api/show", "/api/status", "/health")]

    assert {answer.status_code for answer in answers} == {503}
    assert {tuple(answer.json()["reason_codes"]) for answer in answers} == {("redis",)}
    assert "btcts_redis_up 0.0" in httpx.get(f"{url}/metrics").text


def test_a_token_is_asked_for_and_never_printed(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    running, url = serve("--token-file", "token")

    refused = httpx.get(f"{url}/metrics")
    allowed = httpx.get(f"{url}/metrics", headers={"Authorization": f"Bearer {TOKEN}"})

    running.terminate()
    assert (refused.status_code, allowed.status_code) == (401, 200)
    assert running.stderr
    assert TOKEN not in running.stderr.read()


def test_no_answer_holds_a_secret(serve: Serve, btcts: Btcts, environ: dict[str, str]) -> None:
    btcts("collect", "--once", "--provider", "coinmarketcap", "--provider", "kraken")
    _, url = serve()

    with httpx.stream("GET", f"{url}/events", timeout=30) as answer:
        told = "".join(json.dumps(event) for event in islice(read_events(answer), 2))
    told += "".join(httpx.get(f"{url}{path}").text for path in ("/api/show", "/api/status", "/health", "/metrics"))

    assert PLANTED_PASSWORD in environ["REDIS_URL"]
    assert "btcts_provider_state" in told
    assert PLANTED_PASSWORD not in told
    assert PLANTED_KEY not in told


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--listen", "0.0.0.0:0"], "give a --token-file"),
        (["--listen", "8080"], "is not an address"),
        (["--listen", "127.0.0.1:99999"], "is not an address"),
        (["--listen", "127.0.0.1:"], "is not an address"),
        pytest.param(["--listen", f"127.0.0.1:{'1' * 5000}"], "is not an address", id="a port of 5000 digits"),
        (["--listen", "203.0.113.7:8080"], "nothing can listen there"),
        (["--token-file", "missing"], "cannot be read"),
        (["--token-file", "short"], "no token of 16 or more"),
        (["--max-age", "0"], "--max-age"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_is_not_safe_or_not_possible_is_refused_in_one_line(
    btcts: Btcts, tmp_path: Path, arguments: list[str], reason: str
) -> None:
    (tmp_path / "short").write_text("password")

    done = btcts("serve", *arguments)

    assert (done.code, done.out) == (2, "")
    assert len(done.err.splitlines()) == 1
    assert reason in done.err


def test_a_port_that_is_taken_is_named(btcts: Btcts) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        place = f"127.0.0.1:{taken.getsockname()[1]}"

        done = btcts("serve", "--listen", place)

    assert done.code == 2
    wording.check("a port that is taken", done.err[:-1], place=place)


@pytest.mark.parametrize("package", ["starlette", "uvicorn"])
def test_without_its_packages_it_says_what_to_install(environ: dict[str, str], package: str) -> None:
    code = f"import sys; sys.modules[{package!r}] = None; from btcts.cli.main import main; main()"

    done = subprocess.run(
        [sys.executable, "-c", code, "serve"], env=environ, capture_output=True, text=True, timeout=60, check=False
    )

    assert (done.returncode, done.stdout) == (2, "")
    wording.check("a package that is missing", done.stderr[:-1], package=package)
