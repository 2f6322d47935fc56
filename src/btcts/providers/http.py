"""The one way to a provider over HTTP: an answer that is whole, on time and JSON, or an error of one line."""

import json
import re
import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

from btcts.clock import Clock
from btcts.errors import ConfigError, ProviderError, ProviderLimited
from btcts.providers import Endpoint
from btcts.version import __version__

MAX_BODY = 8_000_000
"""No answer that we ask for comes near this many bytes; a day of candles is about 100 kB."""

DAY_MS = 86_400_000

DATE_STEP_MS = 1000
"""A Date header counts whole seconds, rounded down."""

LONGEST_WAITS_MS = {403: DAY_MS, 418: DAY_MS, 429: DAY_MS, 503: 600_000}
"""The statuses that may send us away by Retry-After, and how long we believe them at most."""

_WAITS_MS = {429: 60_000, 418: 600_000}
"""How long a limit (429) or a ban (418) lasts where no Retry-After says so."""

HANGING_S = 3600.0
"""How long a request that hangs keeps others back: a server that drips headers can go on for days."""

_SHOWN = 80
"""How many bytes of a bad answer an error shows."""

ERRNO = re.compile(r"^\[Errno -?\d+\] ")

_KEEP_ALIVE_S = 30
"""Longer than the usual interval, so that a connection serves the next cycle; shorter than servers keep theirs."""


def open_client() -> httpx.Client:
    """The HTTP client that all providers share; it honours HTTPS_PROXY and SSL_CERT_FILE.

    Raises: ConfigError when the environment names a proxy or a certificate file that cannot be used.
    """
    try:
        return httpx.Client(
            headers={"User-Agent": f"btcts/{__version__}", "Accept": "application/json"},
            limits=httpx.Limits(max_connections=None, keepalive_expiry=_KEEP_ALIVE_S),
        )
    except httpx.InvalidURL:  # its text repeats a part of the URL, which may be that of a password
        raise ConfigError("HTTPS_PROXY or ALL_PROXY is malformed; write / in a password as %2F, : as %3A") from None
    except (ValueError, ImportError, OSError) as exc:
        raise ConfigError(f"no HTTP with HTTPS_PROXY, ALL_PROXY and SSL_CERT_FILE as set: {exc}") from exc


@dataclass(frozen=True, slots=True)
class Reply:
    """What a server sent back, whatever its status; `where` is the address without query and credentials."""

    where: str
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def date_ms(self) -> int | None:
        """The Date header."""
        return _http_date_ms(self.headers.get("Date", ""))

    def json(self) -> Any:
        """The body; a number with a fraction becomes a Decimal, NaN and Infinity their text.

        Raises: ValueError when it is not JSON.
        """
        try:
            return json.loads(self.body, parse_float=Decimal, parse_constant=str)
        except (ArithmeticError, RecursionError) as exc:
            raise ValueError("numbers or nesting beyond measure") from exc

    def excerpt(self) -> str:
        """The beginning of the body in one line, without markup."""
        text = self.body[:_SHOWN].decode(errors="replace")
        line = " ".join("".join(each if each.isprintable() else " " for each in text).split())
        if line.startswith("<"):
            return "an HTML page"
        return line + "..." * (len(self.body) > _SHOWN) if line else "an empty answer"


@dataclass(frozen=True, slots=True)
class Answer:
    """A good answer: its JSON, when it arrived by our clock, and its Date header."""

    payload: Any
    received_ms: int
    date_ms: int | None


