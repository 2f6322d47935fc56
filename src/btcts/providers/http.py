"""HTTP: one complete reply in time, or the reason for its lack; no redirects, no cookies, no decompression bombs."""

import re
import time
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cached_property
from typing import Any, Self

from btcts import __version__
from btcts.domain.untrusted import END_MS, GENESIS_MS
from btcts.providers.addresses import Address, parse_url
from btcts.providers.base import decode_json, quote_line
from btcts.providers.connections import Connections, Header, Unanswered
from btcts.system.sockets import Dialer

MAX_BODY = 1_000_000
"""Most bytes of an unpacked body; a day of candles is about 100 kB."""

PIECE = 65_536
"""Most bytes decompressed at once."""

MOST_VALUES, MOST_ROWS = 100_000, 20_000
"""Most commas, and most lists and objects, of an answer: a page of 10 000 candles has 60 000 and 10 000."""

USER_AGENT: Header = (b"User-Agent", f"btcts/{__version__}".encode())

_HEADERS = (
    USER_AGENT,
    (b"Accept", b"application/json"),
    (b"Accept-Encoding", b"gzip"),
)

_AGE_LENGTH = 9
"""Most digits of an Age header."""

_DATE_LENGTH = 64
"""Most characters of a date header."""

_SECONDS = re.compile(r"([0-9]{1,9})[0-9]*(?:[.,]|$)")
"""A wait in seconds; some servers add a fraction, or send the header twice."""


@dataclass(frozen=True)
class Reply:
    """A response of a server, whatever its status; the names of its headers are in lower case."""

    where: Address
    status: int
    headers: Mapping[str, str]
    body: bytes = b""

    @cached_property
    def made_ms(self) -> int | None:
        """The time of its Date header, when the server produced it; None for one that cannot be meant."""
        date_ms = _parse_http_date(self.headers.get("date", ""))
        return date_ms if date_ms is not None and GENESIS_MS <= date_ms < END_MS else None

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
        """The JSON of the body, by `decode_json`.

        Raises:
            ValueError: it is not JSON, or has too many values.
        """
        if self.body.count(b",") > MOST_VALUES or self.body.count(b"[") + self.body.count(b"{") > MOST_ROWS:
            raise ValueError("too many values")
        return decode_json(self.body)

    def quote_body(self) -> str:
        """Return the beginning of the body in one line, without markup."""
        return quote_line(self.body) or "an empty answer"

    def quote_location(self) -> str:
        """Return the target of a redirect in one line."""
        return quote_line(self.headers.get("location", "").encode()) or "no address"

    def read_retry_after(self, now_ms: int) -> int | None:
        """Return the wait in ms that the headers ask for; None without one."""
        value = self.headers.get("retry-after", "")
        if seconds := _SECONDS.match(value):
            return int(seconds[1]) * 1000
        until_ms = _parse_http_date(value) or _parse_reset_ms(self.headers.get("x-ratelimit-reset", ""))
        return None if until_ms is None else until_ms - now_ms


class Client:
    """Sends requests over kept connections; it honours the proxies of the environment and SSL_CERT_FILE.

    Raises:
        ConfigError: the environment names an unusable proxy for one of the `urls`, or unusable certificates.
    """

    def __init__(self, *urls: str | Address, dialer: Dialer | None = None) -> None:
        self._connections = Connections(dialer or Dialer())
        for url in urls:
            with suppress(ValueError):  # reported when it is requested
                self._connections.choose(parse_url(url) if isinstance(url, str) else url)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._connections.close()

    def get(self, address: Address, secrets: Mapping[str, str] | None = None, *, timeout_s: float) -> Reply:
        """GET an address, with `secrets` as further headers.

        A request is sent once more if the server has closed the kept connection that it went over.

        Raises:
            Unanswered: there was no complete reply in time.
        """
        until = time.monotonic() + timeout_s
        headers = [*_HEADERS, *((name.encode(), value.encode()) for name, value in (secrets or {}).items())]
        try:
            return self._exchange("GET", address, headers, until=until)
        except Unanswered as exc:
            if not exc.lost:
                raise
        return self._exchange("GET", address, headers, until=until)

    def post(self, address: Address, document: str, *, timeout_s: float) -> Reply:
        """POST a JSON document; the body of the reply is not read.

        Raises:
            Unanswered: there was no reply in time.
        """
        headers = [*_HEADERS, (b"Content-Type", b"application/json")]
        return self._exchange("POST", address, headers, document.encode(), until=time.monotonic() + timeout_s)

    def _exchange(
        self, method: str, address: Address, headers: list[Header], content: bytes | None = None, *, until: float
    ) -> Reply:
        if self._connections.closed:
            raise RuntimeError("the client is closed")
        body = bytearray()
        with self._connections.send(method, address, headers, content, until=until) as response:
            told = decode_headers(response.headers)
            if content is None:
                _read(_unpack(response.iter_stream(), told.get("content-encoding", "").lower()), body)
        return Reply(address, response.status, told, bytes(body))


def decode_headers(raw: Iterable[Header]) -> dict[str, str]:
    """Return the headers by name in lower case; those that were sent more than once are joined."""
    headers: dict[str, str] = {}
    for name, value in raw:
        key, text = name.decode("ascii").lower(), value.decode("latin-1")
        headers[key] = f"{headers[key]}, {text}" if key in headers else text
    return headers


def _read(chunks: Iterable[bytes], body: bytearray) -> None:
    for chunk in chunks:
        body += chunk
        if len(body) > MAX_BODY:
            raise Unanswered(f"more than {MAX_BODY} bytes")


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
