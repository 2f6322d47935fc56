"""The gate before the answers: it turns away other hosts (DNS rebinding), other methods and strangers."""

import hmac
from base64 import b64decode
from binascii import Error as NotBase64
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

METHODS = ("GET", "HEAD")

LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
"""The names of this machine that mean the same everywhere: no other site can be reached by them."""

SECURITY: Mapping[str, str] = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


@dataclass(frozen=True)
class Gate:
    """Passes permitted requests on, and adds the same security headers to every answer.

    Further `hosts` are those by which readers name this server, besides its address. With a `token` every request has
    to bring it, as a bearer token or as the password that a browser asks for. Pages of `origins` may read the answers.
    """

    app: ASGIApp
    hosts: frozenset[str] = frozenset()
    token: str | None = None
    origins: frozenset[str] = frozenset()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        headers = Headers(scope=scope)
        added = {**SECURITY, **self._permit(headers.get("origin", ""))}

        async def send_safely(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(added)
            await send(message)

        await (self._refuse(scope, headers) or self.app)(scope, receive, send_safely)

    def _permit(self, origin: str) -> dict[str, str]:
        if not self.origins:
            return {"Cross-Origin-Resource-Policy": "same-origin"}
        return {"Vary": "Origin"} | ({"Access-Control-Allow-Origin": origin} if origin in self.origins else {})

    def _refuse(self, scope: Scope, headers: Headers) -> Response | None:
        host = parse_host(headers.get("host", ""))
        ours = LOCAL_NAMES | self.hosts | {str(scope["server"][0])}
        if host not in ours:
            return PlainTextResponse("this is not the host that was asked for; see btcts serve --host", 421)
        if scope["method"] not in METHODS:
            return PlainTextResponse("only GET and HEAD are answered", 405, {"Allow": ", ".join(METHODS)})
        if self.token is not None and not hmac.compare_digest(_find_token(headers), self.token.encode()):
            challenge = 'Basic realm="btcts", Bearer realm="btcts"'
            return PlainTextResponse("the token is missing or wrong", 401, {"WWW-Authenticate": challenge})
        return None


def parse_host(text: str) -> str:
    """Return the host of a Host header in lower case, without port and brackets; empty when it is none."""
    try:
        return urlsplit(f"//{text}").hostname or ""
    except ValueError:
        return ""


def _find_token(headers: Headers) -> bytes:
    """Return the token of a request: that of a bearer, or the password of any user."""
    scheme, _, given = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return given.strip().encode()
    if scheme.lower() == "basic":
        try:
            return b64decode(given).partition(b":")[2]
        except (NotBase64, ValueError):
            return b""
    return b""
