"""Requests that no browser sends, by their seed, and what a server may answer to them.

`judge` sends each over a connection of its own and notes what may not be: a status that tells of a failure of ours, an
answer more than was asked for, an answer that is none, a secret.
"""

import random
import re
import socket
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import NamedTuple

ALLOWED = {200, 400, 401, 404, 405, 421}
MOST_BYTES = 1 << 20
LIMIT_S = 0.3
"""The longest wait for more of an answer; a stream of events never ends."""

STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) ")

METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PRI", "get", "GE T", "", "G\0T", "É")
PATHS = (
    *("/", "/events", "/health", "/metrics", "/api/price", "/api/show", "/api/show/minute", "/api/status", "/page.js"),
    *("*", "//", "/../../etc/passwd", "/%2e%2e/%2e%2e/app.py", "/api/show/%00", "/api/show/%0d%0aSet-Cookie:x", "/%ff"),
    *(
        "/api/show/" + "9" * 300,
        "/" + "a/" * 4000,
        "http://localhost/",
        "http://evil.example/api/price",
        "localhost:80",
    ),
    *("/api/price?" + "x=1&" * 2000, "/api/price#x", "/api\\price", "/api/show/${jndi:ldap://x}", "/\x00", "/é", ""),
    *("/api/show/%E2%80%AE", "/API/PRICE", "/api/price/", "/%", "/%zz", "/%25%32%65", "/api/show/minute%2f..", "/;a=b"),
)
VERSIONS = ("HTTP/1.1",) * 6 + ("HTTP/1.0", "HTTP/0.9", "HTTP/2.0", "HTTP/1.9", "HTTP/11", "http/1.1", "", "FTP/1.1")
HOSTS = (
    *("Host: localhost",) * 8,
    *("Host: evil.example", "Host:", "Host: [", "Host: a@localhost", "Host: localhost:99999999", "Host: loc\0alhost"),
    *("Host: localhost\r\nHost: evil.example", "Host : localhost", " Host: localhost", "", "hOsT:localhost"),
)
HEADERS = (
    *(
        "Connection: close",
        "Connection: keep-alive",
        "Connection: Upgrade\r\nUpgrade: websocket",
        "Expect: 100-continue",
    ),
    *("Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__", "Upgrade: websocket"),
    *(
        "Authorization: Basic ////",
        "Authorization: Bearer",
        "Authorization: Basic " + "A" * 5000,
        "Authorization: \x80",
    ),
    *(
        "Content-Length: 5",
        "Content-Length: -1",
        "Content-Length: +5",
        "Content-Length: 0x5",
        "Content-Length: 99999999999",
    ),
    *("Content-Length: 5\r\nContent-Length: 6", "Content-Length: 5, 5", "Transfer-Encoding: chunked"),
    *("Transfer-Encoding: identity", "Transfer-Encoding: chunked, chunked", "Transfer-Encoding:\x0bchunked"),
    *("Content-Length: 5\r\nTransfer-Encoding: chunked", "Transfer-Encoding: xchunked", "Range: bytes=0-1,2-3,-1"),
    *(
        "Cookie: " + "x" * 9000,
        "X: " + "y" * 20_000,
        "Origin: null",
        "Origin: https://evil.example",
        "X-Forwarded-For: ::1",
    ),
    *(
        "X: a\r\n b",
        "X\x00: a",
        "X: a\x00",
        ": a",
        "X",
        "X: \xff\xfe",
        "Accept: " + "*/*," * 3000,
        "X-Forwarded-Host: evil",
    ),
    *(
        "If-None-Match: *",
        "If-Modified-Since: yesterday",
        "Accept-Encoding: gzip;q=nan",
        "Sec-WebSocket-Key: x",
        "TE: x",
    ),
)
BODIES = (
    "",
    "",
    "",
    "hello",
    "5\r\nhello\r\n0\r\n\r\n",
    "zz\r\n",
    "ffffffffffffffff\r\nx",
    "0\r\n\r\nGET /x HTTP/1.1\r\n\r\n",
)
BYTES = tuple(bytes([number]) for number in range(256))


