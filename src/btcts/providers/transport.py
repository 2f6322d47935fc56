"""Responses made safe for httpx: it must not redirect, keep cookies or decompress on its own."""

import zlib
from collections.abc import Iterable, Iterator
from http.cookiejar import CookieJar

import httpx

LOCATION = "X-Redirect-Location"
"""The header that carries the target of a redirect."""

PACKING = "X-Packing"
"""The header that carries the original Content-Encoding."""

PIECE = 65_536
"""Most bytes decompressed at once."""


class GuardedTransport(httpx.BaseTransport):
    """A transport without redirects and without decompression bombs.

    httpx builds a request for a redirect even when it does not follow it, and fails on a location that is not an
    address, such as about:blank; and it decompresses every layer of a body without a limit.
    """

    def __init__(self, inner: httpx.BaseTransport) -> None:
        self._inner = inner

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send the request, and rename the headers that httpx would act on."""
        response = self._inner.handle_request(request)
        packing = response.headers.get("Content-Encoding", "")
        renamed = {b"location": LOCATION.encode(), b"content-encoding": PACKING.encode()}
        return httpx.Response(
            response.status_code,
            headers=[(renamed.get(name.lower(), name), value) for name, value in response.headers.raw],
            stream=_Body(response, packing.lower()),
            extensions=response.extensions,
        )

    def close(self) -> None:
        """Close all connections."""
        self._inner.close()


class _Body(httpx.SyncByteStream):
    """The body of a response, decompressed as it arrives."""

    def __init__(self, response: httpx.Response, packing: str) -> None:
        self._response = response
        self._packing = packing

    def __iter__(self) -> Iterator[bytes]:
        chunks = self._response.iter_raw()
        if self._packing in ("", "identity"):
            return chunks
        if self._packing == "gzip":
            return _unpack(chunks)
        raise httpx.DecodingError("its body is compressed in a way that was not asked for")

    def close(self) -> None:
        self._response.close()


def _unpack(chunks: Iterable[bytes]) -> Iterator[bytes]:
    unpacker = zlib.decompressobj(16 + zlib.MAX_WBITS)  # with the header of gzip
    for chunk in chunks:
        while chunk and not unpacker.eof:
            try:
                yield unpacker.decompress(chunk, PIECE)
            except zlib.error:
                raise httpx.DecodingError("its body is not gzip") from None
            chunk = unpacker.unconsumed_tail
        if unpacker.unused_data or chunk:
            raise httpx.DecodingError("its body goes on after its end")
    if not unpacker.eof:
        raise httpx.DecodingError("its body ends too early")


class NoCookies(CookieJar):
    """A cookie jar that stays empty."""

    def extract_cookies(self, response: object, request: object) -> None:
        """Store nothing."""
