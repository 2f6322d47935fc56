"""The promises of docs/operations.md: each command works with the rights that are named there."""

import re
from pathlib import Path

import pytest

from cli.conftest import Btcts
from support.servers import Server, StartServer, connect

PAGE = (Path(__file__).parents[2] / "docs" / "operations.md").read_text("utf-8")
RIGHTS = {
    name: words.split() for name, words in re.findall(r"^ACL SETUSER (\w+) on >PASSWORD (.+)$", PAGE, re.MULTILINE)
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
