"""The promises of docs/operations.md: each command works with the rights that are named there."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis

from cli.conftest import Btcts
from support.servers import Server, StartServer, connect
from support.several import Cluster, Sentinels, Several

PAGE = (Path(__file__).parents[2] / "docs" / "operations.md").read_text("utf-8")
RIGHTS = {
    name: words.split() for name, words in re.findall(r"^ACL SETUSER (\w+) on >PASSWORD (.+)$", PAGE, re.MULTILINE)
}
OF_SENTINELS = RIGHTS.pop("finder")
OF_CLUSTER = {
    name: words.split() for name, words in re.findall(r"^ACL SETUSER (\w+) (resetkeys .+)$", PAGE, re.MULTILINE)
}
STATUS_RIGHTS = re.findall(r"`btcts status` reads more of the server: `(.+?)`", PAGE)[0].split()


@pytest.fixture
def own_server(start_server: StartServer, environ: dict[str, str]) -> Server:
    """A server with the users of the page, whose password is word; it is the one that commands use."""
    server = start_server()
    environ["REDIS_URL"] = f"unix://{server.socket}"
    environ["REDIS_PASSWORD"] = "word"
    with connect(server.socket) as client:
        for user, rights in RIGHTS.items():
            client.execute_command("ACL", "SETUSER", user, "on", ">word", "-@all", *rights)
    return server


@pytest.mark.usefixtures("own_server")
def test_a_collector_does_everything_with_the_rights_of_the_page(btcts: Btcts) -> None:
    commands = [
        ["init-keys"],
        ["collect", "--once"],
        ["show"],
        ["show", "hour", "--chart"],
        ["status"],
        ["verify", "--upstream"],
        ["init-keys", "--rebuild"],
        ["backfill", "--hours", "1", "--overwrite"],
        ["watch", "--once", "--below", "1", "--move", "1/1h"],
        ["prune"],
    ]

    ended = {" ".join(command): btcts(*command, REDIS_USERNAME="btcts") for command in commands}

    assert {name: done.err for name, done in ended.items() if done.code} == {}


def test_a_collector_repairs_with_the_rights_of_the_page(btcts: Btcts, own_server: Server) -> None:
    btcts("collect", "--once", REDIS_USERNAME="btcts")
    with connect(own_server.socket) as client:
        client.delete("btc:price:hour:max")
        client.set("btc:price:gaps", "a word")
        client.execute_command("TS.ALTER", "btc:price:5min", "RETENTION", 1)
        client.execute_command("TS.DELETERULE", "btc:price:tick", "btc:price:15min")
        client.execute_command("TS.ADD", "btc:price:tick", 99_999_999_999_999, 5)

    ended = [btcts(*each, REDIS_USERNAME="btcts") for each in (["init-keys", "--adopt"], ["verify", "--repair"])]

    assert [(done.code, done.err) for done in ended] == [(0, ""), (0, "")]


@pytest.mark.usefixtures("own_server")
def test_a_reader_reads_with_the_rights_of_the_page_and_cannot_write(btcts: Btcts) -> None:
    btcts("collect", "--once", REDIS_USERNAME="btcts")

    read = [
        btcts(*each, REDIS_USERNAME="reader") for each in (["show"], ["show", "5min"], ["watch", "--once", "--stale"])
    ]
    written = btcts("collect", "--once", REDIS_USERNAME="reader")

    assert [(done.code, done.err) for done in read] == [(0, "")] * 3
    assert written.code == 3
    assert "extend its ACL" in written.err


def test_a_reader_needs_the_other_rights_of_the_page_for_the_status(btcts: Btcts, own_server: Server) -> None:
    btcts("collect", "--once", REDIS_USERNAME="btcts")
    without = btcts("status", REDIS_USERNAME="reader")
    with connect(own_server.socket) as client:
        client.execute_command("ACL", "SETUSER", "reader", *STATUS_RIGHTS)

    done = btcts("status", REDIS_USERNAME="reader")

    assert without.code == 3
    assert (done.code, done.err) == (0, "")


def allowed(client: redis.Redis, user: str) -> set[str]:
    """The commands that the user may run, found by trying each."""

    def may(words: list[str], arity: int) -> bool:
        arguments = ["btc:price:x"] * max(0, abs(arity) - len(words))
        return "permissions to run" not in str(client.execute_command("ACL", "DRYRUN", user, *words, *arguments))

    found = set()
    for described in client.execute_command("COMMAND").values():
        subcommands: list[Any] = described.get("subcommands") or []
        for name, arity in [(sub[0], sub[1]) for sub in subcommands] or [(described["name"], described["arity"])]:
            if may(name.split("|"), arity):
                found.add(name.lower())
    return found - {"quit", "reset"}  # which Redis refuses to nobody


def granted(*rights: list[str]) -> set[str]:
    """The commands that lines of the page name."""
    return {word[1:] for words in rights for word in words if word.startswith("+")}


@pytest.mark.parametrize("user", RIGHTS)
def test_a_user_may_run_the_commands_of_the_page_and_no_other(own_server: Server, user: str) -> None:
    with connect(own_server.socket) as client:
        assert allowed(client, user) == granted(RIGHTS[user])


@contextmanager
def limited(several: Several) -> Iterator[dict[str, str]]:
    """Give each server the users of the page; the settings of one that collects."""
    watchers = several.watchers if isinstance(several, Sentinels) else []
    users = [(node, name, words) for node in several.nodes if node not in watchers for name, words in RIGHTS.items()]
    users += [(watcher, "finder", OF_SENTINELS) for watcher in watchers]
    for node, name, words in users:
        node.ask("ACL", "SETUSER", name, "on", ">word", "-@all", *words)
        if isinstance(several, Cluster):
            node.ask("ACL", "SETUSER", name, *OF_CLUSTER[name])
    yield {
        **{"REDIS_URL": several.url, "REDIS_USERNAME": "btcts", "REDIS_PASSWORD": "word"},
        **({"REDIS_SENTINEL_USERNAME": "finder", "REDIS_SENTINEL_PASSWORD": "word"} if watchers else {}),
    }
    for node, name, _ in users:
        node.ask("ACL", "DELUSER", name)


@pytest.mark.parametrize("several", ["cluster", "sentinels"])
def test_the_rights_of_the_page_do_for_several_servers(
    btcts: Btcts, several: str, request: pytest.FixtureRequest
) -> None:
    commands = [
        *("init-keys", "collect --once", "verify --repair", "init-keys --rebuild", "status", "prune"),
        "backfill --hours 1 --overwrite",
        "show 5min --replica",
    ]
    with limited(request.getfixturevalue(several)) as settings:
        ended = {command: btcts(*command.split(), **settings) for command in commands}
        reader = settings | {"REDIS_USERNAME": "reader"}
        read = [btcts(*command.split(), **reader) for command in ("show", "price", "watch --once --stale")]
        written = btcts("init-keys", "--rebuild", **reader)

    replica = ended.pop("show 5min --replica")
    assert {name: done.err for name, done in ended.items() if done.code or done.err} == {}
    assert (replica.code, "behind its primary" in replica.err) == (0, True)
    assert [(done.code, done.err) for done in read] == [(0, "")] * 3
    assert written.code == 3


@pytest.mark.parametrize("user", ["btcts", "reader"])
def test_a_user_of_a_cluster_may_run_no_other_commands(cluster: Cluster, user: str) -> None:
    with limited(cluster), cluster.nodes[0].connect() as client:
        assert allowed(client, user) == granted(RIGHTS[user], OF_CLUSTER[user])
        assert "key" in client.execute_command("ACL", "DRYRUN", user, "TS.GET", "btc:price:tick")


def test_a_user_of_sentinels_may_only_ask_for_the_primary(sentinels: Sentinels) -> None:
    with limited(sentinels), sentinels.watchers[0].connect() as client:
        assert allowed(client, "finder") == granted(OF_SENTINELS)
