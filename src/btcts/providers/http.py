"""HTTP access to providers: a complete answer in JSON, in time, or a one-line error."""

import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cached_property
from typing import Any

import httpx

from btcts import __version__
from btcts.domain.clock import Clock
from btcts.errors import Problem, ProviderError, ProviderLimited
from btcts.providers import Endpoint
from btcts.providers.base import LONGEST_WAIT_MS, read_float, read_whole
from btcts.providers.deadlines import limit_steps
from btcts.providers.proxies import choose_proxy
from btcts.providers.routes import open_routes
from btcts.providers.transport import LOCATION, GuardedTransport, NoCookies
from btcts.system.causes import classify, describe
from btcts.system.foreign import cite, conceal

MAX_BODY = 1_000_000
"""Most bytes of an answer; a day of candles is about 100 kB."""

MOST_VALUES, MOST_ROWS = 100_000, 20_000
"""Most commas, and most lists and objects, of an answer: a page of 10 000 candles has 60 000 and 10 000."""

DAY_MS = 86_400_000

DATE_STEP_MS = 1000
"""A Date header counts whole seconds, rounded down."""

LONGEST_WAITS_MS = {403: DAY_MS, 418: DAY_MS, 429: DAY_MS, 503: 600_000}
"""The statuses whose Retry-After is honoured, and the longest wait accepted from each."""

_WAITS_MS = {429: 60_000, 418: 600_000}
"""The wait after a limit (429) or a ban (418) without a Retry-After."""

_SHOWN = 80
"""Characters of a bad answer that an error shows."""

_READ = 1024
"""Bytes of it that are searched for secrets: many times as many, since an escaped key is long."""

_AGE_LENGTH = 9
"""Most digits of an Age header."""

_DATE_LENGTH = 64
"""Most characters of a date header."""

_KEEP_ALIVE_S = 30
"""Longer than the usual interval, so that the next cycle reuses the connection; shorter than servers keep theirs."""

ERRNO = re.compile(r"^\[Errno -?\d+\] ")


def open_client(*urls: str | httpx.URL) -> httpx.Client:
    """Open the HTTP client for requests to `urls`; it honours HTTPS_PROXY and SSL_CERT_FILE, and keeps no cookies.

    Raises:
        ConfigError: the environment names an unusable proxy for one of them, or unusable certificates.
    """
    return httpx.Client(
        transport=GuardedTransport(open_routes(urls, keep_alive_s=_KEEP_ALIVE_S)),
        cookies=NoCookies(),
        headers={"User-Agent": f"btcts/{__version__}", "Accept": "application/json", "Accept-Encoding": "gzip"},
    )


@dataclass(frozen=True)
class Reply:
    """A response of a server, whatever its status.

    `where` is the address without query and credentials, `location` the target of a redirect.
    """

    where: str
    status: int
    headers: Mapping[str, str]
    body: bytes
    location: str = ""

    @property
    def made_ms(self) -> int | None:
        """The time of its Date header, when the provider produced it."""
        return _parse_http_date(self.headers.get("Date", ""))

    @property
    def age_ms(self) -> int:
        """Its time in a cache, by the Age header (RFC 9111, section 5.1); 0 for a fresh response."""
        age = self.headers.get("Age", "").strip()
        return int(age) * 1000 if age.isdecimal() and len(age) <= _AGE_LENGTH else 0

    @property
    def date_ms(self) -> int | None:
        """The provider's time on arrival."""
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


@dataclass(frozen=True, slots=True)
class Answer:
    """A good answer: its JSON, its arrival by our clock, the time its contents are from, and the provider's time."""

    payload: Any
    received_ms: int
    observed_ms: int
    date_ms: int | None