class Api:
    """The HTTP API of one provider."""

    def __init__(self, provider: str, endpoint: Endpoint, client: httpx.Client, clock: Clock) -> None:
        self.provider = provider
        self.clock = clock
        self._endpoint = endpoint
        self._client = client
        self._hanging: tuple[threading.Thread, str, float] | None = None
        self._behind_ms = 0

    @property
    def source_ms(self) -> int:
        """The present by the Date header of the last good answer where that is behind our clock, else by ours."""
        return self.clock.now_ms() - self._behind_ms

    def fetch_json(self, path: str, query: Mapping[str, str | int] | None = None) -> Answer:
        """GET `path`, which must answer 200 with JSON.

        Raises: ProviderError, and ProviderLimited where the answer says to wait.
        """
        return self.accept(self.fetch(path, query or {}))

    def accept(self, reply: Reply) -> Answer:
        """The answer in a good reply; a bad one is raised."""
        if reply.status != 200:
            raise self.refusal(reply, reply.excerpt())
        received_ms = self.clock.now_ms()
        if reply.date_ms is not None:
            self._behind_ms = max(0, received_ms - reply.date_ms - DATE_STEP_MS)
        try:
            return Answer(reply.json(), received_ms, reply.date_ms)
        except ValueError as exc:
            raise ProviderError(self.provider, f"no JSON from {reply.where} ({reply.excerpt()})") from exc

    def refusal(self, reply: Reply, detail: str) -> ProviderError:
        """The error for a status other than 200."""
        problem = f"HTTP {reply.status} from {reply.where} ({detail})"
        if 300 <= reply.status < 400:
            problem += f"; redirects are not followed: correct the url of [providers.{self.provider}]"
        wait_ms = self.asked_wait_ms(reply) or _WAITS_MS.get(reply.status)
        if wait_ms is None or reply.status not in LONGEST_WAITS_MS:
            return ProviderError(self.provider, problem)
        return self.limited(problem, min(wait_ms, LONGEST_WAITS_MS[reply.status]))

    def limited(self, problem: str, wait_ms: int) -> ProviderLimited:
        """The error that says to wait."""
        return ProviderLimited(self.provider, problem, until_ms=self.clock.now_ms() + wait_ms)

    def asked_wait_ms(self, reply: Reply) -> int | None:
        """How long the headers of a reply tell us to wait: a second at least, a day at most; None where they do not."""
        asked_ms = _retry_after_ms(reply.headers, reply.date_ms or self.clock.now_ms())
        return None if asked_ms is None else min(max(asked_ms, 1000), DAY_MS)

    def fetch(self, path: str, query: Mapping[str, str | int], secrets: Mapping[str, str] | None = None) -> Reply:
        """GET `path`, whatever the status, within the timeout; `secrets` are headers that no error may show.

        A thread of its own does it, for neither the name look-up nor headers that trickle in have a timeout. One
        that overran is left alone, and nothing more is asked until it has ended, for an hour at most.
        """
        if self._hanging and self._hanging[0].is_alive() and time.monotonic() < self._hanging[2]:
            raise ProviderError(self.provider, f"{self._hanging[1]}, and that request still hangs")
        url = self._url(path)
        reply: Future[Reply] = Future()
        worker = threading.Thread(target=self._resolve, args=(reply, url, query, secrets or {}), daemon=True)
        worker.start()
        try:
            return reply.result(self._endpoint.timeout_s)
        except TimeoutError:
            late = self._late(url)
            self._hanging = worker, late.problem, time.monotonic() + HANGING_S
            raise late from None

    def _url(self, path: str) -> httpx.URL:
        try:
            return httpx.URL(self._endpoint.url.rstrip("/") + path)
        except httpx.InvalidURL as exc:
            raise ProviderError(self.provider, f"the url of [providers.{self.provider}] is malformed") from exc

    def _resolve(self, reply: Future[Reply], *request: Any) -> None:
        try:
            reply.set_result(self._get(*request))
        except BaseException as exc:  # noqa: BLE001 - the thread that waits for the reply raises it
            reply.set_exception(exc)

    def _get(self, url: httpx.URL, query: Mapping[str, str | int], secrets: Mapping[str, str]) -> Reply:
        deadline = time.monotonic() + self._endpoint.timeout_s
        try:
            with self._client.stream(
                "GET", url, params=query, headers=secrets, timeout=self._endpoint.timeout_s
            ) as response:
                body = self._read(response, deadline)
        except httpx.TimeoutException as exc:
            raise self._late(url) from exc
        except (httpx.HTTPError, UnicodeError) as exc:  # UnicodeError: a host name that cannot be one
            raise ProviderError(self.provider, f"no answer from {_where(url)} ({_cause(exc)})") from exc
        for secret in secrets.values():
            body = body.replace(secret.encode(), b"***")
        return Reply(_where(url), response.status_code, response.headers, body)

    def _read(self, response: httpx.Response, deadline: float) -> bytes:
        body = bytearray()
        for chunk in response.iter_bytes():
            body += chunk
            if len(body) > MAX_BODY:
                raise ProviderError(self.provider, f"more than {MAX_BODY} bytes from {_where(response.url)}")
            if time.monotonic() > deadline:
                raise self._late(response.url)
        return bytes(body)

    def _late(self, url: httpx.URL) -> ProviderError:
        return ProviderError(self.provider, f"no whole answer from {_where(url)} within {self._endpoint.timeout_s:g} s")


def _where(url: httpx.URL) -> str:
    return f"{url.scheme}://{url.netloc.decode('ascii')}{url.path}"


def _cause(exc: Exception) -> str:
    # The text of a LocalProtocolError shows the header at fault.
    text = "" if isinstance(exc, httpx.LocalProtocolError) else " ".join(str(exc).split())
    return ERRNO.sub("", text).lower() or type(exc).__name__


def _retry_after_ms(headers: Mapping[str, str], now_ms: int) -> int | None:
    value = headers.get("Retry-After", "")
    if value.isdecimal():
        return int(value[:9]) * 1000
    until_ms = _http_date_ms(value) or _reset_ms(headers.get("x-ratelimit-reset", ""))
    return None if until_ms is None else until_ms - now_ms


def _http_date_ms(value: str) -> int | None:
    try:
        date = parsedate_to_datetime(value)
    except (ValueError, OverflowError):  # numbers of any length
        return None
    return int((date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() * 1000)


def _reset_ms(value: str) -> int | None:
    """CoinMarketCap's form of a time, `2026-01-02 15:04:05 -0700`."""
    try:
        return int(datetime.strptime(value, "%Y-%m-%d %H:%M:%S %z").timestamp() * 1000)
    except ValueError:
        return None
