"""Addresses of servers, and their proxies: HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, lower case first, and NO_PROXY.

Messages show only the variable, host and port of a proxy: the rest may be secret.
"""

import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from ipaddress import ip_address, ip_network
from urllib.parse import quote, unquote, urlencode, urlsplit

from btcts.errors import ConfigError
from btcts.system.foreign import conceal_login

_PORTS = {"http": 80, "https": 443}

_NAME = re.compile(r"[a-z0-9._~-]+")

_UNQUOTED = "/%:@!$&'()*+,;=?~"
"""Characters that a path or a query may have as they are; those quoted already stay so."""

_PROTOCOLS = {"http": "http", "https": "https", "socks5": "socks5", "socks5h": "socks5", "socks": "socks5"}
"""By the scheme of the proxy URL. GNOME writes socks://; SOCKS5 proxies always resolve host names themselves."""

_BRACKETED = re.compile(r"\[([^]]+)\](/\d+)?(?::(\d+))?")
"""An IPv6 address or network in brackets, with or without a port."""


@dataclass(frozen=True, slots=True)
class Address:
    """The parts of a URL; its `str` shows neither login nor query.

    `host` is the ASCII form of a name, or an IP address; `port` is None for the usual one. `target` is the path with
    the query, `login` the user and the password.
    """

    scheme: str
    host: str
    port: int | None
    target: str = field(repr=False)
    login: tuple[str, str] | None = field(default=None, repr=False)

    def __str__(self) -> str:
        return f"{self.scheme}://{self.place}{self.path}"

    @property
    def place(self) -> str:
        """The host, with the port if it is not the usual one."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port is None else f"{host}:{self.port}"

    @property
    def path(self) -> str:
        """The target without the query."""
        return self.target.partition("?")[0]

    def find_port(self) -> int:
        """Return the port to connect to; 0 for a scheme that has none."""
        return self.port or _PORTS.get(self.scheme, 0)

    def append(self, path: str, query: Mapping[str, str | int]) -> "Address":
        """Return the address of a path below this one."""
        asked = f"?{urlencode(query)}" if query else ""
        return replace(self, target=f"{self.path.rstrip('/')}{path}{asked}")


def parse_url(text: str) -> Address:
    """Parse an absolute URL.

    Raises:
        ValueError: it is malformed.
    """
    if not text.isprintable():
        raise ValueError("an unprintable character")
    parts = urlsplit(text)
    port = parts.port
    if not (parts.scheme and parts.hostname) or port == 0:
        raise ValueError("no host, or no port")
    target = quote(parts.path or "/", safe=_UNQUOTED)
    if parts.query:
        target += "?" + quote(parts.query, safe=_UNQUOTED)
    login = (unquote(parts.username or ""), unquote(parts.password or "")) if "@" in parts.netloc else None
    port = None if port == _PORTS.get(parts.scheme) else port
    return Address(parts.scheme, _encode_host(parts.hostname), port, target, login)


def _encode_host(host: str) -> str:
    """Return the ASCII form of a host in lower case; a name that has another meaning there is refused."""
    if ":" in host:
        ip_address(host)
        return host
    name = host if host.isascii() else host.encode("idna").decode("ascii")
    if not _NAME.fullmatch(name) or (name != host and name.encode().decode("idna") != host):
        raise ValueError("no name of a host")  # or an ambiguous one: this codec makes straße what was strasse
    return name


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy and the environment variable that set it; its `str` shows no secret."""

    variable: str
    protocol: str
    address: Address = field(repr=False)

    def __str__(self) -> str:
        return f"the proxy {self.address.place} of {self.variable}"


def choose_proxy(address: Address) -> Proxy | None:
    """Return the proxy for an address; None for a direct connection.

    Raises:
        ConfigError: the environment names an unusable one.
    """
    named = _read_proxies()
    scheme = address.scheme if named.get(address.scheme) else "all"
    text = named.get(scheme)
    if not text or is_exempt(named.get("no", ""), address):
        return None
    names = [name for name, value in os.environ.items() if name.lower() == f"{scheme}_proxy" and value == text]
    return _read_proxy(max(names, default="the system settings"), text.strip())


def _read_proxies() -> dict[str, str]:
    """Return the proxies by scheme: those of variables, or else of the settings of macOS."""
    if sys.platform != "darwin" and not any(name.lower().endswith("_proxy") for name in os.environ):
        return {}
    from urllib.request import getproxies  # loads http.client and email, which nothing else needs

    return getproxies()


def is_exempt(no_proxy: str, address: Address) -> bool:
    """Tell whether NO_PROXY exempts the address.

    Its entries are separated by commas or blanks: `*`, a host name that stands for its subdomains too, an IP address,
    or a network such as fd00::/8; each may have a scheme and a port. An entry of another form exempts nothing.
    """
    port = address.find_port()
    hosts = {host.rstrip(".") for host in (address.host, _decode_host(address.host))}
    for entry in re.split(r"[\s,]+", no_proxy.lower()):
        scheme, _, place = entry.rpartition("://")
        if scheme not in ("", "all", address.scheme):
            continue
        named = place == "*" or any(_is_name(place, host, port) for host in hosts)
        if named or _is_address_in(place, address.host, port):
            return True
    return False


def _decode_host(host: str) -> str:
    try:
        return host.encode("ascii").decode("idna")
    except UnicodeError:
        return host


def _is_address_in(place: str, host: str, port: int) -> bool:
    """Tell whether the place is an IP address or network that contains the host."""
    if bracketed := _BRACKETED.fullmatch(place):
        if bracketed[3] and int(bracketed[3]) != port:
            return False
        place = bracketed[1] + (bracketed[2] or "")
    try:
        return ip_address(host) in ip_network(place, strict=False)
    except ValueError:
        return False


def _is_name(place: str, host: str, port: int) -> bool:
    """Tell whether the place is the host's name or a parent domain."""
    name, _, only_port = place.partition(":")
    name = name.removeprefix("*").strip(".")
    return bool(name) and only_port in ("", str(port)) and f".{host}".endswith(f".{name}")


def _read_proxy(variable: str, text: str) -> Proxy:
    form = "write it like http://user:password@host:port, in a password / as %2F, : as %3A, @ as %40"
    url = text if "://" in text else f"http://{text}"
    conceal_login(url)
    try:
        address = parse_url(url)
    except ValueError:  # its text repeats a part of the URL
        raise ConfigError(f"{variable} is malformed; {form}") from None
    if "@" in "".join(re.split(r"[/?#]", url.partition("://")[2], maxsplit=1)[1:]):
        raise ConfigError(f"{variable} is malformed; {form}")
    protocol = _PROTOCOLS.get(address.scheme)
    if protocol is None:
        raise ConfigError(f"{variable} is not http://, https:// or socks5:// (its host is {address.host}); correct it")
    if protocol == "socks5" and find_spec("socksio") is None:
        raise ConfigError(f"{variable} names a SOCKS proxy ({address.host}); for those, pip install 'btcts[socks]'")
    return Proxy(variable, protocol, address)
