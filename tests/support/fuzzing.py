"""Answers of a server that nobody would send, drawn by number: any body, header, status, packing, redirect and framing.

`Fuzzer` answers the request for `/NUMBER/PROVIDER/...` with the answer of that number, which begins as the good one;
`judge` asks for it as a collector or a watch does, and says what is wrong with what comes of it.
"""

import gzip
import json
import random
import threading
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

from btcts.domain.model import LONGEST_WAIT_MS, Candles, Reading, is_price
from btcts.errors import ProviderError
from btcts.providers import Endpoint
from btcts.providers.addresses import parse_url
from btcts.providers.http import Client
from btcts.providers.poller import Poller
from btcts.services.watch.webhook import Webhook
from providers.opening import ASKED, CLOSED_MS, HOUR, NOW_MS, provider_at
from support.clocks import FakeClock
from support.exchanges import Exchanges, Request, SimulatedMarket
from support.raw_server import Raw, RawServer

TARGETS = (*ASKED, ("webhook", "post"))

TIMEOUT_S = 0.25
"""Of a request; a call of CoinMarketCap makes two, one of the others for an hour of candles one."""

LATE_S = 2.0
"""How much longer a call may take on a busy machine, which also has to read a megabyte of JSON."""

LONGEST_LINE = 400

HARMFUL = [
    *["1e300000000", "-1e300000000", "1e-300000000", "0e999999999", "9" * 4000, "0." + "1" * 5000, "1e400", "-0.0"],
    *[
        "NaN",
        "-Infinity",
        "null",
        "true",
        "[]",
        "{}",
        '""',
        '"1e300000000"',
        '"\\u0000\\u001b[31m\\ud800"',
        '"\\u202e"',
    ],
    *[
        "[" * 400 + "]" * 400,
        '{"a":' * 300 + "1" + "}" * 300,
        '"' + "x" * 50_000 + '"',
        "-1",
        "0",
        "1e-9",
        "99999999999",
    ],
    *['"1_000"', '" 5"', '"2026-01-01"', '"2099-01-01T00:00:00Z"', "1010", '"1008"', "[[1]]", '["error",1,"x"]'],
]
"""Values in JSON, in exchange for one of a good answer."""

BODIES: list[Callable[[random.Random, bytes], bytes]] = [
    lambda chance, good: good,
    lambda chance, good: exchange(chance, good),
    lambda chance, good: exchange(chance, exchange(chance, good)),
    lambda chance, good: good[: chance.randrange(len(good) + 1)],
    lambda chance, good: good + good,
    lambda chance, good: splice(chance, good),
    lambda chance, good: chance.randbytes(chance.randrange(300)),
    lambda chance, good: chance.choice(HARMFUL).encode(),
    lambda chance, good: b"[" * chance.randrange(1, 100_000),
    lambda chance, good: b"[" + chance.choice([b"[],", b"{},", b"1e5,", b'"",']) * chance.randrange(200_000) + b"0]",
    lambda chance, good: b" " * chance.choice([999_999, 1_000_001, 3_000_000]) + good,
    lambda chance, good: good.decode().encode(chance.choice(["utf-16", "utf-32", "utf-8-sig", "utf-7"])),
    lambda chance, good: chance.choice(
        [b"", b"<html>\n<b>no</b>", b"\x00", b"Too many requests", b"\x1b]0;x\x07", b"{"]
    ),
]

HEADERS = [
    *[("Date", value) for value in ("", "x" * 9000, "Mon, 99 Foo 99999 99:99:99", "Thu, 01 Jan 0001 00:00:00 +9999")],
    *[("Date", value) for value in ("Fri, 31 Dec 9999 23:59:59 GMT", "Thu, 01 Jan 1970 00:00:00 GMT", "1", "9" * 400)],
    *[("Retry-After", value) for value in ("9" * 5000, "-1", "0", "1e9", "٣", "Fri, 31 Dec 9999 23:59:59 GMT", "x")],
    *[("x-ratelimit-reset", value) for value in ("9999-12-31 23:59:59 -2359", "0001-01-01 00:00:00 +2359", "x" * 99)],
    *[("Set-Cookie", f"a{number}=" + "b" * 2000 + "; Path=/; Max-Age=99999999") for number in range(3)],
    *[("Content-Type", value) for value in ("", "text/html; charset=utf-99", "application/json; charset=\xff")],
    *[
        ("Age", "9" * 300),
        ("Connection", "close"),
        ("Connection", "upgrade"),
        ("Upgrade", "h2c"),
        ("X-Long", "y" * 70_000),
    ],
    *[("Transfer-Encoding", "gzip, chunked"), ("Content-Length", "-1"), ("Content-Length", "1"), ("Trailer", "Date")],
    *[("X-\x7f", "1"), ("X Y", "1"), ("X", "\x00\x1b[31m"), ("X-Redirect-Location", "/"), ("X-Packing", "gzip")],
]

