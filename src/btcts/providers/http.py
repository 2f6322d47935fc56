"""HTTP: one complete reply, in time, or the reason in one line; no redirects, no cookies, no decompression bombs."""

import json
import re
import time
import zlib
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cached_property
from typing import Any, Self

import httpcore

from btcts import __version__
from btcts.providers.addresses import Address, Proxy, parse_url
from btcts.providers.base import read_float, read_whole
from btcts.providers.connections import Attempt, Connections
from btcts.system.causes import classify, describe
from btcts.system.foreign import cite
from btcts.system.sockets import Dialer

MAX_BODY = 1_000_000
"""Most bytes of an unpacked body; a day of candles is about 100 kB."""

PIECE = 65_536
"""Most bytes decompressed at once."""

MOST_VALUES, MOST_ROWS = 100_000, 20_000
"""Most commas, and most lists and objects, of an answer: a page of 10 000 candles has 60 000 and 10 000."""

SLOW = "slow"
"""The code of a failure to answer in time."""

_HEADERS = (
    (b"User-Agent", f"btcts/{__version__}".encode()),
    (b"Accept", b"application/json"),
    (b"Accept-Encoding", b"gzip"),
)

_SHOWN = 80
"""Characters of a bad answer that an error shows."""

_READ = 1024
"""Bytes of it that are searched for secrets: many times as many, since an escaped key is long."""

_AGE_LENGTH = 9
"""Most digits of an Age header."""

_DATE_LENGTH = 64
"""Most characters of a date header."""

_ERRNO = re.compile(r"^\[Errno -?\d+\] ")

_LOST = (httpcore.ReadError, httpcore.WriteError, httpcore.RemoteProtocolError)
"""The failures of a kept connection that the server has closed meanwhile."""


class Unanswered(Exception):
    """No usable reply has come; `code` is one of docs/codes.md where the failure may affect other addresses too."""

    def __init__(self, why: str, code: str = "") -> None:
        super().__init__(why)
        self.why = why
        self.code = code


@dataclass(frozen=True)
class Reply:
    """A response of a server, whatever its status; the names of its headers are in lower case."""

    where: Address
    status: int
    headers: Mapping[str, str]
    body: bytes = b""

    @cached_property
    def made_ms(self) -> int | None:
        """The time of its Date header, when the server produced it."""
        return _parse_http_date(self.headers.get("date", ""))

    @property
    def age_ms(self) -> int:
        """Its time in a cache, by the Age header (RFC 9111, section 5.1); 0 for a fresh response."""
        age = self.headers.get("age", "").strip()
        return int(age) * 1000 if age.isdecimal() and len(age) <= _AGE_LENGTH else 0

    @property
    def date_ms(self) -> int | None:
        """The server's time on arrival."""
        return None if self.made_ms is None else self.made_ms + self.age_ms

    @cached_property
    def payload(self) -> Any:
        """The JSON of the body; NaN and Infinity become their text.

        Raises:
            ValueError: it is not JSON.
        """
        if self.body.count(b",") > MOST_VALUES or self.body.count(b"[") + self.body.count(b"{") > MOST_ROWS:
            raise ValueError("too many values")
        try:
            return json.loads(self.body, parse_float=read_float, parse_int=read_whole, parse_constant=str)
        except RecursionError as exc:
            raise ValueError("nested too deeply") from exc

    def quote_body(self) -> str:
        """Return the beginning of the body in one line, without markup."""
        return _quote_line(self.body) or "an empty answer"

    def quote_location(self) -> str:
        """Return the target of a redirect in one line."""
        return _quote_line(self.headers.get("location", "").encode()) or "no address"

    def read_retry_after(self, now_ms: int) -> int | None:
        """Return the wait in ms that the headers ask for; None without one."""
        value = self.headers.get("retry-after", "")
        if value.isdecimal():
            return int(value[:9]) * 1000
        until_ms = _parse_http_date(value) or _parse_reset_ms(self.headers.get("x-ratelimit-reset", ""))
        return None if until_ms is None else until_ms - now_ms


