"""Settings, resolved once: flag > environment > project file > user file > default.

`table.py` is the one list of settings; the loader, the suggestions for a misspelt key, `config show` and the file
that `config init` writes derive from it. The dotted name of a setting is its path in `Settings`.
"""

import os
from collections import ChainMap
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from btcts.config.redis_url import OWN_LOGIN
from btcts.config.sources import (
    CheckedValue,
    ConfigFile,
    check_entries,
    config_files,
    explain_missing_folders,
    read_environment,
    read_file,
    read_flags,
)
from btcts.config.table import DEFAULT_PROVIDERS, SIMULATED, Endpoints, Setting, list_settings
from btcts.config.trust import refuse_entries, refuse_exposed, refuse_leaks
from btcts.config.values import (
    BTC_USD,
    CLUSTER,
    SENTINEL,
    CollectSettings,
    EmbeddedSettings,
    EndpointSettings,
    RedisSettings,
    Secret,
    Settings,
)
from btcts.errors import ConfigError

__all__ = [
    "BTC_USD",
    "DEFAULT",
    "DEFAULT_PROVIDERS",
    "SIMULATED",
    "RedisSettings",
    "Secret",
    "Settings",
    "config_files",
    "list_settings",
    "load",
]

DEFAULT = "default"

TLS_FILES = ("ca_file", "cert_file", "key_file")

LOCAL_REDIS = {
    field: CheckedValue(value, DEFAULT)
    for field, value in {"scheme": "redis", "host": "127.0.0.1", "port": 6379, "path": "", "nodes": ()}.items()
}


@explain_missing_folders()
def load(
    flags: Mapping[str, object] | None = None,
    *,
    endpoints: Endpoints,
    environ: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    config_path: Path | None = None,
    needs_redis: bool = True,
) -> Settings:
    """Return the settings in force: flag > environment > project file > user file > default.

    `flags` goes by dotted name (None: not given); `config_path` is the one file that replaces the two others;
    `needs_redis` is false for commands about the embedded Redis itself, which settings may forbid.

    Raises:
        ConfigError: a source has something unknown, unreadable or out of bounds, or settings contradict each other.
    """
    environ = os.environ if environ is None else environ
    cwd = cwd or Path.cwd()
    rows = list_settings(endpoints)
    given = [read_flags(flags or {}, rows), read_environment(environ, rows)]
    files = config_files(environ, cwd, config_path)
    sources = [check_entries(entries, rows, cwd) for entries in given]
    sources += [_read_checked_file(file, rows) for file in files]
    found = ChainMap(*sources, {name: CheckedValue(row.default, DEFAULT) for name, row in rows.items()})
    redis = _merge_redis(sources)
    refuse_leaks(found, redis, rows)
    if found["embedded.data_dir"].value is None:
        raise ConfigError("the home folder of the user is not known; set HOME or BTCTS_DATA_DIR")
    settings = _build_settings(found, redis)
    _check(settings, needs_redis=needs_redis)
    return settings


def _read_checked_file(file: ConfigFile, rows: Mapping[str, Setting]) -> dict[str, CheckedValue]:
    refuse_exposed(file)
    entries = list(read_file(file, rows))
    refuse_entries(file, entries, rows)  # before files that it names are read
    return check_entries(entries, rows, file.path.parent, trusted=file.trusted)


def _merge_redis(sources: Iterable[Mapping[str, CheckedValue]]) -> dict[str, CheckedValue]:
    """Merge the fields of `RedisSettings` from the sources; empty where none names a Redis.

    The fields beside an address belong to it: a source with another address than the one in force is skipped, so
    that no Redis is sent the password of another. A source without an address fills in what is missing.
    """
    fields: dict[str, CheckedValue] = {}
    for source in sources:
        said = _extract_redis(source)
        if not ("scheme" in fields and "scheme" in said):
            fields = said | fields
    return LOCAL_REDIS | fields if fields else {}


def _extract_redis(source: Mapping[str, CheckedValue]) -> dict[str, CheckedValue]:
    """Return the fields of one source, with a whole address or none; its URL wins over its other fields."""
    said = {name.removeprefix("redis."): found for name, found in source.items() if name.startswith("redis.")}
    url = said.pop("url", None)
    if url is not None:
        return said | {field: url._replace(value=value) for field, value in url.value.items()}
    return LOCAL_REDIS | said if {"host", "port"} & said.keys() else said