STATUSES = [
    *["200 OK"] * 80,
    *[
        "429 Too Many Requests",
        "418 Teapot",
        "403 Forbidden",
        "401 No",
        "500 Oops",
        "503 Busy",
        "404 Not Found",
        "402 Pay",
    ],
    *["301 Moved", "302 Found", "303 See", "304 Same", "307 Moved", "308 Moved", "300 Many", "399 What"],
    *["100 Go", "101 Switch", "103 Hints", "199 What", "204 Nothing", "205 Reset", "206 Part", "226 Used", "299 Fine"],
    *[
        "000 No",
        "600 More",
        "999 All",
        "9999 Too",
        "-1 Neg",
        "abc Text",
        "",
        "200",
        "200 \x1b[31m",
        "200 " + "z" * 70_000,
    ],
]

PACKINGS: list[tuple[str, Callable[[bytes], bytes]]] = [
    *[("", lambda body: body)] * 40,
    *[("gzip", gzip.compress)] * 10,
    ("gzip, gzip", lambda body: gzip.compress(gzip.compress(body))),
    ("gzip, gzip", lambda body: bomb()),
    ("gzip", lambda body: bomb()),
    ("gzip", lambda body: gzip.compress(body)[:-9]),
    ("gzip", lambda body: gzip.compress(body) + body),
    ("gzip", lambda body: body),
    ("deflate", zlib.compress),
    ("br", lambda body: body),
    ("zstd", lambda body: body),
    ("identity", lambda body: body),
    ("x" * 3000, lambda body: body),
]

FRAMINGS = [*["length"] * 20, *["chunked", "end", "hints"] * 3, "short", "long", "drip", "none"]

LOCATIONS = [
    *["about:blank", "mailto:me@example.com", "data:text/html,x", "ftp://example.com/", "javascript:alert(1)", "//"],
    *["http://", "https://[::1", "http://a:99999/", "?", "#", "", "http://\x1b[31m/", "\xff\xfe", "/next", "x" * 5000],
    *["http://elsewhere.invalid/", "http://me:hunter2@elsewhere.invalid/?key=1", "file:///etc/passwd", "http://.../"],
]


@cache
def bomb() -> bytes:
    """A few bytes that become 50 MB when they are unpacked twice, and 50 kB when they are once."""
    return gzip.compress(gzip.compress(bytes(50_000_000)))


def exchange(chance: random.Random, good: bytes) -> bytes:
    """The JSON with a harmful value in exchange for one of its own."""
    try:
        whole: Any = [json.loads(good)]
    except (ValueError, RecursionError):
        return good
    inner, key = whole, 0
    while isinstance(inner[key], dict | list) and inner[key] and chance.random() < 0.9:
        inner = inner[key]
        key = chance.choice(list(inner) if isinstance(inner, dict) else range(len(inner)))
    inner[key] = "here"
    return json.dumps(whole[0]).replace('"here"', chance.choice(HARMFUL)).encode()


def splice(chance: random.Random, good: bytes) -> bytes:
    """The bytes with some of them changed."""
    body = bytearray(good)
    for _ in range(min(len(body), chance.randrange(1, 9))):
        body[chance.randrange(len(body))] = chance.randrange(256)
    return bytes(body)


def draw(number: int, good: bytes) -> Raw:
    """The answer of that number."""
    chance = random.Random(number)
    body = chance.choice(BODIES)(chance, good)
    packing, pack = chance.choice(PACKINGS)
    body = pack(body)
    status = chance.choice(STATUSES)
    headers = chance.sample(HEADERS, chance.choice([0, 0, 1, 1, 2, 5]))
    if packing:
        headers.append(("Content-Encoding", packing))
    if status.startswith("3") or chance.random() < 0.05:
        headers.append(("Location", chance.choice(LOCATIONS)))
    framing = chance.choice(FRAMINGS)
    return frame(chance, framing, status, headers, body)


