"""One WebSocket: opened like any request to a provider, by the same proxies, certificates and addresses.

`websockets` makes the handshake and the frames; its own connections would dial, trust and tunnel differently.
"""

import logging
import ssl
import time
from collections.abc import Callable
from contextlib import suppress

import httpcore
from websockets.client import ClientProtocol
from websockets.datastructures import Headers
from websockets.exceptions import InvalidHandshake, PayloadTooBig
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory
from websockets.frames import CloseCode, Frame, Opcode
from websockets.http11 import Response
from websockets.protocol import Protocol, State
from websockets.uri import WebSocketURI

from btcts.domain.codes import StreamCode
from btcts.providers.addresses import Address, parse_url
from btcts.providers.api import LONGEST_WAITS_MS
from btcts.providers.base import quote_line
from btcts.providers.connections import LARGEST_HEAD, SLOW, SWITCHED, Connections, Unanswered, limit_steps
from btcts.providers.http import USER_AGENT, Reply, decode_headers

LARGEST_MESSAGE = 1_048_576
"""Most bytes of a message; unpacking ends there, so that a small compressed one cannot fill the memory."""

SEND_WITHIN_S = 2.0

_SHOWN = 1024
"""Bytes of the body of a refusal that are read to quote it."""

_MUTE = logging.Logger("streams", logging.CRITICAL + 1)
"""All failures are raised here."""


class ConnectionEnded(Exception):
    """A connection could not be opened, or has ended; the server may want no other for `wait_s`."""

    def __init__(self, why: str, code: str, *, wait_s: float = 0.0) -> None:
        super().__init__(why)
        self.why = why
        self.code = code
        self.wait_s = wait_s


def parse_stream_url(url: str) -> Address:
    """Return the address of a ws:// or wss:// URL, as the request that opens the stream is sent to it.

    Raises:
        ValueError: it is malformed.
    """
    return parse_url(f"http{url[2:]}")


def open_connection(
    connections: Connections, address: Address, *, timeout_s: float, now_ms: Callable[[], int]
) -> "Connection":
    """Open a connection within the timeout.

    Raises:
        ConnectionEnded: the server could not be reached or refuses.
    """
    uri = WebSocketURI(address.scheme == "https", address.host, address.find_port(), address.path, "")
    packing = ClientPerMessageDeflateFactory(compress_settings={"memLevel": 1})  # what we send is short
    handshake = ClientProtocol(uri, extensions=[packing], logger=_MUTE)
    asked = [(name.encode(), value.encode()) for name, value in handshake.connect().headers.raw_items()]
    headers = [USER_AGENT, *(header for header in asked if header[0] != b"Host")]
    body = b""
    try:
        with connections.send("GET", address, headers, None, until=time.monotonic() + timeout_s) as response:
            for chunk in response.iter_stream() if response.status != SWITCHED else ():
                body += chunk
                if len(body) >= _SHOWN:
                    break
    except Unanswered as exc:
        why = f"no complete answer within {timeout_s:g} s" if exc.code == SLOW else exc.why
        raise ConnectionEnded(f"no stream from {_name(address)} ({why})", exc.code or StreamCode.FAILED) from exc
    if response.status != SWITCHED:
        response.extensions["network_stream"].close()  # the server may close it before the next attempt
        raise _build_refusal(Reply(address, response.status, decode_headers(response.headers), body[:_SHOWN]), now_ms())
    try:
        handshake.process_response(_convert(response))
    except InvalidHandshake as exc:
        response.close()
        why = f"no stream from {_name(address)} (its answer is not that of a WebSocket)"
        raise ConnectionEnded(why, StreamCode.UNREADABLE) from exc
    return Connection(response, handshake)


def _name(address: Address) -> str:
    """Return the address as it stands in the settings."""
    return f"ws{str(address).removeprefix('http')}"


