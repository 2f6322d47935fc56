"""The sources of values (flags, environment, files), brought into one form and checked."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from btcts.config.kinds import QUOTES
from btcts.config.table import Setting
from btcts.config.textfile import read_text
from btcts.errors import ConfigError, did_you_mean
from btcts.system.causes import describe

CONFIG_VARIABLE = "BTCTS_CONFIG"

VARIABLE = "environment"
"""The prefix of the origin of a value set by a variable."""

EMPTY = ("", '""', "''")
"""The forms of an empty variable in an env file."""


class Entry(NamedTuple):
    """A value as it was given: `name` is dotted, `raw` as TOML would give it, `at` begins a message about it."""

    name: str
    raw: object
    origin: str
    at: str


class CheckedValue(NamedTuple):
    """A checked value, as the kind of its setting makes it, and where it came from.

    It is `trusted` unless it comes from a file that was merely found, in a folder that somebody else may have filled.
    """

    value: Any
    origin: str
    trusted: bool = True


def read_flags(flags: Mapping[str, object], table: Mapping[str, Setting]) -> Iterator[Entry]:
    """Yield the given flags by dotted name; None counts as not given."""
    for name, value in flags.items():
        if value is not None:
            origin = f"flag {table[name].flag or name}"
            yield Entry(name, value, origin, origin)


def read_environment(environ: Mapping[str, str], table: Mapping[str, Setting]) -> Iterator[Entry]:
    """Yield the environment variables that are set, not empty, and ours."""
    given = {name: text for name, text in environ.items() if text.strip() not in EMPTY and not _is_foreign(name, text)}
    _refuse_unknown(given, table)
    for setting in table.values():
        for name, variable in zip(setting.keys, setting.variables, strict=True):
            if variable in given:
                raw = setting.kind.read(given[variable]) if name == setting.name else given[variable]
                yield Entry(name, raw, f"{VARIABLE} {variable}", f"{VARIABLE} {variable}")


def check_entries(
    entries: Iterable[Entry], table: Mapping[str, Setting], base: Path, *, trusted: bool = True
) -> dict[str, CheckedValue]:
    """Return the checked values of one source by dotted name; paths are relative to `base`, secret files are read.

    Raises:
        ConfigError: a value is refused, or a secret is given both by itself and in a file.
    """
    found: dict[str, CheckedValue] = {}
    for entry in entries:
        name = entry.name if entry.name in table else entry.name.removesuffix("_file")
        if name in found:
            raise ConfigError(f"{entry.at}: {name} is already given by {found[name].origin}; keep one of them")
        try:
            raw = entry.raw if name == entry.name else _read_secret(entry.raw, base)
            value = table[name].kind.check(raw)
        except ValueError as exc:
            raise ConfigError(f"{entry.at}: {exc}{_explain_quotes(entry)}") from exc
        found[name] = CheckedValue(base / value if isinstance(value, Path) else value, entry.origin, trusted)
    return found


def _is_foreign(name: str, text: str) -> bool:
    """Tell whether Kubernetes set it for a service called redis or btcts, a watch for its command, or a test.

    https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables
    """
    named = name.startswith(("BTCTS_SERVICE_", "BTCTS_PORT", "BTCTS_ALERT_", "BTCTS_TEST_"))
    return named or (name == "REDIS_PORT" and text.startswith("tcp://"))


def _refuse_unknown(given: Iterable[str], table: Mapping[str, Setting]) -> None:
    known = {CONFIG_VARIABLE, *(variable for setting in table.values() for variable in setting.variables)}
    for name in given:
        if name.startswith("BTCTS_") and name not in known:
            raise ConfigError(f"environment {name}: there is no such setting{did_you_mean(name, sorted(known))}")


def _explain_quotes(entry: Entry) -> str:
    """Return a hint if a variable's value still has the quotes of an env file."""
    raw = entry.raw if isinstance(entry.raw, str) and entry.origin.startswith(VARIABLE) else ""
    quoted = len(raw) > 1 and raw[0] == raw[-1] and raw[0] in QUOTES
    return "; the quotes count as part of it: leave them out" if quoted else ""


def _read_secret(path: object, base: Path) -> str:
    """Return the content of the file of a secret.

    Raises:
        ValueError: it cannot be read.
    """
    if not isinstance(path, str):
        raise ValueError(f"{path!r} is not a path")
    try:
        return read_text(base / Path(path).expanduser())
    except UnicodeDecodeError:
        raise ValueError(f"{path} is not a UTF-8 text file") from None
    except OSError as exc:
        raise ValueError(f"cannot read {path} ({describe(exc)})") from exc
