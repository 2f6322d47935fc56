"""Readable descriptions of system and library errors: their own message, never a class name."""

import errno
from collections.abc import Iterator

from btcts.system.foreign import cite

UNKNOWN = "no reason was given"

LONGEST = 200
"""Maximum length of a library message, which may contain what a server sent."""

_NAME = "name it as its certificate does"

_CERTIFICATE_STEPS = {
    9: "set the clock right",
    10: "renew it, or set the clock right",
    62: _NAME,
    64: _NAME,
}
"""The X509_V_ERR codes of OpenSSL: not yet valid, expired, other host name, other address."""

NO_ROUTE = {errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EADDRNOTAVAIL}


def describe(exc: BaseException) -> str:
    """Return the message of a failure in lower case: that of the system if any, else the first of its causes."""
    causes = list(_walk_causes(exc))
    system = filter(None, map(_describe_system_failure, causes))
    texts = (cite(str(cause), LONGEST).lower().rstrip(".") for cause in causes)
    return next(system, None) or next(filter(None, texts), UNKNOWN)


def classify(exc: BaseException) -> str | None:
    """Return the code of a failure that servers can share (names, certificate, route, refused), or None."""
    import socket  # both are slow to import, and only failures need them
    import ssl

    for cause in _walk_causes(exc):
        if isinstance(cause, socket.gaierror | UnicodeError):
            return "names"
        if isinstance(cause, ssl.SSLCertVerificationError):
            return "certificate"
        if isinstance(cause, ConnectionRefusedError):
            return "refused"
        if isinstance(cause, OSError) and cause.errno in NO_ROUTE:
            return "route"
    return None


def find_certificate_fault(exc: BaseException, authority: str = "SSL_CERT_FILE") -> str | None:
    """Return the fault of a refused certificate with the next step, or None if no certificate was refused.

    `authority` is the setting for the authorities that are trusted.
    """
    import ssl

    for cause in _walk_causes(exc):
        if isinstance(cause, ssl.SSLCertVerificationError):
            step = _CERTIFICATE_STEPS.get(cause.verify_code, f"put the certificate of its authority into {authority}")
            return f"is not trusted ({cite(cause.verify_message).rstrip('.').lower()}); {step}"
    return None


def _walk_causes(exc: BaseException) -> Iterator[BaseException]:
    """Yield the exception and its causes, the root cause last."""
    cause: BaseException | None = exc
    seen: set[int] = set()
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        yield cause
        cause = cause.__cause__ or cause.__context__


def _describe_system_failure(exc: BaseException) -> str | None:
    import ssl

    if isinstance(exc, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {cite(exc.verify_message)}"
    if isinstance(exc, ssl.SSLError):
        return f"no TLS with it: {cite(exc.reason or '').replace('_', ' ')}".lower() if exc.reason else None
    if isinstance(exc, OSError):
        return exc.strerror[:1].lower() + exc.strerror[1:] if exc.strerror else None
    return "not a valid host name" if isinstance(exc, UnicodeError) else None
