"""From all sources to the settings in force."""

import os
from collections import ChainMap
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from btcts.config.files import ConfigFile, config_files, from_file
from btcts.config.homes import explained
from btcts.config.sources import Found, checked, from_environment, from_flags
from btcts.config.table import Setting, table
from btcts.config.trust import refuse_entries, refuse_exposed, refuse_leaks
from btcts.config.values import CollectSettings, EmbeddedSettings, EndpointSettings, RedisSettings, Settings
from btcts.errors import ConfigError

DEFAULT = "default"

LOCAL_REDIS = {
    field: Found(value, DEFAULT)
    for field, value in {"scheme": "redis", "host": "127.0.0.1", "port": 6379, "path": ""}.items()
}


@explained()
def load(
    flags: Mapping[str, object] | None = None,
    *,
    endpoints: Mapping[str, tuple[str, float]],
    environ: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    config_path: Path | None = None,
    needs_redis: bool = True,
) -> Settings:
    """The settings in force: flag > environment > project file > user file > default.

    `flags` goes by dotted name (None: not given); `endpoints` has the default base URL and timeout of every
    provider; `config_path` is the one file that replaces the two others; `needs_redis` is false for what is about
    the embedded Redis itself, which may be forbidden.

    Raises:
        ConfigError: a source has something unknown, unreadable or out of bounds, or settings contradict each other.
    """
    environ = os.environ if environ is None else environ
    cwd = cwd or Path.cwd()
    rows = table(endpoints)
    given = [from_flags(flags or {}, rows), from_environment(environ, rows)]
    files = config_files(environ, cwd, config_path)
    sources = [checked(each, rows, cwd) for each in given]
    sources += [_read_file(file, rows) for file in files]
    found = ChainMap(*sources, {name: Found(row.default, DEFAULT) for name, row in rows.items()})
    redis = _redis_fields(sources)
    refuse_leaks(found, redis, rows)
    if found["embedded.data_dir"].value is None:
        raise ConfigError("the home folder of the user is not known; set HOME or BTCTS_DATA_DIR")
    settings = _assembled(found, redis)
    _check(settings)
    if needs_redis:
        _refuse_no_redis(settings)
    return settings


def _read_file(file: ConfigFile, rows: Mapping[str, Setting]) -> dict[str, Found]:
    refuse_exposed(file)
    entries = list(from_file(file, rows))
    found = checked(entries, rows, file.path.parent, trusted=file.trusted)
    refuse_entries(file, entries, rows)
    return found


def _redis_fields(sources: Iterable[Mapping[str, Found]]) -> dict[str, Found]:
    """The fields of `RedisSettings` that the sources give together; none where no source names a Redis.

    What stands beside an address belongs to it: a source with another address than the one in force is passed
    over, so that no Redis is sent the password of another. A source without an address fills in what is missing.
    """
    fields: dict[str, Found] = {}
    for source in sources:
        said = _said_of_redis(source)
        if not ("scheme" in fields and "scheme" in said):
            fields = said | fields
    return LOCAL_REDIS | fields if fields else {}


def _said_of_redis(source: Mapping[str, Found]) -> dict[str, Found]:
    """The fields that one source gives, with a whole address or none; what its URL says beats what is beside it."""
    said = {name.removeprefix("redis."): found for name, found in source.items() if name.startswith("redis.")}
    url = said.pop("url", None)
    if url is not None:
        return said | {field: url._replace(value=value) for field, value in url.value.items()}
    return LOCAL_REDIS | said if {"host", "port"} & said.keys() else said


def _assembled(found: Mapping[str, Found], redis: Mapping[str, Found]) -> Settings:
    def section(prefix: str) -> dict[str, Any]:
        return {name.removeprefix(prefix): each.value for name, each in found.items() if name.startswith(prefix)}

    providers = dict.fromkeys(name.split(".")[1] for name in found if name.startswith("providers."))
    address = RedisSettings(**{field: each.value for field, each in redis.items()})
    origins = {name: each.origin for name, each in found.items() if not name.startswith("redis.")}
    return Settings(
        redis=address,
        collect=CollectSettings(**section("collect.")),
        providers={name: EndpointSettings(**section(f"providers.{name}.")) for name in providers},
        api_key=found["api_key"].value,
        embedded=EmbeddedSettings(**section("embedded.")),
        origins=_origins_of_redis(address, redis) | origins,
    )


def _origins_of_redis(address: RedisSettings, redis: Mapping[str, Found]) -> dict[str, str]:
    """The origins of what is in force of Redis; that of the URL is of whatever named the address."""
    named = {field: each.origin for field, each in redis.items() if each.origin != DEFAULT}
    of_address = [origin for field, origin in named.items() if field in LOCAL_REDIS] or list(named.values())
    origins = {"redis.url": ", ".join(dict.fromkeys(of_address)) or DEFAULT}
    shown = {"embedded": (), "unix": ("db", "username", "password")}
    for field in shown.get(address.scheme, ("host", "port", "db", "username", "password")):
        origins[f"redis.{field}"] = named.get(field, DEFAULT)
    return origins


def _check(settings: Settings) -> None:
    """What no setting can know by itself."""
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


def _refuse_no_redis(settings: Settings) -> None:
    """Refuse settings that name no Redis and forbid the embedded one."""
    if settings.redis.scheme == "embedded" and not settings.embedded.enabled:
        raise ConfigError(
            f"no Redis is named and the embedded one is forbidden ({settings.origins['embedded.enabled']}); "
            "set REDIS_URL or pass --redis"
        )
