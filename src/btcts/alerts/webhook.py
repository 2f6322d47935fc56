"""Alerts as POST requests; the address may hold a secret, so no message shows more of it than the host."""

import logging
import time
from pathlib import Path

import httpx

from btcts.causes import describe
from btcts.config.textfile import read_text
from btcts.errors import ConfigError, describe_unforeseen
from btcts.providers.deadlines import deadline
from btcts.providers.http import describe_failure

TIMEOUT_S = 10.0
"""From the name look-up to the status of the answer."""

PORTS = range(1, 65_536)
"""Of a greater number the system takes the last 16 bits."""

log = logging.getLogger(__name__)


class Webhook:
    """The address that documents are posted to."""

    def __init__(self, url: httpx.URL, client: httpx.Client, *, timeout_s: float = TIMEOUT_S) -> None:
        self._url = url
        self._client = client
        self._timeout_s = timeout_s

    def post(self, document: str) -> str | None:
        """Post the JSON document; why it was not taken, None when it was."""
        host = self._url.host
        try:
            status = self._send(document)
        except httpx.TimeoutException:
            return f"no answer from {host} within {self._timeout_s:g} s"
        except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as exc:
            return f"no answer from {host} ({describe_failure(exc)})"
        except Exception as exc:
            log.debug("a delivery failed", exc_info=exc)
            return f"nothing can be sent to {host} ({describe_unforeseen(exc)})"
        if 300 <= status < 400:
            return f"HTTP {status} from {host}; redirects are not followed"
        return None if 200 <= status < 300 else f"HTTP {status} from {host}"

    def _send(self, document: str) -> int:
        """The status of the answer, whose body is not read."""
        headers = {"Content-Type": "application/json"}
        with (
            deadline(time.monotonic() + self._timeout_s),
            self._client.stream(
                "POST", self._url, content=document, headers=headers, timeout=self._timeout_s, follow_redirects=False
            ) as response,
        ):
            return response.status_code


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
        reason = describe(exc) if isinstance(exc, OSError) else "is no text"
        raise ConfigError(f"--webhook @{path} cannot be read ({reason}); put the address there") from exc