def _build_refusal(reply: Reply, now_ms: int) -> ConnectionEnded:
    asked_ms = reply.read_retry_after(reply.date_ms or now_ms) or 0
    wait_ms = min(asked_ms, LONGEST_WAITS_MS.get(reply.status, 0))
    why = f"no stream from {_name(reply.where)} (HTTP {reply.status}: {reply.quote_body()})"
    return ConnectionEnded(why, StreamCode.REJECTED, wait_s=max(0, wait_ms) / 1000)


def _convert(response: httpcore.Response) -> Response:
    headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in response.headers]
    return Response(response.status, "", Headers(headers))


class Connection:
    """An open connection, used by one thread at a time."""

    def __init__(self, response: httpcore.Response, handshake: ClientProtocol) -> None:
        self._response = response
        self._stream: httpcore.NetworkStream = response.extensions["network_stream"]
        self._protocol: Protocol = ClientProtocol(
            handshake.uri, state=State.OPEN, max_size=LARGEST_MESSAGE, logger=_MUTE
        )
        self._protocol.extensions = handshake.extensions
        self._message = bytearray()
        self._failure = ""

    def send(self, message: str) -> None:
        """Send a message.

        Raises:
            ConnectionEnded: the connection has ended.
        """
        self._check()
        self._protocol.send_text(message.encode())
        self._flush()
        self._check()

    def receive(self, within_s: float) -> list[str]:
        """Return the next messages that have come together; none if none comes in time.

        Bytes that are not UTF-8 are replaced.

        Raises:
            ConnectionEnded: the connection has ended.
        """
        self._check()
        try:
            with limit_steps(within_s):
                data = self._stream.read(LARGEST_HEAD)
        except Unanswered as exc:
            if exc.code != SLOW:
                self._failure = f"the connection was lost ({exc.why})"
            return []
        self._protocol.receive_data(data) if data else self._protocol.receive_eof()
        messages = [message for frame in self._protocol.events_received() if (message := self._join(frame)) is not None]
        self._flush()
        return messages

    def has_more(self) -> bool:
        """Tell whether more may have come already; a tunnel through an HTTPS proxy never tells."""
        tls = self._stream.get_extra_info("ssl_object")
        if tls is not None and (isinstance(tls, ssl.SSLObject) or tls.pending()):
            return True
        return bool(self._stream.get_extra_info("is_readable"))

    def close(self) -> None:
        """Close the connection, with a close frame if that takes no time."""
        if self._protocol.state is State.OPEN and not self._failure:
            self._protocol.send_close(CloseCode.NORMAL_CLOSURE)
            self._flush(within_s=0.1)
        with suppress(OSError):
            self._stream.close()
        self._response.close()

    def _join(self, frame: object) -> str | None:
        if not isinstance(frame, Frame) or frame.opcode not in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
            return None
        self._message += frame.data
        if not frame.fin:
            return None
        text = self._message.decode(errors="replace")
        self._message = bytearray()
        return text

    def _flush(self, within_s: float = SEND_WITHIN_S) -> None:
        """Send what is to be sent, the answers to pings included."""
        if not (waiting := self._protocol.data_to_send()):
            return
        try:
            with limit_steps(within_s):
                for data in filter(None, waiting):
                    self._stream.write(data)
        except Unanswered as exc:
            self._failure = "it takes no messages" if exc.code == SLOW else f"the connection was lost ({exc.why})"

    def _check(self) -> None:
        if self._failure or self._protocol.state is not State.OPEN:
            raise ConnectionEnded(self._failure, StreamCode.CLOSED) if self._failure else _explain_end(self._protocol)


def _explain_end(protocol: Protocol) -> ConnectionEnded:
    closing = protocol.close_rcvd
    if closing:
        words = quote_line(f"{int(closing.code)} {closing.reason}".encode())
        return ConnectionEnded(f"closed by the server ({words})", StreamCode.CLOSED)
    match protocol.parser_exc:
        case PayloadTooBig():
            return ConnectionEnded(f"a message of more than {LARGEST_MESSAGE} bytes", StreamCode.UNREADABLE)
        case EOFError():
            return ConnectionEnded("the server closed the connection", StreamCode.CLOSED)
    return ConnectionEnded("the server broke the rules of WebSocket", StreamCode.UNREADABLE)
