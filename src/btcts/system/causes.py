"""The words for a failure of the system or of a library: what it says, never the name of a class."""

import errno
from collections.abc import Iterator

from btcts.system.foreign import cite

UNKNOWN = "no reason was given"

LONGEST = 200
"""Characters of a text that a library made of what a server sent."""

_NAME = "name it as its certificate does"

_CERTIFICATE_STEPS = {
    9: "set the clock right",
    10: "renew it, or set the clock right",
    62: _NAME,
    64: _NAME,
}
"""By the X509_V_ERR codes of OpenSSL: not yet valid, expired, another host name, another address."""

NO_ROUTE = {errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EADDRNOTAVAIL}


def describe(exc: BaseException) -> str:
    """Return why it failed, in lower case: what the system said, else the first text among its causes."""
    causes = list(_walk_causes(exc))
    system = filter(None, map(_describe_system_failure, causes))
    texts = (cite(str(cause), LONGEST).lower().rstrip(".") for cause in causes)
    return next(system, None) or next(filter(None, texts), UNKNOWN)


def classify(exc: BaseException) -> str | None:
    """Return the code of a failure that many servers can share: names, certificate, route, refused; None for others."""
    import socket  # both are costly, and needed for failures alone
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


def find_certificate_fault(exc: BaseException) -> str | None:
    """Return what is wrong with the certificate that was refused, with the next step; None where none was."""
    import ssl

    for cause in _walk_causes(exc):
        if isinstance(cause, ssl.SSLCertVerificationError):
            step = _CERTIFICATE_STEPS.get(cause.verify_code, "put the certificate of its authority into SSL_CERT_FILE")
            return f"is not trusted ({cite(cause.verify_message).rstrip('.').lower()}); {step}"
    return None


def _walk_causes(exc: BaseException) -> Iterator[BaseException]:
    """The exception and what caused it, the cause of all last."""
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
