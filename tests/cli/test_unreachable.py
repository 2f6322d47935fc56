"""Messages of commands that reach no provider: a shared cause once, with the next step, and each one with -v."""

import pytest

from cli.conftest import Btcts
from support.networks import TlsServer, refusals

NAMES = ("coinbase", "kraken", "gemini")

COMMAND = ("collect", "--once", *(word for name in NAMES for word in ("--provider", name)))

NO_PROXY: dict[str, str | None] = {
    name: None for scheme in ("http", "https", "all", "no") for name in (f"{scheme}_proxy", f"{scheme}_proxy".upper())
}


def at(*urls: str) -> dict[str, str | None]:
    """An environment in which the providers are at these addresses."""
    places = {f"BTCTS_PROVIDERS_{name.upper()}_URL": url for name, url in zip(NAMES, urls, strict=True)}
    return {**NO_PROXY, "BTCTS_COLLECT_PROVIDERS": ",".join(NAMES), **places}


NOWHERE = at(*(f"http://{name}.invalid" for name in NAMES))


def test_names_that_are_not_resolved(btcts: Btcts) -> None:
    done = btcts(*COMMAND, **NOWHERE)

    assert (done.code, done.out) == (4, "")
    assert len(done.err.splitlines()) == 1
    assert done.err.count(" resolved (") == 1
    assert "; coinbase, gemini, kraken: " in done.err
    assert "(-v names each)" in done.err
    assert "invalid" not in done.err


def test_each_is_named_where_more_is_wanted(btcts: Btcts) -> None:
    done = btcts(*COMMAND, "-v", **NOWHERE)

    assert all(f" from http://{name}.invalid/" in done.err for name in NAMES)


def test_connections_that_are_refused(btcts: Btcts) -> None:
    with refusals(3) as places:
        done = btcts(*COMMAND, **at(*(f"http://{host}:{port}" for host, port in places)))

    assert done.code == 4
    assert done.err.count("connection refused") == 1
    assert "settings (-v names each)" in done.err


def test_a_proxy_that_refuses(btcts: Btcts) -> None:
    with refusals(1) as [(host, port)]:
        done = btcts(*COMMAND, **NOWHERE | {"HTTP_PROXY": f"http://TOKEN:hunter2@{host}:{port}"})

    assert done.code == 4
    assert f"{host}:{port} of HTTP_PROXY: connection refused; " in done.err
    assert not any(word in done.err.lower() for word in ("token", "hunter2"))


def test_certificates_that_are_not_trusted(btcts: Btcts) -> None:
    with TlsServer() as server:
        url = f"https://localhost:{server.place[1]}"
        done = btcts(*COMMAND, **at(url, url, url))

    assert done.code == 4
    assert done.err.count(" not trusted: ") == 1
    assert "SSL_CERT_FILE" in done.err


@pytest.mark.parametrize("command", [("verify", "--upstream"), ("backfill", "--hours", "1")], ids=" ".join)
def test_other_commands_say_it_once_too(btcts: Btcts, command: tuple[str, ...]) -> None:
    btcts("init-keys")

    done = btcts(*command, **NOWHERE)

    assert done.code == 4
    assert done.err.count(" resolved (") == 1
    assert "invalid" not in done.err