class Api:
    """The HTTP API of one provider."""

    def __init__(self, provider: str, endpoint: Endpoint, client: httpx.Client, clock: Clock) -> None:
        self.provider = provider
        self.clock = clock
        self._endpoint = endpoint
        self._client = client
        self._behind_ms = 0

    @property
    def source_ms(self) -> int:
        """The provider's current time where its Date header was behind our clock, else ours."""
        return self.clock.now_ms() - self._behind_ms

    def fetch_json(self, path: str, query: Mapping[str, str | int] | None = None) -> Answer:
        """GET `path`, which must answer 200 with JSON.

        Raises:
            ProviderError: there is no such answer.
            ProviderLimited: the answer asks to wait.
        """
        return self.accept(self.fetch(path, query or {}))

    def accept(self, reply: Reply) -> Answer:
        """Return the answer in a good reply.

        Raises:
            ProviderError: the reply is bad.
            ProviderLimited: it asks to wait.
        """
        if reply.status != 200:
            raise self.build_refusal(reply, reply.quote_body())
        received_ms = self.clock.now_ms()
        if reply.made_ms is not None:
            self._behind_ms = max(0, received_ms - reply.made_ms - DATE_STEP_MS)
        try:
            return Answer(reply.payload, received_ms, received_ms - reply.age_ms, reply.date_ms)
        except ValueError as exc:
            raise ProviderError(self.provider, f"no JSON from {reply.where} ({reply.quote_body()})") from exc

    def build_refusal(self, reply: Reply, detail: str) -> ProviderError:
        """Build the error for a status other than 200."""
        problem = f"HTTP {reply.status} from {reply.where} ({detail})"
        if 300 <= reply.status < 400:
            problem += f"; redirects are not followed (this one names {reply.location or 'no address'})"
            problem += f": correct the url of [providers.{self.provider}]"
        wait_ms = self.read_wait_ms(reply) or _WAITS_MS.get(reply.status)
        if wait_ms is None or reply.status not in LONGEST_WAITS_MS:
            return ProviderError(self.provider, problem)
        return self.build_limited(problem, min(wait_ms, LONGEST_WAITS_MS[reply.status]))

    def build_limited(self, problem: str, wait_ms: int) -> ProviderLimited:
        """Build the error that asks to wait."""
        return ProviderLimited(self.provider, problem, until_ms=self.clock.now_ms() + min(wait_ms, LONGEST_WAIT_MS))

    def read_wait_ms(self, reply: Reply) -> int | None:
        """Return the wait that the headers of a reply ask for, from a second to a day; None without one."""
        asked_ms = read_retry_after(reply.headers, reply.date_ms or self.clock.now_ms())
        return None if asked_ms is None else min(max(asked_ms, 1000), DAY_MS)

    def fetch(self, path: str, query: Mapping[str, str | int], secrets: Mapping[str, str] | None = None) -> Reply:
        """GET `path` within the timeout, whatever the status; `secrets` are headers that no error may show."""
        for secret in (secrets or {}).values():
            conceal(secret)
        url = self._build_url(path)
        timeout_s = self._endpoint.timeout_s
        until = time.monotonic() + timeout_s
        try:
            with (
                limit_steps(until),
                self._client.stream("GET", url, params=query, headers=secrets, timeout=timeout_s) as response,
            ):
                body = self._read(response, until)
        except httpx.TimeoutException as exc:
            raise self._build_timeout(url) from exc
        except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as exc:
            why = describe_failure(exc)
            problem = Problem(f"no answer from {_show_address(url)} ({why})", _classify(exc, url), why)
            raise ProviderError(self.provider, problem) from exc
        location = response.headers.get(LOCATION, "").encode()
        return Reply(_show_address(url), response.status_code, response.headers, body, _quote_line(location))

    def _build_url(self, path: str) -> httpx.URL:
        try:
            return httpx.URL(self._endpoint.url.rstrip("/") + path)
        except httpx.InvalidURL as exc:
            raise ProviderError(self.provider, f"the url of [providers.{self.provider}] is malformed") from exc

    def _read(self, response: httpx.Response, until: float) -> bytes:
        body = bytearray()
        for chunk in response.iter_bytes():
            body += chunk
            if len(body) > MAX_BODY:
                raise ProviderError(self.provider, f"more than {MAX_BODY} bytes from {_show_address(response.url)}")
            if time.monotonic() > until:
                raise self._build_timeout(response.url)
        return bytes(body)

    def _build_timeout(self, url: httpx.URL) -> ProviderError:
        within = f"within {self._endpoint.timeout_s:g} s"
        problem = Problem(
            f"no complete answer from {_show_address(url)} {within}", "slow", f"no complete answer {within}"
        )
        return ProviderError(self.provider, problem)


def _show_address(url: httpx.URL) -> str:
    return f"{url.scheme}://{url.netloc.decode('ascii')}{url.path}"


def _classify(exc: Exception, url: httpx.URL) -> str:
    """Return the code of a connection failure that may affect other addresses too; empty for other failures."""
    if not isinstance(exc, httpx.ConnectError | UnicodeError):
        return ""
    return "proxy" if choose_proxy(url) else classify(exc) or ""


def describe_failure(exc: Exception) -> str:
    """Describe the lack of an answer; some failures get a fixed text because theirs may contain a header."""
    match exc:
        case httpx.RemoteProtocolError():
            return "the server closed the connection, or its answer is not HTTP"
        case httpx.UnsupportedProtocol():
            return "the address is neither http nor https"
        case httpx.LocalProtocolError():
            return "a header of the request has characters that are not allowed"
        case httpx.InvalidURL():
            return "it redirects to something that is not an address"
        case UnicodeError():
            return "that is not a valid host name"
        case httpx.ConnectError() if "[SSL" in str(exc):
            return describe(exc)
    text = ERRNO.sub("", str(exc))
    return _quote_line(f"{text[:1].lower()}{text[1:]}".encode()) or "the connection failed"


def _quote_line(text: bytes) -> str:
    """Return the beginning of a text from a server in one line, without markup and secrets."""
    line = cite(text[:_READ].decode(errors="replace"), _SHOWN)
    return "an HTML page" if line.startswith("<") else line


def read_retry_after(headers: Mapping[str, str], now_ms: int) -> int | None:
    """Return the wait in ms that the headers ask for; None without one."""
    value = headers.get("Retry-After", "")
    if value.isdecimal():
        return int(value[:9]) * 1000
    until_ms = _parse_http_date(value) or _parse_reset_ms(headers.get("x-ratelimit-reset", ""))
    return None if until_ms is None else until_ms - now_ms


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
