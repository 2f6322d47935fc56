"""The settings as the rest of the program gets them: frozen, checked, secrets wrapped."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from btcts.domain.layout import Market
from btcts.system.foreign import conceal


class Secret:
    """A text that nothing prints: only `reveal` gives it away."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text
        conceal(text)

    def reveal(self) -> str:
        """Return the text itself, for the one place that needs it."""
        return self._text

    def __repr__(self) -> str:
        return "***"

    def __format__(self, spec: str) -> str:
        return format("***", spec)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __bool__(self) -> bool:
        return bool(self._text)


BTC_USD = Market("BTC", "USD", prefix="btc:price", file_suffix="", decimals=2)
"""The market whose prices are kept. Its files have no suffix: they are older than the idea of a second market."""


SENTINEL, CLUSTER = "sentinel", "cluster"
"""The kinds of a Redis of several servers."""

Node = tuple[str, int]
"""A host and a port."""


class RedisSettings(NamedTuple):
    """The Redis to use.

    `scheme` is redis, rediss, unix, embedded, or redis+ or rediss+ and a kind. `path` is the socket and set for unix
    only, `host` and `port` for redis and rediss only. `nodes` are Sentinels, which watch `service` and may have a login
    of their own, or some nodes of a cluster. The files are for TLS: an authority, our certificate and its key. With
    `replica`, a replica is read instead of its primary.
    """

    scheme: str = "embedded"
    host: str = "127.0.0.1"
    port: int = 6379
    path: str = ""
    db: int = 0
    username: str | None = None
    password: Secret | None = None
    nodes: tuple[Node, ...] = ()
    service: str = ""
    sentinel_username: str | None = None
    sentinel_password: Secret | None = None
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    replica: bool = False

    @property
    def kind(self) -> str:
        """The kind where it is several servers, else empty."""
        return self.scheme.partition("+")[2]

    @property
    def tls(self) -> bool:
        """True if connections are encrypted."""
        return self.scheme.startswith("rediss")

    @property
    def url(self) -> str | None:
        """The address as a URL without user and password; None for the embedded Redis."""
        if self.scheme == "embedded":
            return None
        if self.nodes:
            return f"{self.scheme}://{self._hosts}" + (
                f"/{quote(self.service, safe='')}/{self.db}" if self.service else ""
            )
        return f"unix://{self.path}" if self.scheme == "unix" else f"{self.scheme}://{self.where}/{self.db}"

    @property
    def where(self) -> str:
        """The address as messages name it."""
        if self.scheme == "embedded":
            return "embedded"
        if self.scheme == "unix":
            return f"unix socket {self.path}"
        if self.nodes:
            return f"{self.service} of Sentinel {self._hosts}" if self.service else f"cluster {self._hosts}"
        return format_node((self.host, self.port))

    @property
    def _hosts(self) -> str:
        return ",".join(map(format_node, self.nodes))


def format_node(node: Node) -> str:
    """Return a host and its port as URLs have them."""
    host, port = node
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


class CollectSettings(NamedTuple):
    """The interval between prices, the providers asked, how many must give a usable price, and the use of streams."""

    interval_s: float
    providers: tuple[str, ...]
    quorum: int
    streams: bool


class EndpointSettings(NamedTuple):
    """A provider's address (no trailing slash), the longest it may take, and the address of its stream, if any."""

    url: str
    timeout_s: float
    stream_url: str = ""


class EmbeddedSettings(NamedTuple):
    """The permission to use the embedded Redis, its data directory and its redis-server."""

    enabled: bool
    data_dir: Path
    redis_server: Path | None


class Settings(NamedTuple):
    """All settings in force; `origins` says for each dotted name where its value came from."""

    market: Market
    redis: RedisSettings
    collect: CollectSettings
    providers: Mapping[str, EndpointSettings]
    api_key: Secret | None
    embedded: EmbeddedSettings
    origins: Mapping[str, str]

    def get_value(self, name: str) -> object:
        """Return the value of a setting by its dotted name, which is its path in here."""
        node: object = self
        for part in name.split("."):
            node = node[part] if isinstance(node, Mapping) else getattr(node, part)
        return node
