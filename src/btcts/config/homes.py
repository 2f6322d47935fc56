"""Errors for a missing home or current folder."""

from collections.abc import Iterator
from contextlib import contextmanager

from btcts.errors import ConfigError


@contextmanager
def explain_missing_folders() -> Iterator[None]:
    """Turn a missing home or current folder into a `ConfigError`."""
    try:
        yield
    except RuntimeError as exc:  # from expanduser, and from platformdirs
        raise ConfigError(f"{str(exc).rstrip('.').lower()}; set HOME, or write the path in full") from exc
    except FileNotFoundError as exc:  # from Path.cwd
        raise ConfigError("the current folder does not exist any more; change to another one") from exc
