"""Redis by TLS: an authority of one's own, certificates of clients, and one line for each that does not hold."""

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from btcts.errors import ConfigError, StoreError
from store.conftest import Open
from support.networks import AUTHORITY
from support.nodes import CERTIFICATES, tls_options
from support.servers import StartServer, free_port
from support.several import Cluster, Sentinels, Several
from support.wording import Wording

wording = Wording(__file__)


def certificate(name: str) -> str:
    """The file of a certificate and its key."""
    return str(CERTIFICATES / f"{name}.pem")


def files(**named: str) -> dict[str, str]:
    """The settings that name files, by what they hold: ca, cert or key."""
    return {f"BTCTS_REDIS_{kind.upper()}_FILE": path for kind, path in named.items()}


@pytest.fixture(autouse=True)
def no_authority(monkeypatch: pytest.MonkeyPatch) -> None:
    """Name no authority in the environment."""
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)


@pytest.fixture
def start_with_tls(start_server: StartServer) -> Callable[..., int]:
    """Start a redis-server that speaks TLS alone; its port."""

    def start(name: str = "server", *, asks: bool = False) -> int:
        options = tls_options(port := free_port(), certificate=name, asks=asks)
        start_server("--bind", "127.0.0.1", *(word for name, value in options.items() for word in (f"--{name}", value)))
        return port

    return start


def test_an_authority_of_ones_own_is_named(start_with_tls: Callable[..., int], open_url: Open) -> None:
    url = f"rediss://127.0.0.1:{start_with_tls()}"

    assert open_url(url, **files(ca=str(AUTHORITY))).latest() is None
    with pytest.raises(StoreError, match=r"redis\.ca_file"):
        open_url(url).latest()


def test_an_authority_that_openssl_knows_need_not_be_named(
    start_with_tls: Callable[..., int], open_url: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"rediss://127.0.0.1:{start_with_tls()}"
    monkeypatch.setenv("SSL_CERT_FILE", str(AUTHORITY))

    assert open_url(url).latest() is None


def test_no_tls_where_there_should_be(start_with_tls: Callable[..., int], open_url: Open) -> None:
    with pytest.raises(StoreError, match=" rediss://, "):
        open_url(f"redis://127.0.0.1:{start_with_tls()}").latest()


def test_a_server_that_wants_a_certificate_gets_ours(start_with_tls: Callable[..., int], open_url: Open) -> None:
    url = f"rediss://127.0.0.1:{start_with_tls(asks=True)}"
    ours = certificate("elsewhere")

    assert open_url(url, **files(ca=str(AUTHORITY), cert=ours)).latest() is None
    assert open_url(url, **files(ca=str(AUTHORITY), cert=ours, key=ours)).latest() is None


@pytest.mark.parametrize("name", ["", "expired", "test"])
def test_a_certificate_that_the_server_refuses(start_with_tls: Callable[..., int], open_url: Open, name: str) -> None:
    port = start_with_tls(asks=True)
    ours = {"cert": certificate(name)} if name else {}

    with pytest.raises(StoreError, match=r"redis\.cert_file"):  # how it closes the connection depends on the moment
        open_url(f"rediss://127.0.0.1:{port}", **files(ca=str(AUTHORITY), **ours)).latest()


@pytest.mark.parametrize("name", ["elsewhere", "expired", "test"])
def test_a_certificate_that_we_refuse(start_with_tls: Callable[..., int], open_url: Open, name: str) -> None:
    port = start_with_tls(name)

    with pytest.raises(StoreError) as refused:
        open_url(f"rediss://127.0.0.1:{port}", **files(ca=str(AUTHORITY))).latest()

    wording.check(f"not trusted: {name}", str(refused.value), port=port)


@pytest.mark.parametrize(
    "named",
    [
        {"ca": "/nowhere/ca.pem"},
        {"ca": __file__},
        {"cert": str(AUTHORITY)},
        {"cert": certificate("server"), "key": certificate("test")},
        {"cert": "/nowhere/client.pem"},
    ],
    ids=["no authority", "not an authority", "no key", "the key of another", "no certificate"],
)
def test_a_file_that_cannot_be_used(open_url: Open, named: dict[str, str], request: pytest.FixtureRequest) -> None:
    with pytest.raises(ConfigError) as refused:
        open_url("rediss://127.0.0.1:1", **files(**named))

    line = str(refused.value).replace(str(CERTIFICATES), "<certificates>").replace(__file__, "<this file>")
    wording.check(request.node.callspec.id, line)


@pytest.mark.server
@pytest.mark.parametrize("kind", [Cluster, Sentinels])
def test_several_servers_are_found_by_tls(tmp_path: Path, open_url: Open, kind: type[Several]) -> None:
    (tmp_path / "several").mkdir()
    with closing(kind(tmp_path / "several", tls=True)) as several:
        several.start()
        store = open_url(several.url, **files(ca=str(AUTHORITY)))

        store.rebuild()

        assert store.inspect().faults == ()
        with pytest.raises(StoreError, match="not trusted"):
            open_url(several.url).latest()
