"""The sources of values (flags, environment, files), brought into one form and checked."""

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from btcts.config.kinds import QUOTES
from btcts.config.table import Setting
from btcts.errors import ConfigError, did_you_mean
from btcts.system.causes import describe
from btcts.system.textfile import PIPE_PATIENCE_S, read_secret, read_text

PROJECT_FILE = "btcts.toml"

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


class ConfigFile(NamedTuple):
    """A file that may hold settings; origins and messages call it `name`.

    It is `trusted` unless it is read only because it lies in the current folder.
    """

    path: Path
    name: str
    required: bool
    trusted: bool = True


@contextmanager
def explain_missing_folders() -> Iterator[None]:
    """Turn a missing home or current folder into a `ConfigError`."""
    try:
        yield
    except RuntimeError as exc:  # from expanduser, and from platformdirs
        raise ConfigError(f"{str(exc).rstrip('.').lower()}; set HOME, or write the path in full") from exc
    except FileNotFoundError as exc:  # from Path.cwd
        raise ConfigError("the current folder does not exist any more; change to another one") from exc


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


@explain_missing_folders()
def config_files(
    environ: Mapping[str, str], cwd: Path | None = None, config_path: Path | None = None
) -> tuple[ConfigFile, ...]:
    """Return the files to read, highest precedence first.

    They are the project's and the user's, or only the one named by `--config` or BTCTS_CONFIG.
    """
    cwd = cwd or Path.cwd()
    named = str(config_path or "") or environ.get(CONFIG_VARIABLE, "").strip()
    if named:
        return (ConfigFile(cwd / Path(named).expanduser(), named, required=True),)
    project = ConfigFile(cwd / PROJECT_FILE, PROJECT_FILE, required=False, trusted=False)
    user = _find_user_file()
    return (project, ConfigFile(user, _format_path(user), required=False)) if user else (project,)


def _find_user_file() -> Path | None:
    """Return the user's file, None without a home."""
    from platformdirs import user_config_path

    try:
        return user_config_path("btcts") / "config.toml"
    except RuntimeError:
        return None


def read_file(file: ConfigFile, table: Mapping[str, Setting]) -> Iterator[Entry]:
    """Yield the entries of the file; none if an optional file is missing.

    Raises:
        ConfigError: it cannot be read, is no TOML, or has a key that is no setting.
    """
    text = _read(file)
    if not text:
        return
    known = [key for setting in table.values() for key in setting.keys]
    sections = {key[:end] for key in known for end, character in enumerate(key) if character == "."}
    for name, value in _flatten(_parse(text, file), sections):
        at = f"{file.name}{_find_line(name, text)}: {name}"
        if name in sections:
            raise ConfigError(f"{at} is a table, not a value")
        if name not in known:
            raise ConfigError(f"{at} is not a setting{did_you_mean(name, [*known, *sorted(sections)])}")
        yield Entry(name, value, file.name, at)


def _read(file: ConfigFile) -> str:
    try:
        return read_text(file.path, pipe_patience_s=PIPE_PATIENCE_S if file.required else 0.0)
    except UnicodeDecodeError as exc:
        raise ConfigError(f"{file.name}: not a UTF-8 text file") from exc
    except OSError as exc:
        if isinstance(exc, FileNotFoundError | NotADirectoryError) and not file.required:
            return ""
        closed = isinstance(exc, PermissionError) and not (file.trusted or os.access(file.path.parent, os.X_OK))
        step = "; the current folder is closed to this user: change to another one" if closed else ""
        raise ConfigError(f"{file.name}: cannot be read ({describe(exc)}){step}") from exc


def _parse(text: str, file: ConfigFile) -> dict[str, Any]:
    import tomllib

    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as exc:
        raise ConfigError(f"{file.name}: not valid TOML: {exc}") from exc


def _flatten(table: Mapping[str, Any], sections: set[str], prefix: str = "") -> Iterator[tuple[str, object]]:
    """Yield the entries of nested tables by dotted name; an unknown table counts as an entry."""
    for key, value in table.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict) and name in sections:
            yield from _flatten(value, sections, f"{name}.")
        else:
            yield name, value


def _find_line(name: str, text: str) -> str:
    """Return " line 3" for the key, or for its table where its own line is not found."""
    lines = _index_lines(text)
    while name not in lines and "." in name:
        name = name.rpartition(".")[0]
    return f" line {lines[name]}" if name in lines else ""


def _index_lines(text: str) -> dict[str, int]:
    """Map dotted names of tables and keys to their lines; inline tables are not looked into."""
    lines: dict[str, int] = {}
    prefix = ""
    for number, line in enumerate(text.splitlines(), 1):
        word = line.strip().replace('"', "").replace("'", "")
        if word.startswith("["):
            table = word.strip("[").partition("]")[0].strip()
            prefix = f"{table}."
            lines.setdefault(table, number)
        else:
            lines.setdefault(prefix + word.partition("=")[0].strip(), number)
    return lines


def _format_path(path: Path) -> str:
    try:
        home = Path("~").expanduser()
    except RuntimeError:
        return str(path)
    return f"~/{path.relative_to(home)}" if path.is_relative_to(home) else str(path)


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
        ValueError: it cannot be read, or everybody can change it.
    """
    if not isinstance(path, str):
        raise ValueError(f"{path!r} is not a path")
    try:
        return read_secret(base / Path(path).expanduser())
    except UnicodeDecodeError:
        raise ValueError(f"{path} is not a UTF-8 text file") from None
    except OSError as exc:
        raise ValueError(f"cannot read {path} ({describe(exc)})") from exc
