"""Proxies from the environment: HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, lower case first, and NO_PROXY.

Messages show only the variable, host and port of a proxy: the rest may be secret.
"""

import os
import re
from dataclasses import dataclass, field
from importlib.util import find_spec
from ipaddress import ip_address, ip_network
from urllib.request import getproxies

import httpx

from btcts.errors import ConfigError
from btcts.system.foreign import conceal_login

_PROTOCOLS = {"http": "http", "https": "https", "socks5": "socks5", "socks5h": "socks5", "socks": "socks5"}
"""By the scheme of the proxy URL. GNOME writes socks://; SOCKS5 proxies always resolve host names themselves."""

_PORTS = {"http": 80, "https": 443}

_BRACKETED = re.compile(r"\[([^]]+)\](/\d+)?(?::(\d+))?")
"""An IPv6 address or network in brackets, with or without a port."""


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy and the environment variable that set it; its `str` shows no secret."""

    variable: str
    protocol: str
    url: httpx.URL = field(repr=False)

    def __str__(self) -> str:
        return f"the proxy {self.url.netloc.decode('ascii')} of {self.variable}"


def choose_proxy(url: httpx.URL) -> Proxy | None:
    """Return the proxy for an address; None for a direct connection.

    Raises:
        ConfigError: the environment names an unusable one.
    """
    named = getproxies()
    scheme = url.scheme if named.get(url.scheme) else "all"
    text = named.get(scheme)
    if not text or is_exempt(named.get("no", ""), url):
        return None
    names = [name for name, value in os.environ.items() if name.lower() == f"{scheme}_proxy" and value == text]
    return _read_proxy(max(names, default="the system settings"), text.strip())


def is_exempt(no_proxy: str, url: httpx.URL) -> bool:
    """Tell whether NO_PROXY exempts the address.

    Its entries are separated by commas or blanks: `*`, a host name that stands for its subdomains too, an IP address,
    or a network such as fd00::/8; each may have a scheme and a port. An entry of another form exempts nothing.
    """
    port = url.port or _PORTS.get(url.scheme, 0)
    hosts = {host.rstrip(".") for host in (url.host, url.raw_host.decode("ascii"))}
    for entry in re.split(r"[\s,]+", no_proxy.lower()):
        scheme, _, place = entry.rpartition("://")
        if scheme not in ("", "all", url.scheme):
            continue
        if place == "*" or _is_address_in(place, url.host, port) or any(_is_name(place, host, port) for host in hosts):
            return True
    return False


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
    try:
        url = httpx.URL(text if "://" in text else f"http://{text}")
    except (httpx.InvalidURL, ValueError):  # their text repeats a part of the URL
        raise ConfigError(f"{variable} is malformed; {form}") from None
    conceal_login(str(url))
    if not url.host or "@" in f"{url.raw_path!r}{url.fragment}" or url.port not in (None, *range(1, 65_536)):
        raise ConfigError(f"{variable} is malformed; {form}")
    protocol = _PROTOCOLS.get(url.scheme)
    if protocol is None:
        raise ConfigError(f"{variable} is not http://, https:// or socks5:// (its host is {url.host}); correct it")
    if protocol == "socks5" and find_spec("socksio") is None:
        raise ConfigError(f"{variable} names a SOCKS proxy ({url.host}); for those, pip install 'btcts[socks]'")
    return Proxy(variable, protocol, url)
