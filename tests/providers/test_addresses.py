"""Variables of proxies: their meaning, and no message repeats what may be a secret in them."""

import sys
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from btcts.errors import ConfigError
from btcts.providers.addresses import choose_proxy, is_exempt, parse_url

KRAKEN = parse_url("https://api.kraken.com/0/public/Trades")


@pytest.mark.parametrize(
    ("text", "shown", "target"),
    [
        ("https://API.kraken.COM", "https://api.kraken.com/", "/"),
        ("HTTPS://api.kraken.com:443/0?a=b c", "https://api.kraken.com/0", "/0?a=b%20c"),
        ("http://api.kraken.com:443/", "http://api.kraken.com:443/", "/"),
        ("http://me:p@ss@[::1]:80/x%20y?z#top", "http://[::1]/x%20y", "/x%20y?z"),
        ("https://bücher.example/ä", "https://xn--bcher-kva.example/%C3%A4", "/%C3%A4"),
        ("http://local_host:65535?q", "http://local_host:65535/", "/?q"),
    ],
)
def test_an_address_is_shown_without_login_and_query(text: str, shown: str, target: str) -> None:
    address = parse_url(text)

    assert (str(address), address.target) == (shown, target)
    assert address == parse_url(text.replace(" ", "%20"))


@pytest.mark.parametrize(
    "text",
    [
        *["", "kraken.com", "//kraken.com", "https://", "https:///x", "https://?x", "https://:80/", "https://@/"],
        *["http://h:port/", "http://h:0/", "http://h:65536/", "http://h:-1/", "http://[::1", "http://[kraken]/"],
        *[
            "http://a b/",
            "http://a,b/",
            "http://a\\b/",
            "http://h/\n",
            "http://h/\x00",
            "http://\udcff/",
            "http://a%zz/",
        ],
        *["http://straße.example/", "http://" + "ü" * 64 + "/", "http://℀.example/"],
    ],
)
def test_a_text_that_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_url(text)


@given(st.text(max_size=60), st.sampled_from(["", "http://", "https://h/", "https://me:pw@", "http://["]))
def test_a_text_is_an_address_that_can_be_sent_or_refused(text: str, before: str) -> None:
    try:
        address = parse_url(before + text)
    except ValueError:
        return
    sent = f"{address.place}{address.target}"

    assert sent.isascii()
    assert sent.isprintable()
    assert " " not in sent
    assert address.target.startswith("/")
    assert parse_url(f"{address.scheme}://{sent}") == replace(address, login=None)


@pytest.mark.parametrize(
    ("no_proxy", "url"),
    [
        ("localhost,fd00::/8", "http://localhost:8080/"),
        ("localhost,fd00::/8", "http://[fd12:3456::1]/"),
        ("[::1]", "http://[::1]:8080/"),
        ("::1", "http://[::1]:8080/"),
        ("fe80::/10", "http://[fe80::1]/"),
        ("[fe80::/10]", "http://[fe80::1]/"),
        ("[fe80::]/10", "http://[fe80::1%25eth0]/"),
        ("10.0.0.0/8", "http://10.1.2.3/"),
        ("10.1.2.3/8", "http://10.9.9.9/"),
        ("127.0.0.1", "http://127.0.0.1:1234/"),
        ("127.0.0.1:1234", "http://127.0.0.1:1234/"),
        ("[::1]:8080", "http://[::1]:8080/"),
        ("*", "https://api.kraken.com/"),
        ("localhost, *", "https://api.kraken.com/"),
        ("kraken.com", "https://kraken.com/"),
        ("kraken.com", "https://api.kraken.com/"),
        (".kraken.com", "https://api.kraken.com/"),
        (".kraken.com", "https://kraken.com/"),
        ("*.kraken.com", "https://api.kraken.com/"),
        ("KRAKEN.com", "https://API.kraken.COM/"),
        ("api.kraken.com.", "https://api.kraken.com/"),
        ("api.kraken.com", "https://api.kraken.com./"),
        ("api.kraken.com:443", "https://api.kraken.com/"),
        ("kraken.com:8443", "https://api.kraken.com:8443/"),
        ("http://localhost,https://kraken.com", "https://api.kraken.com/"),
        ("all://kraken.com", "https://api.kraken.com/"),
        ("gemini.com  kraken.com", "https://api.kraken.com/"),
        (" gemini.com ,\tkraken.com\n, ,", "https://api.kraken.com/"),
        ("xn--bcher-kva.example", "https://bücher.example/"),
        ("bücher.example", "https://xn--bcher-kva.example/"),
    ],
)
def test_no_proxy_exempts(no_proxy: str, url: str) -> None:
    assert is_exempt(no_proxy, parse_url(url))


@pytest.mark.parametrize(
    ("no_proxy", "url"),
    [
        ("", "https://api.kraken.com/"),
        (" , ,", "https://api.kraken.com/"),
        ("kraken.com", "https://notkraken.com/"),
        ("api.kraken.com", "https://kraken.com/"),
        ("api.kraken.com:8443", "https://api.kraken.com/"),
        ("http://api.kraken.com", "https://api.kraken.com/"),
        ("fd00::/8", "http://[fe80::1]/"),
        ("fd00::/8", "https://api.kraken.com/"),
        ("[::1]:8080", "http://[::1]:8081/"),
        ("10.0.0.0/8", "http://11.0.0.1/"),
        ("10.0.0.0/8", "http://[::1]/"),
        (".", "https://api.kraken.com/"),
        ("..,*.,[,],[],[]:,:,://,:443,/,//8", "https://api.kraken.com/"),
        ("fd00::/999,[fd00::/8,300.0.0.0/8,1.2.3.4/x,[::1]:port,http://[", "https://api.kraken.com/"),
        ("\udcff,☃,\x01,%zz", "https://api.kraken.com/"),
    ],
)
def test_no_proxy_does_not_exempt_and_is_never_a_failure(no_proxy: str, url: str) -> None:
    assert not is_exempt(no_proxy, parse_url(url))


