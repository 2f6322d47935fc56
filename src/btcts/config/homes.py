"""What is said where the home of the user, or the current folder, is missing."""

from collections.abc import Iterator
from contextlib import contextmanager

from btcts.errors import ConfigError


@contextmanager
def explained() -> Iterator[None]:
    """Let the lack of a folder that paths count from be a `ConfigError`."""
    try:
        yield
    except RuntimeError as exc:  # from expanduser, and from platformdirs
        raise ConfigError(f"{str(exc).rstrip('.').lower()}; set HOME, or write the path in full") from exc
    except FileNotFoundError as exc:  # from Path.cwd
        raise ConfigError("the current folder does not exist any more; change to another one") from exc