class OddRequest(NamedTuple):
    """Parcels to send, one after the other; then the client goes on, `hangs_up` or says that it is done."""

    parcels: Sequence[bytes]
    heads: int
    hangs_up: bool
    done: bool


def make_request(seed: int, token: str) -> OddRequest:
    """Return the request of that number; some bring the token."""
    draw = random.Random(seed)
    if draw.random() < 0.05:
        sent, heads = b"".join(draw.choices(BYTES, k=draw.choice((1, 10, 20_000)))), 1
    else:
        heads = draw.choice((1, 1, 1, 1, 2, 5, 50))
        sent = b"".join(_make_head(draw, token) for _ in range(heads))
    if draw.random() < 0.05:
        place = draw.randrange(len(sent) + 1)
        sent = sent[:place] + draw.choice(BYTES) + sent[place + draw.randrange(3) :]
    if draw.random() < 0.05:
        sent = sent[: draw.randrange(len(sent) + 1)]
    if draw.random() < 0.1:
        sent = sent.replace(b"\r\n", b"\n")
    cuts = sorted(draw.randrange(len(sent) + 1) for _ in range(draw.choice((0, 0, 0, 1, 3))))
    parcels = [sent[start:end] for start, end in zip([0, *cuts], [*cuts, len(sent)], strict=True)]
    return OddRequest(parcels, sent.count(b"HTTP/"), draw.random() < 0.1, draw.random() < 0.7)


def _make_head(draw: random.Random, token: str) -> bytes:
    rights = [f"Authorization: Bearer {token}"] if draw.random() < 0.6 else []
    usual = draw.random() < 0.7
    line = f"GET {draw.choice(PATHS[:9])} HTTP/1.1" if usual else " ".join(map(draw.choice, (METHODS, PATHS, VERSIONS)))
    lines = [line, draw.choice(HOSTS), *rights, *draw.choices(HEADERS, k=draw.choice((0, 0, 0, 1, 1, 3)))]
    return ("\r\n".join(filter(None, lines)) + "\r\n\r\n" + draw.choice(BODIES)).encode("latin-1")


def send(request: OddRequest, place: tuple[str, int]) -> bytes:
    """Send it, and return what comes until the other side has nothing more to say."""
    with socket.create_connection(place) as connection:
        connection.settimeout(LIMIT_S)
        answer = bytearray()
        with suppress(OSError):
            for parcel in request.parcels:
                connection.sendall(parcel)
            if request.hangs_up:
                return b""
            if request.done:
                connection.shutdown(socket.SHUT_WR)
            while len(answer) < MOST_BYTES and (part := connection.recv(1 << 16)):
                answer += part
        return bytes(answer)


@dataclass
class Judged:
    """How many answers had each status, and what may not be."""

    statuses: Counter[int] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)


def judge(seeds: Iterable[int], place: tuple[str, int], token: str, secrets: Sequence[str], *, jobs: int = 8) -> Judged:
    """Send all of them, several at a time, and judge the answers."""
    judged = Judged()

    def answer_to(seed: int) -> tuple[int, OddRequest, bytes]:
        request = make_request(seed, token)
        return seed, request, send(request, place)

    with ThreadPoolExecutor(jobs) as pool:
        for seed, request, answer in pool.map(answer_to, seeds):
            statuses = [int(status) for status in STATUS.findall(answer) if status != b"100"]  # asked for by Expect
            judged.statuses.update(statuses or [0])
            judged.problems += [f"{seed}: {why}" for why in find_faults(request, answer, statuses, secrets)]
    return judged


def find_faults(request: OddRequest, answer: bytes, statuses: Sequence[int], secrets: Sequence[str]) -> list[str]:
    """Return what is wrong with an answer."""
    faults = [f"status {status}" for status in statuses if status not in ALLOWED]
    faults += [f"gives away {secret[:4]}..." for secret in secrets if secret.encode() in answer]
    if answer and not answer.startswith(b"HTTP/1.1 "):
        faults.append(f"no answer of HTTP: {answer[:20]!r}")
    if sum(status != 400 for status in statuses) > request.heads or statuses.count(400) > 1:
        faults.append(f"{len(statuses)} answers to {request.heads} requests")
    return faults
