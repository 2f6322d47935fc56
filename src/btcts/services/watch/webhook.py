"""Alerts as POST requests; the address may contain a secret, so messages show only its host."""

import logging
from pathlib import Path

from btcts.domain.clock import Clock
from btcts.errors import ConfigError, describe_unforeseen
from btcts.providers.addresses import Address, parse_url
from btcts.providers.connections import SLOW, Unanswered
from btcts.providers.http import Client, Reply
from btcts.services.watch.outbox import LONGEST_ASKED_MS, Undelivered
from btcts.system.causes import describe
from btcts.system.foreign import conceal, conceal_login
from btcts.system.textfile import read_text

TIMEOUT_S = 10.0
"""Time limit from the name look-up to the status of the answer."""

TEXT_FIELDS = {
    "discord.com": "content",
    "discordapp.com": "content",
    "hooks.slack.com": "text",
    "hooks.slack-gov.com": "text",
}
"""The text field, by host, of services that accept no other document.

https://docs.discord.com/developers/resources/webhook#execute-webhook
https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks
"""

TEMPORARY = {407, 408, 409, 421, 423, 425, 429}
"""The 4xx refusals after which the same request may succeed later; the others are final."""

REFUSED = "it does not take what we send, correct --webhook"
FORBIDDEN = "it does not accept the token in the address, correct --webhook"
GONE = "there is no such webhook any more, make a new one"

FINAL = {401: FORBIDDEN, 403: FORBIDDEN, 404: GONE, 410: GONE}
"""Meanings of the final refusals; the others mean `REFUSED`."""

log = logging.getLogger(__name__)


class Webhook:
    """An address that documents are posted to."""

    def __init__(self, url: Address, client: Client, clock: Clock, *, timeout_s: float = TIMEOUT_S) -> None:
        self._url = url
        self._client = client
        self._clock = clock
        self._timeout_s = timeout_s

    @property
    def text_field(self) -> str | None:
        """Field for the message text; None for an address that accepts the document of an alert."""
        host = self._url.host.rstrip(".")
        field = next((field for name, field in TEXT_FIELDS.items() if f".{host}".endswith(f".{name}")), None)
        return "text" if field and self._url.path.endswith("/slack") else field  # Discord takes Slack's documents there

    def post(self, document: str) -> Undelivered | None:
        """Post the JSON document; return why it was not accepted, None when it was."""
        host = self._url.host
        try:
            return self._judge(self._client.post(self._url, document, timeout_s=self._timeout_s))
        except Unanswered as exc:
            reason = f"within {self._timeout_s:g} s" if exc.code == SLOW else f"({exc.why})"
            return Undelivered(f"no answer from {host} {reason}")
        except Exception as exc:
            log.debug("a delivery failed", exc_info=exc)
            return Undelivered(f"nothing can be sent to {host} ({describe_unforeseen(exc)})")

    def _judge(self, reply: Reply) -> Undelivered | None:
        status = reply.status
        said = f"HTTP {status} from {self._url.host}"
        if 200 <= status < 300:
            return None
        if 300 <= status < 400:
            return Undelivered(f"{said}; redirects are not followed")
        if 400 <= status < 500 and status not in TEMPORARY:
            return Undelivered(said, final=FINAL.get(status, REFUSED))
        asked_ms = reply.read_retry_after(self._clock.now_ms()) or 0
        return Undelivered(said, wait_ms=min(max(0, asked_ms), LONGEST_ASKED_MS))


def parse_address(text: str) -> Address:
    """Parse the address of `--webhook`, or the one in the file named after an @.

    Raises:
        ConfigError: it is malformed or cannot be read; the message does not show it.
    """
    wrong = "--webhook is not an http or https address; write it like https://hooks.example.com/path, or @FILE"
    written = _read_address(text[1:]) if text.startswith("@") else text
    try:
        url = parse_url(written)
    except ValueError:
        raise ConfigError(wrong) from None
    if url.scheme not in ("http", "https"):
        raise ConfigError(wrong)
    conceal_login(written)
    conceal(url.target)
    return url


def _read_address(path: str) -> str:
    try:
        return read_text(Path(path)).strip()
    except (OSError, ValueError) as exc:
        reason = describe(exc) if isinstance(exc, OSError) else "is no text"
        raise ConfigError(f"--webhook @{path} cannot be read ({reason}); put the address there") from exc
