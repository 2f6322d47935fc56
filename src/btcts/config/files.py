"""The configuration files, their entries, and the lines that messages name."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from btcts.config.homes import explain_missing_folders
from btcts.config.sources import CONFIG_VARIABLE, Entry
from btcts.config.table import Setting
from btcts.config.textfile import PIPE_PATIENCE_S, read_text
from btcts.errors import ConfigError, did_you_mean
from btcts.system.causes import describe

PROJECT_FILE = "btcts.toml"


class ConfigFile(NamedTuple):
    """A file that is looked at; `name` is how origins and messages call it.

    It is `trusted` unless it is read only because it lies in the current folder.
    """

    path: Path
    name: str
    required: bool
    trusted: bool = True


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
        raise ConfigError(f"{file.name}: cannot be read ({describe(exc)})") from exc


def _parse(text: str, file: ConfigFile) -> dict[str, Any]:
    import tomllib

    try:
        return tomllib.loads(text)
    except ValueError as exc:
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