def _build_settings(found: Mapping[str, CheckedValue], redis: Mapping[str, CheckedValue]) -> Settings:
    def extract_section(prefix: str) -> dict[str, Any]:
        return {name.removeprefix(prefix): checked.value for name, checked in found.items() if name.startswith(prefix)}

    providers = dict.fromkeys(name.split(".")[1] for name in found if name.startswith("providers."))
    address = RedisSettings(**{field: checked.value for field, checked in redis.items()})
    origins = {name: checked.origin for name, checked in found.items() if not name.startswith("redis.")}
    return Settings(
        market=BTC_USD.with_hash_tag() if address.kind == CLUSTER else BTC_USD,
        redis=address,
        collect=CollectSettings(**extract_section("collect.")),
        providers={name: EndpointSettings(**extract_section(f"providers.{name}.")) for name in providers},
        api_key=found["api_key"].value,
        embedded=EmbeddedSettings(**extract_section("embedded.")),
        origins=_trace_redis_origins(address, redis) | origins,
    )


def _trace_redis_origins(address: RedisSettings, redis: Mapping[str, CheckedValue]) -> dict[str, str]:
    """Return the origins of the Redis settings; that of the URL is the source of the address."""
    named = {field: checked.origin for field, checked in redis.items() if checked.origin != DEFAULT}
    of_address = [origin for field, origin in named.items() if field in LOCAL_REDIS] or list(named.values())
    origins = {"redis.url": ", ".join(dict.fromkeys(of_address)) or DEFAULT}
    place = () if address.nodes else ("host", "port")
    login = ("db", "username", "password")
    shown = {"embedded": (), "unix": login}
    for field in shown.get(address.scheme, (*place, *login, *OWN_LOGIN, *TLS_FILES, "replica")):
        origins[f"redis.{field}"] = named.get(field, DEFAULT)
    return origins


def _check(settings: Settings, *, needs_redis: bool) -> None:
    """Check rules that involve several settings."""
    collect, redis, origins = settings.collect, settings.redis, settings.origins
    if collect.quorum > len(collect.providers):
        raise ConfigError(
            f"{origins['collect.quorum']}: collect.quorum = {collect.quorum} is more than the "
            f"{len(collect.providers)} providers ({origins['collect.providers']})"
        )
    if redis.username and not redis.password:
        raise ConfigError(
            f"{origins['redis.username']}: a Redis user is named without a password; set REDIS_PASSWORD "
            "(a password alone is written redis://:PASSWORD@host)"
        )
    _check_several(redis, origins)
    if needs_redis and redis.scheme == "embedded" and not settings.embedded.enabled:
        raise ConfigError(
            f"no Redis is named and the embedded one is forbidden ({origins['embedded.enabled']}); "
            "set REDIS_URL or pass --redis"
        )


def _check_several(redis: RedisSettings, origins: Mapping[str, str]) -> None:
    """Check what goes with Sentinels, a cluster and TLS alone."""
    if redis.sentinel_username and not redis.sentinel_password and redis.kind == SENTINEL:
        raise ConfigError(
            f"{origins['redis.sentinel_username']}: a user of the Sentinels is named without a password; "
            "set REDIS_SENTINEL_PASSWORD"
        )
    if redis.kind == CLUSTER and redis.db:
        raise ConfigError(f"{origins['redis.db']}: redis.db = {redis.db}, but a cluster has database 0 alone")
    if redis.tls and redis.key_file and not redis.cert_file:
        raise ConfigError(f"{origins['redis.key_file']}: redis.key_file is set without redis.cert_file; set both")
    if given := [name for name in TLS_FILES if getattr(redis, name) and not redis.tls]:
        secure = redis.scheme.replace("redis", "rediss", 1) if redis.scheme.startswith("redis") else "rediss"
        raise ConfigError(
            f"redis.{given[0]} is for TLS, and {redis.where} is reached without; write {secure}://, or leave it out"
        )
