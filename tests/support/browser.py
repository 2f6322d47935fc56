"""A Chromium without a window, driven through its DevTools protocol."""

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

from websockets.sync.client import ClientConnection, connect

NAMES = ("chromium", "chromium-browser", "google-chrome")

OPTIONS = (
    *("--headless", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update"),
    *("--disable-sync", "--disable-quic", "--disable-dev-shm-usage", "--hide-scrollbars", "--remote-debugging-port=0"),
)

TIMEOUT_S = 30.0

ANNOUNCEMENT = "DevTools listening on "


def find_chromium() -> str | None:
    """Return the path of an installed Chromium; None without one."""
    return next(filter(None, map(shutil.which, NAMES)), None)


class Page:
    """A tab; `complaints` are the errors that it has reported."""

    def __init__(self, connection: ClientConnection, session: str, target: str) -> None:
        self.complaints: list[str] = []
        self.target = target
        self._connection, self._session, self._numbers = connection, session, count(1)

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Call a method of the protocol, and return its result.

        Raises:
            AssertionError: it failed.
        """
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": parameters, "sessionId": self._session}
        self._connection.send(json.dumps(message))
        while (answer := self._receive()).get("id") != number or answer.get("sessionId") != self._session:
            self._note_complaint(answer)
        assert "error" not in answer, f"{method}: {answer['error']}"
        result: dict[str, Any] = answer["result"]
        return result

    def open(self, url: str) -> None:
        """Go to that address."""
        self.call("Page.navigate", url=url)

    def evaluate(self, expression: str) -> Any:
        """Return the value of an expression, of a promise that to which it comes.

        Raises:
            AssertionError: it throws.
        """
        result = self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in result, result["exceptionDetails"]["exception"].get("description", result)
        return result["result"].get("value")

    def wait_for(self, condition: str, *, within_ms: int = 10_000) -> None:
        """Wait until an expression is true.

        Raises:
            AssertionError: it stays false for that long.
        """
        look = f"const look = () => {{ try {{ return {condition} }} catch {{ return false }} }};"
        again = f"performance.now() - began < {within_ms} ? setTimeout(step, 10) : end(false)"
        step = f"const step = () => look() ? end(true) : {again};"
        promise = f"new Promise((end) => {{ const began = performance.now(); {look} {step} step(); }})"
        assert self.evaluate(promise), f"{condition} stays false; the page says: {self.text('body')}"

    def text(self, selector: str) -> str:
        """Return the text of an element as it is seen."""
        words: str = self.evaluate(f"document.querySelector({json.dumps(selector)}).innerText.trim()")
        return words

    def press(self, key: str) -> None:
        """Press a key and let it go."""
        for kind in ("rawKeyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=KEYS[key])

    def resize(self, width: int, height: int = 900) -> None:
        """Give the page that size in CSS pixels."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def prefer(self, **features: str) -> None:
        """Answer media queries so, such as `prefers_color_scheme="dark"`."""
        wanted = [{"name": name.replace("_", "-"), "value": value} for name, value in features.items()]
        self.call("Emulation.setEmulatedMedia", features=wanted)

    def _receive(self) -> dict[str, Any]:
        message: dict[str, Any] = json.loads(self._connection.recv(TIMEOUT_S))
        return message

    def _note_complaint(self, message: dict[str, Any]) -> None:
        parameters = message.get("params", {})
        if message.get("method") == "Runtime.exceptionThrown":
            self.complaints.append(parameters["exceptionDetails"]["exception"].get("description", ""))
        elif message.get("method") == "Log.entryAdded" and parameters["entry"]["level"] == "error":
            self.complaints.append(f"{parameters['entry']['text']} {parameters['entry'].get('url', '')}")


KEYS = {"Tab": 9, "End": 35, "Home": 36, "ArrowLeft": 37, "ArrowRight": 39}


class Browser:
    """A running Chromium."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection, self._numbers = connection, count(1_000_000)

    @contextmanager
    def open_page(self) -> Iterator[Page]:
        """Open a blank tab, which is closed in the end."""
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        session = self._call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        page = Page(self._connection, session, target)
        for domain in ("Page", "Runtime", "Log"):
            page.call(f"{domain}.enable")
        yield page
        self._call("Target.closeTarget", targetId=target)

    def _call(self, method: str, **parameters: Any) -> dict[str, Any]:
        number = next(self._numbers)
        self._connection.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while (answer := json.loads(self._connection.recv(TIMEOUT_S))).get("id") != number:
            pass
        result: dict[str, Any] = answer["result"]
        return result


@contextmanager
def run_chromium(program: str) -> Iterator[Browser]:
    """Run a Chromium with an empty profile."""
    sandbox = ("--no-sandbox",) if os.geteuid() == 0 else ()
    with tempfile.TemporaryDirectory(prefix="btcts-browser-", ignore_cleanup_errors=True) as profile:
        command = (program, *OPTIONS, *sandbox, f"--user-data-dir={profile}", "about:blank")
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
            assert process.stderr
            lines = (line for line in process.stderr if line.startswith(ANNOUNCEMENT))
            try:
                address = next(lines).removeprefix(ANNOUNCEMENT).strip()
                with connect(address, max_size=None, compression=None) as connection:
                    yield Browser(connection)
            finally:
                process.terminate()
                process.communicate()