@pytest.mark.parametrize(
    ("environ", "variable", "protocol", "place"),
    [
        ({"HTTPS_PROXY": "http://proxy.test:3128"}, "HTTPS_PROXY", "http", "proxy.test:3128"),
        ({"https_proxy": "http://proxy.test:3128"}, "https_proxy", "http", "proxy.test:3128"),
        ({"HTTPS_PROXY": "http://upper.test", "https_proxy": "http://lower.test"}, "https_proxy", "http", "lower.test"),
        ({"HTTPS_PROXY": "http://own.test", "ALL_PROXY": "socks://all.test"}, "HTTPS_PROXY", "http", "own.test"),
        ({"HTTPS_PROXY": "https://proxy.test:8443/"}, "HTTPS_PROXY", "https", "proxy.test:8443"),
        ({"HTTPS_PROXY": "proxy.test:3128"}, "HTTPS_PROXY", "http", "proxy.test:3128"),
        ({"HTTPS_PROXY": "[::1]:3128"}, "HTTPS_PROXY", "http", "[::1]:3128"),
        ({"HTTPS_PROXY": " http://proxy.test:3128\n"}, "HTTPS_PROXY", "http", "proxy.test:3128"),
        ({"HTTPS_PROXY": "HTTP://proxy.test:3128"}, "HTTPS_PROXY", "http", "proxy.test:3128"),
        ({"ALL_PROXY": "proxy.test:3128"}, "ALL_PROXY", "http", "proxy.test:3128"),
        ({"all_proxy": "socks://127.0.0.1:1080/"}, "all_proxy", "socks5", "127.0.0.1:1080"),
        ({"ALL_PROXY": "socks5://127.0.0.1"}, "ALL_PROXY", "socks5", "127.0.0.1"),
        ({"ALL_PROXY": "socks5h://me:pw@127.0.0.1:9050"}, "ALL_PROXY", "socks5", "127.0.0.1:9050"),
    ],
)
def test_the_proxy_of_an_address(
    environ: dict[str, str], variable: str, protocol: str, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environ.items():
        monkeypatch.setenv(name, value)

    proxy = choose_proxy(KRAKEN)

    assert proxy
    assert (proxy.variable, proxy.protocol, str(proxy)) == (variable, protocol, f"the proxy {place} of {variable}")


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"HTTP_PROXY": "http://proxy.test"},
        {"HTTPS_PROXY": "", "ALL_PROXY": ""},
        {"HTTPS_PROXY": "http://proxy.test", "https_proxy": ""},
        {"HTTPS_PROXY": "http://proxy.test", "NO_PROXY": "*"},
        {"HTTPS_PROXY": "http://proxy.test", "no_proxy": "kraken.com"},
        {"HTTPS_PROXY": "foo://malformed", "NO_PROXY": "kraken.com"},
        {"FTP_PROXY": "foo://malformed", "SOCKS_PROXY": "x", "TRAVIS_APT_PROXY": "y", "HTTP_PROXY": "gopher://z"},
    ],
)
def test_an_address_without_a_proxy(environ: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in environ.items():
        monkeypatch.setenv(name, value)

    assert choose_proxy(KRAKEN) is None


def test_a_header_of_a_web_request_is_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://evil.test")
    url = parse_url("http://exchange.test/")
    outside = choose_proxy(url)
    monkeypatch.setenv("REQUEST_METHOD", "GET")

    assert (outside and outside.variable, choose_proxy(url)) == ("HTTP_PROXY", None)


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"])
@pytest.mark.parametrize(
    "value",
    [
        "foo://TOKEN:hunter2@proxy.test",
        "socks4://TOKEN:hunter2@proxy.test",
        "http://TOKEN:hunter2/x@proxy.test:8080",
        "http://TOKEN:80/hunter2@proxy.test:8080",
        "http://TOKEN:80?hunter2@proxy.test:8080",
        "http://TOKEN#hunter2@proxy.test:8080",
        "http://TOKEN:hunter2@proxy.test:port",
        "http://TOKEN:hunter2@proxy.test:99999",
        "http://TOKEN:hunter2@proxy.test:0",
        "http://TOKEN:hunter2@",
        "http://TOKEN:hunter2@\udcff",
        "http://TOKEN:hun\x01ter2@proxy.test",
        "TOKEN:hunter2://proxy.test",
        "://TOKEN:hunter2@proxy.test",
        "http:///TOKEN:hunter2@proxy.test",
        "http://[::1",
    ],
)
def test_a_proxy_that_cannot_be_used_is_named_by_its_variable_alone(
    variable: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)

    with pytest.raises(ConfigError) as refusal:
        choose_proxy(KRAKEN)

    assert str(refusal.value).startswith(f"{variable} is ")
    assert not any(word in str(refusal.value).lower() for word in ("token", "hunter2"))


def test_a_socks_proxy_without_its_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "socks://TOKEN:hunter2@127.0.0.1:1080/")
    monkeypatch.setitem(sys.modules, "socksio", None)

    with pytest.raises(ConfigError) as refusal:
        choose_proxy(KRAKEN)

    said = "ALL_PROXY names a SOCKS proxy (127.0.0.1); for those, pip install 'btcts[socks]'"
    assert str(refusal.value) == said
