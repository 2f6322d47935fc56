"""Commands behind proxies, by the variables that desktops, containers and companies set."""

import pytest

from btcts.providers.addresses import parse_url
from cli.conftest import Btcts
from support.exchanges import Exchanges
from support.networks import Proxy, SocksProxy, refusals
from support.wording import Wording

wording = Wording(__file__)


def no_proxies() -> dict[str, str | None]:
    """Variables that are to be unset, whatever the tests were started with."""
    return {f"{scheme}_proxy": None for scheme in ("http", "https", "all", "no", "HTTP", "HTTPS", "ALL", "NO")}


@pytest.mark.parametrize("no_proxy", ["localhost,fd00::/8", "[::1]", "fe80::/10,", "*", "localhost, 127.0.0.0/8, ::1"])
def test_networks_in_no_proxy_stop_no_collector(btcts: Btcts, no_proxy: str) -> None:
    done = btcts("collect", "--once", **no_proxies(), NO_PROXY=no_proxy)

    assert (done.code, done.out, done.err) == (0, "", "")


def test_what_a_gnome_desktop_sets_for_all_hosts_but_local_ones(btcts: Btcts) -> None:
    with refusals(1) as [(_, port)]:
        address = f"127.0.0.1:{port}/"
        gnome = {
            "http_proxy": f"http://{address}",
            "https_proxy": f"http://{address}",
            "all_proxy": f"socks://{address}",
            "no_proxy": "localhost,127.0.0.0/8,::1",
        }
        done = btcts("collect", "--once", **no_proxies() | gnome)

    assert (done.code, done.out, done.err) == (0, "", "")


def test_a_collector_behind_a_socks_proxy(btcts: Btcts, exchanges: Exchanges) -> None:
    url = parse_url(exchanges.url(""))
    with Proxy(SocksProxy, (url.host, url.port or 0)) as proxy:
        done = btcts("collect", "--once", **no_proxies(), ALL_PROXY=f"socks://127.0.0.1:{proxy.place[1]}/")

    assert (done.code, done.out, done.err) == (0, "", "")
    assert set(proxy.seen) == {f"127.0.0.1:{url.port}"}


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "ALL_PROXY", "all_proxy"])
@pytest.mark.parametrize(
    "command", [["collect", "--once"], ["watch", "--once", "--stale", "--webhook", "http://hooks.test/x"]], ids=" ".join
)
def test_a_proxy_that_cannot_be_used_is_said_in_one_line(btcts: Btcts, variable: str, command: list[str]) -> None:
    done = btcts(*command, **no_proxies() | {variable: "foo://TOKEN:hunter2@proxy.test"})

    assert done.code == 2
    wording.check("a proxy that cannot be used", done.err[:-1], variable=variable)
    assert not any(word in done.err.lower() for word in ("token", "hunter2"))


def test_a_proxy_that_no_provider_needs_stops_none(btcts: Btcts) -> None:
    done = btcts("collect", "--once", **no_proxies(), HTTPS_PROXY="foo://TOKEN:hunter2@proxy.test")

    assert (done.code, done.out, done.err) == (0, "", "")


def test_a_proxy_that_refuses_connections_is_named(btcts: Btcts) -> None:
    with refusals(1) as [(_, port)]:
        done = btcts("collect", "--once", **no_proxies(), HTTP_PROXY=f"http://TOKEN:hunter2@127.0.0.1:{port}")

    assert done.code == 4
    assert f"the proxy 127.0.0.1:{port} of HTTP_PROXY: connection refused" in done.err
    assert not any(word in done.err.lower() for word in ("token", "hunter2"))
