"""Alerts as POST requests; the address may hold a secret, so no message shows more of it than the host."""

import threading
import time
from concurrent.futures import Future
from pathlib import Path

import httpx

from btcts.config.textfile import read_text
from btcts.errors import ConfigError
from btcts.providers.http import ERRNO, HANGING_S

TIMEOUT_S = 10.0
"""From the name look-up to the status of the answer."""

PORTS = range(1, 65_536)
"""Of a greater number the system takes the last 16 bits."""


class Webhook:
    """The address that documents are posted to."""

    def __init__(
        self, url: httpx.URL, client: httpx.Client, *, timeout_s: float = TIMEOUT_S, hanging_s: float = HANGING_S
    ) -> None:
        self._url = url
        self._client = client
        self._timeout_s = timeout_s
        self._hanging_s = hanging_s
        self._hanging: tuple[threading.Thread, float] | None = None

    def post(self, document: str) -> str | None:
        """Post the JSON document; why it was not taken, None when it was.

        A thread of its own does it, for neither the name look-up nor headers that trickle in have a timeout. While
        one that overran lives on, nothing more is sent, for `hanging_s` at most.
        """
        if self._hanging and self._hanging[0].is_alive() and time.monotonic() < self._hanging[1]:
            return f"an earlier request to {self._url.host} still hangs"
        answer: Future[int] = Future()
        worker = threading.Thread(target=self._resolve, args=(answer, document), daemon=True)
        worker.start()
        try:
            status = answer.result(self._timeout_s)
        except (TimeoutError, httpx.TimeoutException):
            self._hanging = worker, time.monotonic() + self._hanging_s
            return f"no answer from {self._url.host} within {self._timeout_s:g} s"
        except (httpx.HTTPError, UnicodeError) as exc:  # UnicodeError: a host name that cannot be one
            return f"no answer from {self._url.host} ({_cause(exc)})"
        if 300 <= status < 400:
            return f"HTTP {status} from {self._url.host}; redirects are not followed"
        return None if 200 <= status < 300 else f"HTTP {status} from {self._url.host}"

    def _resolve(self, answer: Future[int], document: str) -> None:
        headers = {"Content-Type": "application/json"}
        try:
            with self._client.stream(
                "POST", self._url, content=document, headers=headers, timeout=self._timeout_s, follow_redirects=False
            ) as response:
                status = response.status_code
        except BaseException as exc:  # noqa: BLE001 - the thread that waits for the answer raises it
            answer.set_exception(exc)
        else:
            answer.set_result(status)


def address(text: str) -> httpx.URL:
    """The address that `--webhook` names, or that is in the file that it names behind an @.

    Raises: ConfigError, which does not repeat it.
    """
    wrong = "--webhook is no address of http or https; write it like https://hooks.example.com/path, or @FILE"
    try:
        url = httpx.URL(_content(text[1:]) if text.startswith("@") else text)
    except httpx.InvalidURL:
        raise ConfigError(wrong) from None
    if url.scheme not in ("http", "https") or not url.host or not (url.port is None or url.port in PORTS):
        raise ConfigError(wrong)
    return url


def _content(path: str) -> str:
    try:
        return read_text(Path(path)).strip()
    except (OSError, ValueError) as exc:
        reason = (getattr(exc, "strerror", None) or "is no text").lower()
        raise ConfigError(f"--webhook @{path} cannot be read ({reason}); put the address there") from exc


def _cause(exc: Exception) -> str:
    """What the system said of a connection that failed; of other failures the kind, for their text may show headers."""
    return ERRNO.sub("", str(exc)).lower() if isinstance(exc, httpx.ConnectError) else type(exc).__name__
