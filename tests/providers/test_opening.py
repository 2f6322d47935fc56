"""Providers come by name, and bring with them no more than they need."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from btcts.config import BTC_USD
from btcts.errors import ConfigError, ProviderError
from btcts.providers import DEFAULTS, NAMES, Endpoint, open_providers
from btcts.providers.streams import SUBSCRIPTIONS
from providers.opening import ALL, NOW_MS
from support.clocks import FakeClock
from support.exchanges import Exchanges
from support.exchanges.voices import VOICES

TESTS = Path(__file__).parents[1]
CLOCK = FakeClock(NOW_MS)


def imported(code: str) -> set[str]:
    """The modules that a new interpreter has imported after running `code`."""
    imports = "import json, sys\nfrom btcts.domain.layout import Market\nfrom support.clocks import FakeClock\n"
    market = "market = Market('BTC', 'USD', 'any', '', 2)\n"
    command = [sys.executable, "-c", f"{imports}{market}{code}\nprint(json.dumps(list(sys.modules)))"]
    done = subprocess.run(command, env={"PYTHONPATH": str(TESTS)}, check=True, capture_output=True, text=True)
    return set(json.loads(done.stdout))


def test_every_provider_has_a_default_endpoint_on_https() -> None:
    assert set(NAMES) == set(DEFAULTS) == set(ALL)
    assert all(each.url.startswith("https://") for name, each in DEFAULTS.items() if name != "simulated")
    assert {each.timeout_s for each in DEFAULTS.values()} == {5.0}


def test_every_stream_has_its_default_endpoint_its_subscription_and_its_voice() -> None:
    streaming = {name for name, endpoint in DEFAULTS.items() if endpoint.stream_url}

    assert streaming == set(SUBSCRIPTIONS) == set(VOICES)


def test_providers_come_in_the_order_of_their_names() -> None:
    names = ["gemini", "simulated", "coinmarketcap", "coinbase", "bitstamp", "kraken", "bitfinex"]

    with open_providers(names, {}, market=BTC_USD, clock=CLOCK) as providers:
        assert [each.name for each in providers] == names


def test_an_unknown_name_is_refused_with_those_there_are() -> None:
    with (
        pytest.raises(ConfigError, match=r" 'krakn'; .* coinmarketcap, coinbase"),
        open_providers(["kraken", "krakn"], {}, market=BTC_USD, clock=CLOCK),
    ):
        pass


def test_providers_on_local_endpoints_answer(exchanges: Exchanges) -> None:
    with open_providers(NAMES, exchanges.endpoints(), market=BTC_USD, clock=CLOCK, api_key="any") as providers:
        prices = [each.latest().price for each in providers]

    assert len(prices) == len(NAMES)
    assert max(prices) < 1.01 * min(prices)


def test_the_client_is_closed_at_the_end(exchanges: Exchanges) -> None:
    with open_providers(["kraken"], exchanges.endpoints(), market=BTC_USD, clock=CLOCK) as (provider,):
        pass

    with pytest.raises(RuntimeError, match="closed"):
        provider.latest()


def test_only_a_key_has_an_identity_and_it_does_not_reveal_the_key() -> None:
    with open_providers(NAMES, {}, market=BTC_USD, clock=CLOCK, api_key="abcdef") as providers:
        identities = {each.name: each.key_id for each in providers}

    assert [name for name, identity in identities.items() if identity] == ["coinmarketcap"]
    assert "abcdef" not in identities["coinmarketcap"]


def test_another_key_has_another_identity() -> None:
    identities = set()
    for key in ("one", "two", None):
        with open_providers(["coinmarketcap"], {}, market=BTC_USD, clock=CLOCK, api_key=key) as (provider,):
            identities.add(provider.key_id)

    assert len(identities) == 3


def test_a_proxy_of_the_environment_is_used(exchanges: Exchanges, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", exchanges.url("").rstrip("/"))
    endpoints = {"kraken": Endpoint("http://exchange.invalid/kraken")}

    with open_providers(["kraken"], endpoints, market=BTC_USD, clock=CLOCK) as (provider,):
        provider.latest()

    assert exchanges.requests[-1].headers["host"] == "exchange.invalid"


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("ALL_PROXY", "gopher://me:hunter2@127.0.0.1:70"),
        ("HTTPS_PROXY", "http://me:hunter2@127.0.0.1:port"),
        ("HTTPS_PROXY", "http://me:hunter2/x@proxy:8080"),
        ("ALL_PROXY", "http://me:hunter2#x@proxy:8080"),
        ("SSL_CERT_FILE", "/nowhere/certificates.pem"),
    ],
)
def test_an_unusable_proxy_or_certificate_is_a_matter_of_configuration(
    variable: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)

    with (
        pytest.raises(ConfigError, match=variable) as raised,
        open_providers(["kraken"], {}, market=BTC_USD, clock=CLOCK),
    ):
        pass

    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize("url", ["http://[::1", "http://kraken.test:port", "kraken.test", "gopher://kraken.test"])
def test_an_address_that_is_none_is_an_error_of_its_provider(url: str) -> None:
    with (
        open_providers(["kraken"], {"kraken": Endpoint(url)}, market=BTC_USD, clock=CLOCK) as (provider,),
        pytest.raises(ProviderError, match=r"^kraken: "),
    ):
        provider.latest()


def test_credentials_in_an_address_are_not_shown(exchanges: Exchanges) -> None:
    url = exchanges.url("krake").replace("//", "//me:hunter2@")

    with (
        open_providers(["kraken"], {"kraken": Endpoint(url)}, market=BTC_USD, clock=CLOCK) as (provider,),
        pytest.raises(ProviderError, match=r"HTTP 404 from http://127\.0\.0\.1:") as raised,
    ):
        provider.latest()

    assert "hunter2" not in str(raised.value)


def test_importing_the_package_imports_no_provider_and_no_http() -> None:
    modules = imported("import btcts.providers")

    assert "httpcore" not in modules
    assert not {each for each in modules if each.startswith("btcts.providers.")}


def test_the_simulated_provider_needs_no_http() -> None:
    modules = imported(
        "from btcts.providers import open_providers\n"
        "with open_providers(['simulated'], {}, market=market, clock=FakeClock(0)) as (each,): each.latest()"
    )

    assert "httpcore" not in modules


def test_a_provider_on_http_brings_no_other_providers() -> None:
    modules = imported(
        "from btcts.providers import open_providers\n"
        "with open_providers(['kraken'], {}, market=market, clock=FakeClock(0)): pass"
    )

    assert {"httpcore", "btcts.providers.kraken"} <= modules
    assert not {"btcts.providers.coinbase", "btcts.providers.coinmarketcap", "btcts.providers.simulated"} & modules
