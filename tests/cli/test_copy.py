"""`btcts copy` as a process."""

import json
from itertools import chain
from pathlib import Path

import pytest

from btcts.domain.model import Tick
from btcts.store import Store
from cli.conftest import Btcts
from support.commands import ForkServer
from support.leaks import PLANTED_PASSWORD
from support.series import COMPACTIONS, NOW, TICK, samples
from support.servers import Server, StartServer, connect


@pytest.fixture
def to(start_server: StartServer) -> str:
    """The URL of a second redis-server."""
    return f"unix://{start_server().socket}"


def read_all(url: str) -> dict[str, dict[int, float]]:
    """All series of a Redis."""
    with connect(Path(url.removeprefix("unix://"))) as client:
        return {key: samples(client, key) for key in (TICK, *COMPACTIONS) if client.exists(key)}


def test_a_copy_is_what_the_source_is_and_its_readers_find_it(btcts: Btcts, redis_url: str, to: str) -> None:
    btcts("collect", "--once")

    planned = btcts("copy", "--to", to, "--dry-run", "--format", "json")
    before = read_all(to)
    copied, again = (btcts("copy", "--to", to, "--format", "json") for _ in range(2))

    done = (planned, copied, again)
    assert [(each.code, each.err, json.loads(each.out)["code"]) for each in done] == [
        *((0, "", "planned"), (0, "", "copied"), (0, "", "unchanged"))
    ]
    assert before == {}
    assert read_all(to) == read_all(redis_url)
    assert btcts("verify", REDIS_URL=to).code == 0
    assert btcts("price", REDIS_URL=to).out == btcts("price").out


@pytest.mark.parametrize("flag", ["--redis", "--to"])
def test_the_flag_of_the_redis_that_does_not_answer_is_named(
    flag: str, btcts: Btcts, redis_url: str, to: str, tmp_path: Path
) -> None:
    flags = {"--redis": redis_url, "--to": to, flag: f"unix://{tmp_path}/nobody"}

    done = btcts("copy", *chain.from_iterable(flags.items()))

    assert (done.code, len(done.err.splitlines())) == (3, 1)
    assert f"{tmp_path}/nobody" in done.err
    assert [name for name in flags if name in done.err] == [flag]


def test_what_is_there_is_named_and_replaced_only_when_asked_to(
    btcts: Btcts, full: Store, redis_url: str, to: str
) -> None:
    btcts("copy", "--to", to)
    full.write([Tick(NOW, 5.0)])

    refused = btcts("copy", "--to", to)
    replaced = btcts("copy", "--to", to, "--replace", "-v")

    assert (refused.code, refused.out, len(refused.err.splitlines())) == (3, "", 1)
    assert "--replace" in refused.err
    assert (replaced.code, replaced.err) == (0, "")
    assert len(replaced.out.splitlines()) == 13 + 1
    assert read_all(to) == read_all(redis_url)


def test_quiet_it_prints_nothing_unless_it_is_refused(btcts: Btcts, full: Store, to: str) -> None:

    done = btcts("copy", "--to", to, "-q")
    refused = btcts("copy", "-q", "--to", "redis://127.0.0.1:9")

    assert (done.code, done.out, done.err) == (0, "", "")
    assert (refused.code, len(refused.err.splitlines())) == (3, 1)


def test_a_url_on_stdin_names_the_target(
    commands: ForkServer, environ: dict[str, str], full: Store, to: str, tmp_path: Path
) -> None:
    given = tmp_path / "url"
    given.write_text(f"{to}\n")

    with given.open() as stdin:
        done = commands.run(["copy", "--to", "-"], env=environ, stdin=stdin)

    assert (done.returncode, done.stderr) == (0, "")
    assert read_all(to)


def test_the_password_of_the_source_is_not_sent_to_the_target(
    btcts: Btcts, full: Store, redis_url: str, start_server: StartServer
) -> None:
    target = start_server("--requirepass", "another")
    call = ("copy", "--redis", redis_url, "--to", f"unix://{target.socket}")

    done = btcts(*call, REDIS_URL=None, REDIS_PASSWORD=PLANTED_PASSWORD)

    assert done.code == 3
    with connect(target.socket, password="another") as client:
        errors = client.info("errorstats")
    assert ("errorstat_NOAUTH" in errors, "errorstat_WRONGPASS" in errors) == (True, False)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ([], 2, "--to"),
        (["--to", "nowhere"], 2, "--to"),
        (["--to", "{source}"], 2, "replica"),
        (["--to", "{source}", "--market-prefix", "a b"], 2, "--market-prefix 'a b'"),
        (["--to", "{source}", "--market-prefix", "a:"], 2, "--market-prefix 'a:'"),
        (["--to", "redis://127.0.0.1:9"], 3, "127.0.0.1:9"),
        (["--to", "embedded"], 2, "BTCTS_EMBEDDED"),
    ],
)
def test_a_mistake_is_one_line_with_its_exit_code(
    btcts: Btcts, full: Store, server: Server, arguments: list[str], code: int, said: str
) -> None:
    given = [each.format(source=f"unix://{server.socket}") for each in arguments]

    done = btcts("copy", *given, BTCTS_EMBEDDED="0")

    assert (done.code, done.out, len(done.err.splitlines())) == (code, "", 1)
    assert said in done.err