def frame(chance: random.Random, framing: str, status: str, headers: list[tuple[str, str]], body: bytes) -> Raw:
    """The bytes of an answer, well framed or not."""
    lines = [f"{name}: {value}" for name, value in headers]
    length = {"length": len(body), "hints": len(body), "short": len(body) // 2, "long": len(body) + 9}.get(framing)
    if length is not None:
        lines.append(f"Content-Length: {length}")
    if framing == "chunked":
        lines.append("Transfer-Encoding: chunked")
        body = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in _pieces(chance, body)) + b"0\r\n\r\n"
    version = chance.choice(["HTTP/1.1"] * 20 + ["HTTP/1.0", "HTTP/2.0", "ICY", "HTTP/1.1 HTTP/1.1"])
    head = "\r\n".join([f"{version} {status}", *lines, "", ""]).encode("utf-8", "surrogateescape")
    if framing == "hints":
        head = b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" * chance.randrange(1, 50) + head
    if framing == "none":
        return Raw(chance.choice([b"", b"\r\n\r\n", head[: len(head) // 2], body[:1000]]))
    if framing == "drip" and chance.random() < 0.15:
        return Raw(head + body[:1], chance.choice([b" ", b"x", b"\x00" * 9000]))
    return Raw(head + body, kept=framing in ("length", "chunked", "hints"))


def _pieces(chance: random.Random, body: bytes) -> Iterator[bytes]:
    size = chance.choice([1 + len(body) // 3, 1000, 65_536])
    return (body[start : start + size] for start in range(0, len(body), size))


class Fuzzer(RawServer):
    """The server of all drawn answers."""

    def __init__(self) -> None:
        super().__init__(self._answer)
        self._exchanges = Exchanges(SimulatedMarket(), now_ms=lambda: NOW_MS)
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        self._exchanges.__enter__()
        return super().__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        super().__exit__(kind, exc, trace)
        self._exchanges.__exit__(kind, exc, trace)

    def _answer(self, head: bytes) -> Raw:
        self.requests.clear()
        target = urlsplit(head.split(b" ")[1].decode("latin-1"))
        _, number, provider, path = (*target.path.split("/", 3), "")[:4]
        good = b"ok"
        if provider != "webhook":
            request = Request(provider, f"/{path}", dict(parse_qsl(target.query)), {"x-cmc_pro_api_key": "any"}, 0)
            with self._lock:
                good = self._exchanges.reply(request).body
        return draw(int(number), good)


@dataclass
class Tally:
    """The outcomes of the answers: how many of each, and what is wrong."""

    outcomes: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)
    longest_s: float = 0.0


def judge(url: str, client: Client, numbers: Iterable[int]) -> Tally:
    """Ask for the answers of these numbers, each as one of the targets in turn."""
    tally = Tally()
    for number in numbers:
        name, call = TARGETS[number % len(TARGETS)]
        began = time.monotonic()
        outcome = _post(url, client, number) if name == "webhook" else _call(url, client, number, name, call)
        took_s = time.monotonic() - began
        limit_s = TIMEOUT_S * (2 if name == "coinmarketcap" else 1) + LATE_S
        tally.longest_s = max(tally.longest_s, took_s)
        kind, problem = _weigh(outcome)
        tally.outcomes[f"{name} {call}: {kind}"] += 1
        if took_s > limit_s:
            problem = f"took {took_s:.2f} s"
        if problem:
            tally.problems.append(f"{number} {name} {call}: {problem}")
    return tally


def _call(url: str, client: Client, number: int, name: str, call: str) -> object:
    endpoint = Endpoint(f"{url}/{number}/{name}", TIMEOUT_S)
    provider = provider_at(endpoint, name, client, FakeClock(NOW_MS))
    with Poller([provider]) as poller:
        if call == "latest":
            readings, errors = poller.ask_prices([provider], within_s=10)
            return (*readings, *errors)
        asked = poller.ask_candles([provider], [CLOSED_MS - 60_000], [HOUR])
        asked.wait(10)
        heard = asked.listen()
        return (*heard.answers, *heard.errors)


def _post(url: str, client: Client, number: int) -> object:
    hook = Webhook(parse_url(f"{url}/{number}/webhook"), client, FakeClock(NOW_MS), timeout_s=TIMEOUT_S)
    failure = hook.post("{}")
    return (failure.problem if failure else "taken",)


def _weigh(outcome: Any) -> tuple[str, str | None]:
    """The kind of an outcome, and what is wrong with it."""
    match outcome:
        case (Reading() as reading,):
            good = is_price(reading.price) and (reading.not_before_ms or NOW_MS) <= NOW_MS + LONGEST_WAIT_MS
            return "a value", None if good else f"{reading}"
        case (Candles(),):
            return "a value", None
        case (ProviderError() as error,):
            until_ms = getattr(error, "until_ms", NOW_MS)
            late = "waits for too long" if until_ms > NOW_MS + LONGEST_WAIT_MS else None
            return type(error).__name__, late or _blame(str(error))
        case (str() as line,):
            return "a value" if line == "taken" else "a refusal", _blame(line)
        case (other,) if "taken" not in str(type(other)):
            return type(other).__name__, _blame(str(other))
    return "nothing", f"came to {outcome!r}"


def _blame(line: str) -> str | None:
    """Return what is wrong with a line for people."""
    if not line.isprintable():
        return f"cannot be printed: {line!r}"
    if len(line) > LONGEST_LINE:
        return f"has {len(line)} characters: {line[:200]}"
    words = ("bug in btcts", "Error", "Exception", "hunter2", "no answer within 10 s")
    return next((f"says {word}: {line}" for word in words if word in line), None)
