"""The one table of settings."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from btcts.config import kinds
from btcts.config.kinds import BASE_URL, HOST, KEY, PASSWORD, PATH, STREAM_URL, SWITCH, TEXT, Kind
from btcts.config.redis_url import REDIS_URL

DEFAULT_PROVIDERS = ("coinmarketcap", "coinbase", "kraken", "bitstamp", "bitfinex", "gemini")

SIMULATED = "simulated"
"""The provider of invented prices; it is never mixed with real ones."""


class Setting(NamedTuple):
    """One row: what a setting is called, what it may be and where it can be set.

    `example` stands in the file of `config init` where there is no default. A `secret` may also be in a file of
    its own, named by the variable with `_FILE` or the key with `_file` added. `names_host` says that it decides where
    secrets are sent to.
    """

    name: str
    kind: Kind
    default: object
    variable: str
    help: str
    flag: str | None = None
    example: object = None
    names_host: bool = False

    @property
    def secret(self) -> bool:
        """True for what nothing prints."""
        return self.kind in (KEY, PASSWORD)

    @property
    def names_path(self) -> bool:
        """True if it names a file or a folder."""
        return self.kind is PATH

    @property
    def is_guarded(self) -> bool:
        """True if it could run a program, move data, or give away a secret."""
        return self.secret or self.names_path or self.names_host

    @property
    def keys(self) -> tuple[str, ...]:
        """The dotted names it goes by in a file."""
        return (self.name, f"{self.name}_file") if self.secret else (self.name,)

    @property
    def variables(self) -> tuple[str, ...]:
        """The environment variables it is read from."""
        return (self.variable, f"{self.variable}_FILE") if self.secret else (self.variable,)


Endpoints = Mapping[str, tuple[str, float, str]]
"""The default base URL, timeout and stream URL of every provider there is; a stream URL is empty where it has none."""


def list_settings(endpoints: Endpoints) -> dict[str, Setting]:
    """Return all settings by name.

    The simulated provider has no address, so nothing can be set for it.
    """
    real = {name: endpoint for name, endpoint in endpoints.items() if name != SIMULATED}
    of_key = "The CoinMarketCap API key; or api_key_file, the path of a file that has it."
    settings = (
        Setting("api_key", KEY, None, "API_KEY", of_key, example="your-key"),
        *_define_redis(),
        *_define_collect({*real, SIMULATED}),
        *_define_embedded(),
        *_define_providers(real),
    )
    return {setting.name: setting for setting in settings}


def _define_redis() -> tuple[Setting, ...]:
    port = kinds.whole("a port from 1 to 65535", lambda n: 1 <= n <= 65_535)
    database = kinds.whole("the number of a database", lambda n: n >= 0)
    of_url = "redis://, rediss://, unix://, redis+sentinel:// or redis+cluster://; by default the embedded one."
    of_user = "The user where the URL names none."
    of_password = "The password where the URL has none; or password_file, a file that holds it."
    of_own_user = "The user of the Sentinels themselves."
    of_own = "The Sentinels' own password; or sentinel_password_file."
    of_replica = "Whether to read from a replica, for commands that only read."
    address = "redis://127.0.0.1:6379/0"
    example = "your-password"
    return (
        Setting("redis.url", REDIS_URL, None, "REDIS_URL", of_url, flag="--redis", example=address, names_host=True),
        Setting("redis.host", HOST, "127.0.0.1", "REDIS_HOST", "The host, instead of a URL.", names_host=True),
        Setting("redis.port", port, 6379, "REDIS_PORT", "The port, instead of a URL.", names_host=True),
        Setting("redis.db", database, 0, "REDIS_DB", "The database where the URL names none."),
        Setting("redis.username", TEXT, None, "REDIS_USERNAME", of_user, example="default"),
        Setting("redis.password", PASSWORD, None, "REDIS_PASSWORD", of_password, example=example),
        Setting("redis.sentinel_username", TEXT, None, "REDIS_SENTINEL_USERNAME", of_own_user, example="default"),
        Setting("redis.sentinel_password", PASSWORD, None, "REDIS_SENTINEL_PASSWORD", of_own, example=example),
        *_define_tls_files(),
        Setting("redis.replica", SWITCH, False, "BTCTS_REDIS_REPLICA", of_replica, flag="--replica"),
    )


def _define_tls_files() -> Iterable[Setting]:
    files = {
        "ca_file": ("The authority that signs the certificate of Redis, beside those of the system.", "ca.pem"),
        "cert_file": ("The client certificate for a Redis that wants one.", "client.pem"),
        "key_file": ("The key of that certificate, where its file does not hold it.", "client.key"),
    }
    for name, (about, example) in files.items():
        place = f"redis.{name}", PATH, None, f"BTCTS_REDIS_{name.upper()}"
        yield Setting(*place, about, example=f"/etc/btcts/{example}")


def _define_collect(providers: Iterable[str]) -> tuple[Setting, ...]:
    seconds = kinds.number("a number of seconds from 1 to 86400", lambda n: 1 <= n <= 86_400)
    count = kinds.whole("a whole number from 1", lambda n: n >= 1)
    names = kinds.provider_names(sorted(providers), only_alone=SIMULATED)
    default = names.check(DEFAULT_PROVIDERS)
    of_interval = "Seconds from one live price to the next, from 1 to a day."
    of_names = "The price APIs to ask (in a variable, separated by commas)."
    of_quorum = "How many providers must give a usable price."
    of_streams = "Whether --forever also receives the trades of exchanges as they happen."
    return (
        Setting("collect.interval_s", seconds, 10.0, "BTCTS_COLLECT_INTERVAL_S", of_interval, flag="--interval"),
        Setting("collect.providers", names, default, "BTCTS_COLLECT_PROVIDERS", of_names, flag="--provider"),
        Setting("collect.quorum", count, 1, "BTCTS_COLLECT_QUORUM", of_quorum),
        Setting("collect.streams", SWITCH, True, "BTCTS_COLLECT_STREAMS", of_streams, flag="--streams"),
    )


def _define_embedded() -> tuple[Setting, ...]:
    of_enabled = "Whether to run the embedded Redis where no other is named."
    of_folder = "Where the embedded Redis and unsent prices are kept."
    of_server = "The redis-server to run, instead of the one that is found or installed."
    server = "/usr/bin/redis-server"
    return (
        Setting("embedded.enabled", SWITCH, True, "BTCTS_EMBEDDED", of_enabled),
        Setting("embedded.data_dir", PATH, _find_data_dir(), "BTCTS_DATA_DIR", of_folder, example="/var/lib/btcts"),
        Setting("embedded.redis_server", PATH, None, "BTCTS_REDIS_SERVER", of_server, example=server),
    )


def _define_providers(endpoints: Endpoints) -> Iterable[Setting]:
    timeout = kinds.number("a number of seconds above 0, at most 60", lambda n: 0 < n <= 60)
    for name, (url, timeout_s, stream_url) in endpoints.items():
        variable = f"BTCTS_PROVIDERS_{name.upper()}"
        about = f"The URL of {name}, or of a mirror."
        yield Setting(f"providers.{name}.url", BASE_URL, url, f"{variable}_URL", about, names_host=True)
        about = f"Seconds that {name} may take to answer, at most 60."
        yield Setting(f"providers.{name}.timeout_s", timeout, float(timeout_s), f"{variable}_TIMEOUT_S", about)
        if stream_url:
            about = f"The trades of {name} as a stream; unused where url alone is set."
            places = f"providers.{name}.stream_url", f"{variable}_STREAM_URL"
            yield Setting(places[0], STREAM_URL, stream_url, places[1], about, names_host=True)


def _find_data_dir() -> Path | None:
    from platformdirs import user_data_path

    try:
        return user_data_path("btcts")
    except RuntimeError:  # the user has no home
        return None