class Client:
    """Sends requests over kept connections; it honours the proxies of the environment and SSL_CERT_FILE.

    Raises:
        ConfigError: the environment names an unusable proxy for one of the `urls`, or unusable certificates.
    """

    def __init__(self, *urls: str | Address, dialer: Dialer | None = None) -> None:
        self._connections = Connections(dialer or Dialer())
        self._closed = False
        for url in urls:
            with suppress(ValueError):  # reported when it is requested
                self._connections.choose(parse_url(url) if isinstance(url, str) else url)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._closed = True
        self._connections.close()

    def get(self, address: Address, secrets: Mapping[str, str] | None = None, *, timeout_s: float) -> Reply:
        """GET an address, with `secrets` as further headers.

        A request that met a kept connection which the server was about to close is sent once more.

        Raises:
            Unanswered: there was no complete reply in time.
        """
        attempt = Attempt(time.monotonic() + timeout_s)
        request = self._build_request("GET", address, secrets or {}, b"")
        try:
            return self._exchange(request, address, attempt, whole=True)
        except Unanswered as exc:
            if attempt.opened or not isinstance(exc.__cause__, _LOST):
                raise
        return self._exchange(request, address, attempt, whole=True)

    def post(self, address: Address, document: str, *, timeout_s: float) -> Reply:
        """POST a JSON document; the body of the reply is not read.

        Raises:
            Unanswered: there was no reply in time.
        """
        attempt = Attempt(time.monotonic() + timeout_s)
        request = self._build_request("POST", address, {"Content-Type": "application/json"}, document.encode())
        return self._exchange(request, address, attempt, whole=False)

    def _build_request(
        self, method: str, address: Address, more: Mapping[str, str], content: bytes
    ) -> httpcore.Request:
        headers = [(b"Host", address.place.encode()), *_HEADERS]
        headers += [(name.encode(), value.encode()) for name, value in more.items()]
        if address.login:
            login = ":".join(address.login).encode()
            headers.append((b"Authorization", b"Basic " + b64encode(login)))
        if content:
            headers.append((b"Content-Length", str(len(content)).encode()))
        url = httpcore.URL(scheme=address.scheme, host=address.host, port=address.port, target=address.target)
        return httpcore.Request(method, url, headers=headers, content=content)

    def _exchange(self, request: httpcore.Request, address: Address, attempt: Attempt, *, whole: bool) -> Reply:
        if self._closed:
            raise RuntimeError("the client is closed")
        proxy = self._connections.choose(address)
        try:
            with self._connections.send(request, proxy, attempt) as response:
                headers = _read_headers(response.headers)
                packing = headers.get("content-encoding", "").lower()
                body = _join(_unpack(response.iter_stream(), packing)) if whole else b""
        except Unanswered:
            raise
        except Exception as exc:
            failure = _explain(exc, proxy)
            if failure is None:
                raise
            raise failure from exc
        return Reply(address, response.status, headers, body)


def _read_headers(raw: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for name, value in raw:
        key, text = name.decode("ascii").lower(), value.decode("latin-1")
        headers[key] = f"{headers[key]}, {text}" if key in headers else text
    return headers


def _join(chunks: Iterable[bytes]) -> bytes:
    body = bytearray()
    for chunk in chunks:
        body += chunk
        if len(body) > MAX_BODY:
            raise Unanswered(f"more than {MAX_BODY} bytes")
    return bytes(body)


def _unpack(chunks: Iterable[bytes], packing: str) -> Iterator[bytes]:
    if packing in ("", "identity"):
        yield from chunks
        return
    if packing != "gzip":
        raise Unanswered("its body is compressed in a way that was not asked for")
    unpacker = zlib.decompressobj(16 + zlib.MAX_WBITS)  # with the header of gzip
    for chunk in chunks:
        while chunk and not unpacker.eof:
            try:
                yield unpacker.decompress(chunk, PIECE)
            except zlib.error:
                raise Unanswered("its body is not gzip") from None
            chunk = unpacker.unconsumed_tail
        if unpacker.unused_data or chunk:
            raise Unanswered("its body goes on after its end")
    if not unpacker.eof:
        raise Unanswered("its body ends too early")


def _explain(exc: Exception, proxy: Proxy | None) -> Unanswered | None:
    """Return the reason for the lack of a reply; None for a failure of another kind."""
    match exc:
        case httpcore.TimeoutException():
            return Unanswered("no answer in time", SLOW)
        case httpcore.ProxyError():
            return Unanswered(f"{proxy}: {cite(str(exc), _SHOWN).lower()}", "proxy")
        case httpcore.ConnectError() | UnicodeError():
            return Unanswered(_describe(exc), "proxy" if proxy else classify(exc) or "")
        case httpcore.NetworkError() | httpcore.ProtocolError() | httpcore.UnsupportedProtocol():
            return Unanswered(_describe(exc))
    # raised by httpcore and socksio for bad answers of a SOCKS proxy
    return Unanswered(f"{proxy} does not speak its protocol", "proxy") if proxy else None


def _describe(exc: Exception) -> str:
    """Describe the lack of a reply; some failures get a fixed text because theirs may contain a header."""
    match exc:
        case httpcore.RemoteProtocolError():
            return "the server closed the connection, or its answer is not HTTP"
        case httpcore.UnsupportedProtocol():
            return "the address is neither http nor https"
        case httpcore.LocalProtocolError():
            return "a header of the request has characters that are not allowed"
        case UnicodeError():
            return "that is not a valid host name"
        case httpcore.ConnectError() if "[SSL" in str(exc):
            return describe(exc)
    text = _ERRNO.sub("", str(exc))
    return _quote_line(f"{text[:1].lower()}{text[1:]}".encode()) or "the connection failed"


def _quote_line(text: bytes) -> str:
    """Return the beginning of a text from a server in one line, without markup and secrets."""
    line = cite(text[:_READ].decode(errors="replace"), _SHOWN)
    return "an HTML page" if line.startswith("<") else line


def _parse_http_date(value: str) -> int | None:
    if len(value) > _DATE_LENGTH:
        return None
    try:
        date = parsedate_to_datetime(value)
    except (ValueError, OverflowError, TypeError, IndexError):
        return None
    return int((date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() * 1000)


def _parse_reset_ms(value: str) -> int | None:
    """Parse CoinMarketCap's form of a time, `2026-01-02 15:04:05 -0700`."""
    try:
        return int(datetime.strptime(value, "%Y-%m-%d %H:%M:%S %z").timestamp() * 1000)
    except ValueError:
        return None
