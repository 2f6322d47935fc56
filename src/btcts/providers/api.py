"""The HTTP API of a provider: answers in JSON, the waits that it asks for, and errors in one line."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from btcts.domain.clock import Clock
from btcts.domain.model import DAY_MS, LONGEST_WAIT_MS
from btcts.errors import Problem, ProviderError, ProviderLimited
from btcts.providers import Endpoint
from btcts.providers.addresses import parse_url
from btcts.providers.connections import SLOW, Unanswered
from btcts.providers.http import Client, Reply
from btcts.system.foreign import conceal

DATE_STEP_MS = 1000
"""A Date header counts whole seconds, rounded down."""

LONGEST_WAITS_MS = {403: DAY_MS, 418: DAY_MS, 429: DAY_MS, 503: 600_000}
"""The statuses whose Retry-After is honoured, and the longest wait accepted from each."""

_WAITS_MS = {429: 60_000, 418: 600_000}
"""The wait after a limit (429) or a ban (418) without a Retry-After."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A good answer: its JSON, its arrival by our clock, the time its contents are from, and the provider's time."""

    payload: Any
    received_ms: int
    observed_ms: int
    date_ms: int | None


class _Heard(threading.local):
    """The delay of the provider's clock in the answers to one thread: price and candles may come from two servers."""

    behind_ms = 0


class Api:
    """The HTTP API of one provider."""

    def __init__(self, provider: str, endpoint: Endpoint, client: Client, clock: Clock) -> None:
        self.provider = provider
        self.clock = clock
        self._endpoint = endpoint
        self._client = client
        self._heard = _Heard()

    @property
    def source_ms(self) -> int:
        """The provider's current time by this thread's last answer where its Date was behind our clock, else ours."""
        return self.clock.now_ms() - self._heard.behind_ms

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
        made_ms = received_ms if reply.made_ms is None else reply.made_ms
        self._heard.behind_ms = max(0, received_ms - made_ms - DATE_STEP_MS)
        try:
            return Answer(reply.payload, received_ms, received_ms - reply.age_ms, reply.date_ms)
        except ValueError as exc:
            raise ProviderError(self.provider, f"no JSON from {reply.where} ({reply.quote_body()})") from exc

    def build_refusal(self, reply: Reply, detail: str) -> ProviderError:
        """Build the error for a status other than 200."""
        problem = f"HTTP {reply.status} from {reply.where} ({detail})"
        if 300 <= reply.status < 400:
            problem += f"; redirects are not followed (this one names {reply.quote_location()})"
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
        asked_ms = reply.read_retry_after(reply.date_ms or self.clock.now_ms())
        return None if asked_ms is None else min(max(asked_ms, 1000), DAY_MS)

    def fetch(self, path: str, query: Mapping[str, str | int], secrets: Mapping[str, str] | None = None) -> Reply:
        """GET `path` within the timeout, whatever the status; `secrets` are headers that no error may show."""
        for secret in (secrets or {}).values():
            conceal(secret)
        try:
            address = parse_url(self._endpoint.url).append(path, query)
        except ValueError as exc:
            raise ProviderError(self.provider, f"the url of [providers.{self.provider}] is malformed") from exc
        timeout_s = self._endpoint.timeout_s
        try:
            return self._client.get(address, secrets, timeout_s=timeout_s)
        except Unanswered as exc:
            problem = Problem(f"no answer from {address} ({exc.why})", exc.code, exc.why)
            if exc.code == SLOW:
                within = f"within {timeout_s:g} s"
                problem = Problem(f"no complete answer from {address} {within}", SLOW, f"no complete answer {within}")
            raise ProviderError(self.provider, problem) from exc
