"""The authorities to trust: those of SSL_CERT_FILE or SSL_CERT_DIR, or else of certifi."""

import os
import ssl
from functools import cache
from pathlib import Path

import certifi

from btcts.errors import ConfigError
from btcts.system.causes import describe

_TLS_VARIABLES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "SSLKEYLOGFILE")
"""The variables that `load_trust` and `ssl.create_default_context` read."""


def load_trust() -> ssl.SSLContext:
    """Return the TLS settings with the authorities to trust.

    Clients and streams share them: the authorities take 20 ms to read.

    Raises:
        ConfigError: a variable names nothing usable.
    """
    for name in _TLS_VARIABLES:
        if Path(os.environ.get(name, "")).is_fifo():
            raise ConfigError(f"{name} cannot be used (it names a pipe); correct or unset it")
    try:
        return _create_context(*map(os.environ.get, _TLS_VARIABLES))
    except (OSError, ValueError) as exc:
        named = " or ".join(name for name in _TLS_VARIABLES if os.environ.get(name)) or "the list of authorities"
        reason = describe(exc) if isinstance(exc, OSError) and exc.strerror else "no certificates in it"
        raise ConfigError(f"{named} cannot be used ({reason}); correct or unset it") from exc


@cache
def _create_context(file: str | None, folder: str | None, _log: str | None) -> ssl.SSLContext:
    if folder and not file:
        return ssl.create_default_context(capath=folder)
    return ssl.create_default_context(cafile=file or certifi.where())
