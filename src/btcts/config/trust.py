"""Limit what a file may set, and which address may get which secret.

The file of the current folder may come from anybody: with an archive, a clone, or from those who share the folder. It
therefore names no file or folder, and no address for a secret that it does not bring along.
"""

from collections.abc import Iterable, Mapping

from btcts.config.sources import CheckedValue, ConfigFile, Entry
from btcts.config.table import Setting
from btcts.errors import ConfigError
from btcts.system.ownership import find_exposed_file

API_URL = "providers.coinmarketcap.url"
"""The setting that says where the API key is sent."""

ADDRESS = ("scheme", "host", "port", "path", "nodes")
"""The fields of `RedisSettings` that say where the password is sent to."""

YOUR_FILE = "your own file (btcts config path)"


def refuse_exposed(file: ConfigFile) -> None:
    """Refuse a file that was merely found, and that others can change.

    Raises:
        ConfigError: naming what they can change.
    """
    exposed = None if file.trusted else find_exposed_file(file.path)
    if exposed is not None:
        raise ConfigError(
            f"{file.name} is refused: {exposed}; change to another folder, or, if you trust it, {exposed.remedy}"
        )


def refuse_entries(file: ConfigFile, entries: Iterable[Entry], table: Mapping[str, Setting]) -> None:
    """Refuse settings that this file may not set.

    Raises:
        ConfigError: a file that was merely found names another file or a folder, or one that was chosen holds a
            secret, a place or an address and others can change it.
    """
    for entry in entries:
        row = table.get(entry.name)  # None where it names the file of a secret
        if not file.trusted and (row is None or row.names_path):
            variable = row.variable if row else f"{table[entry.name.removesuffix('_file')].variable}_FILE"
            raise ConfigError(
                f"{entry.at} may not be set by a file in the current folder; set {variable}, or use {YOUR_FILE}"
            )
        exposed = find_exposed_file(file.path) if row is None or row.is_guarded else None
        if exposed is not None:
            raise ConfigError(f"{entry.at} is refused: {exposed}; if you trust the file, {exposed.remedy}")


def refuse_leaks(
    found: Mapping[str, CheckedValue], redis: Mapping[str, CheckedValue], table: Mapping[str, Setting]
) -> None:
    """Refuse an address from a file that was merely found for a secret from elsewhere.

    Raises:
        ConfigError: naming both.
    """
    url = found.get(API_URL)
    if url and url.value != table[API_URL].default and _would_leak(found["api_key"], url):
        raise ConfigError(
            f"{url.origin}: {API_URL} would get the API key of {found['api_key'].origin}; "
            f"set {table[API_URL].variable}, or use {YOUR_FILE}"
        )
    address = next((redis[field] for field in ADDRESS if field in redis and not redis[field].trusted), None)
    for name in ("password", "sentinel_password"):
        if address and name in redis and _would_leak(redis[name], address):
            raise ConfigError(
                f"{address.origin}: the Redis it names would get the password of {redis[name].origin}; "
                f"set REDIS_URL, or use {YOUR_FILE}"
            )


def _would_leak(secret: CheckedValue, address: CheckedValue) -> bool:
    return bool(secret.value) and secret.trusted and not address.trusted
