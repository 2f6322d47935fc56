"""No answer of a server ends a command in any other way than by its line and exit code."""

from collections.abc import Callable

import pytest

from cli.conftest import PROVIDERS, Btcts
from cli.test_collect_spool import looping
from support.exchanges import Exchanges, Fault
from support.raw_server import Raw, RawServer

redirecting = pytest.mark.parametrize("location", ["about:blank", "http://["])


@pytest.fixture
def redirect(exchanges: Exchanges) -> Callable[[str], None]:
    """Let all exchanges redirect, until the end of the test."""

    def set_location(location: str) -> None:
        for name in PROVIDERS:
            exchanges.fault(name, Fault(body=b"", status=302, headers={"Location": location}))

    return set_location


@pytest.fixture(autouse=True)
def healed(exchanges: Exchanges) -> object:
    """All exchanges well again afterwards."""
    yield
    exchanges.reset()


@redirecting
def test_a_redirect_to_nowhere_is_a_failure_of_the_providers(
    location: str, redirect: Callable[[str], None], btcts: Btcts, exchanges: Exchanges
) -> None:
    redirect(location)
    runs = [btcts("collect", "--once"), btcts("backfill", "--hours", "1")]
    exchanges.reset()
    assert btcts("collect", "--once").code == 0
    redirect(location)
    runs.append(btcts("verify", "--upstream"))

    assert [done.code for done in runs] == [4, 4, 4]
    assert all("HTTP 302" in done.out + done.err for done in runs)
    assert "Traceback" not in "".join(done.err for done in runs)


@redirecting
def test_a_redirect_to_nowhere_does_not_end_the_loop(
    location: str, redirect: Callable[[str], None], exchanges: Exchanges, environ: dict[str, str]
) -> None:
    redirect(location)
    with looping(environ) as (running, following):
        cycles = [following(), following()]
        exchanges.reset()

        assert any(following()["stored"] for _ in range(10))
        assert running.poll() is None
    assert all(len(cycle["refused"]) == len(PROVIDERS) for cycle in cycles)


@redirecting
def test_a_webhook_that_redirects_to_nowhere_is_tried_again(location: str, btcts: Btcts) -> None:
    moved = f"HTTP/1.1 302 Found\r\nLocation: {location}\r\nSet-Cookie: a=b\r\nContent-Length: 0\r\n\r\n".encode()
    assert btcts("collect", "--once").code == 0

    with RawServer(lambda _: Raw(moved)) as server:
        runs = [btcts("watch", "--once", "--above", "1", "--webhook", server.url) for _ in range(2)]

    assert [done.code for done in runs] == [1, 1]
    assert "HTTP 302 from 127.0.0.1; redirects" in runs[0].err
    assert not any(b"ookie" in request for request in server.requests)


def test_a_cost_of_credits_beyond_measure_does_not_freeze_the_loop(
    exchanges: Exchanges, environ: dict[str, str]
) -> None:
    huge = b'{"status": {"error_code": 0, "credit_count": 1e300000000}, "data": []}'
    exchanges.fault("coinmarketcap", Fault(body=huge))
    environ["BTCTS_COLLECT_PROVIDERS"] += ",coinmarketcap"

    with looping({**environ, "API_KEY": "any"}) as (_, following):
        cycles = [following() for _ in range(3)]

    assert [cycle["problem"] for cycle in cycles] == [None, None, None]
