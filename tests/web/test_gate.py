"""Who is turned away, and what every answer says about security."""

import socket
from base64 import b64encode
from urllib.parse import urlsplit

import pytest

from btcts.store import Store
from web.conftest import ServeStore
from web.serving import PATIENCE_S, Site

TOKEN = "0123456789abcdef"


METHODS = ("POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW")

FOREIGN = ("evil.example", "127.0.0.1.evil.example", "localhost.evil.example:80", "evil.example@", "10.0.0.1", "", "[")

ABSENT = (
    *("/nix", "/api", "/api/", "/api/show/", "/api/show/2min", "/api/show/minute/", "/api/price/", "/app.py"),
    *("/page.html", "/../app.py", "/%2e%2e/render/price.py", "/..%2fapp.py", "//etc/passwd", "/%00"),
    *("/api/show/%0d%0aX:1", "/api/show/%ff", "http://localhost/api/price"),
)


OURS = ("localhost", "LocalHost:1234", "127.0.0.1:8080", "[::1]:8080", "pi.local")


def test_nothing_but_get_and_head_is_answered(site: Site) -> None:
    answers = [site.client.request(method, "/api/price") for method in METHODS]

    assert {answer.status_code for answer in answers} == {405}
    assert {answer.headers["allow"] for answer in answers} == {"GET, HEAD"}


def test_a_host_that_is_not_ours_is_refused(site: Site) -> None:
    answered = {host: site.get("/api/price", Host=host).status_code for host in FOREIGN}

    assert answered == dict.fromkeys(FOREIGN, 421)


def test_our_own_names_are_known_with_any_port(serve_store: ServeStore, full: Store) -> None:
    site = serve_store(full, hosts=frozenset({"pi.local"}))

    answered = {host: site.get("/api/price", Host=host).status_code for host in OURS}

    assert answered == dict.fromkeys(OURS, 200)


def test_what_is_not_there_is_not_found(site: Site) -> None:
    answered = {path: send(site, f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n") for path in ABSENT}

    assert answered == dict.fromkeys(ABSENT, 404)


def test_without_the_token_nothing_is_told(serve_store: ServeStore, full: Store) -> None:
    site = serve_store(full, token=TOKEN)
    basic = "Basic " + b64encode(f"anybody:{TOKEN}".encode()).decode()
    wrong = ("", "Bearer", f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}", TOKEN, "Basic ?", "Basic eA==", f"Basic {TOKEN}")

    refused = {value: site.get("/health", Authorization=value) for value in wrong}
    allowed = [site.get("/api/price", Authorization=value).status_code for value in (f"Bearer {TOKEN}", basic)]

    assert {answer.status_code for answer in refused.values()} == {401}
    assert all("price" not in answer.text and TOKEN not in answer.text for answer in refused.values())
    assert "Basic" in refused[""].headers["www-authenticate"]
    assert allowed == [200, 200]


def test_pages_of_other_origins_read_nothing_unless_they_are_named(serve_store: ServeStore, full: Store) -> None:
    name = "access-control-allow-origin"
    closed, opened = serve_store(full), serve_store(full, origins=frozenset({"https://their.example"}))

    assert name not in closed.get("/api/price", Origin="https://their.example").headers
    assert opened.get("/api/price", Origin="https://their.example").headers[name] == "https://their.example"
    assert name not in opened.get("/api/price", Origin="https://evil.example").headers


@pytest.mark.parametrize("host", ["localhost", "evil.example"])
def test_every_answer_is_strict_with_pages(site: Site, host: str) -> None:
    for path in ("/api/price", "/metrics", "/nix", "/api/show/2min"):
        headers = site.get(path, Host=host).headers

        assert headers["content-security-policy"].split("; ")[:2] == ["default-src 'none'", "script-src 'self'"]
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"
        assert headers["cross-origin-resource-policy"] == "same-origin"
        assert "server" not in headers


def send(site: Site, request: str) -> int:
    """Send a request as it stands; return the status, 0 when it is not answered at all."""
    place = urlsplit(site.url)
    with socket.create_connection((str(place.hostname), place.port or 0), PATIENCE_S) as connection:
        connection.sendall(request.encode("latin-1"))
        connection.shutdown(socket.SHUT_WR)
        answer = connection.makefile("rb").readline().decode("latin-1")
    return int(answer.split()[1]) if answer else 0
