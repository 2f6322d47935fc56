"""The scan of the whole suite for secrets, which `_no_leaks` in `tests/conftest.py` makes at the end of each test.

A secret is what the product itself registered as one (`btcts.system.foreign`), and the key, the passwords and the
logins in the environment, arguments and settings files of each command that a test starts. It may stand in the
environment and the arguments that a test gives, in settings files (*.toml, .env), in files that hold nothing else, and
nowhere beyond: not in what is printed or logged, in a message of an error, in the other files of the test's folder, in
a Redis, or in the environment and arguments of a process that the product starts. All spellings count (`find_leaks`).
"""

import html
import itertools
import os
import re
import subprocess
import sys
import tomllib
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import unquote

import btcts
from btcts.errors import BtctsError
from btcts.system import foreign

if TYPE_CHECKING:
    import pytest
    import redis

    from support.servers import Server

LEAST = 6
"""Characters of a secret that nobody writes by chance."""

LARGEST_FILE = 4 << 20

PLANTED_KEY = "planted-key-5d41402abc4b"
PLANTED_PASSWORD = "planted-password-76b9719d"
"""The secrets of every command of `tests/cli`. Redis takes any password for a user who has none."""

_PRODUCT = os.path.dirname(btcts.__file__)  # noqa: PTH120 -- compared with file names of frames
_ESCAPES = re.compile(r"\\+u([0-9a-f]{4})|\\+x([0-9a-f]{2})", re.IGNORECASE)
_LOGIN = re.compile(r"://([^/@:\s]*):?([^@\s]*)@")
_SETTINGS = (".toml", ".env")


def find_leaks(text: str, secrets: Iterable[str]) -> list[str]:
    """Return the secrets that the text gives away: in any case, with escapes, in hexadecimal or within base64."""
    wanted = {secret: _spell(secret) for secret in secrets}
    if not wanted:
        return []
    variants = {text, _unescape(text)}
    lowered = [variant.lower() for variant in variants]
    return [
        secret
        for secret, (words, cores) in wanted.items()
        if any(word in variant for word in words for variant in lowered)
        or any(core in variant for core in cores for variant in variants)
    ]


def list_secrets(environ: Mapping[str, str]) -> list[str]:
    """Return the secrets in an environment: the key, the password, their files, and the logins in URLs."""
    urls = (url for name, url in environ.items() if name.upper().endswith(("_PROXY", "URL")))
    given = [environ.get(name, "") for name in ("API_KEY", "REDIS_PASSWORD", "REDIS_SENTINEL_PASSWORD")]
    files = [environ.get(f"{name}_FILE", "") for name in ("API_KEY", "REDIS_PASSWORD", "REDIS_SENTINEL_PASSWORD")]
    return _keep_long([*given, *map(_read_small, filter(None, files)), *_find_logins(urls)])


class Evidence:
    """The output and storage of one test, and the secrets that were given."""

    def __init__(self) -> None:
        self.secrets: set[str] = set()
        self.texts: dict[str, set[str]] = {}

    def learn(self, environ: Mapping[str, str], arguments: Sequence[object] = ()) -> None:
        """Take the secrets that a command is given."""
        self.secrets.update(list_secrets(environ), _keep_long(_find_logins(map(str, arguments))))

    def is_needed(self) -> bool:
        """Tell whether any secret is known, for which to look."""
        return bool(self.secrets or foreign._secrets)

    def record(self, where: str, text: str | bytes | None) -> None:
        """Take what came out somewhere."""
        if text:
            self.texts.setdefault(where, set()).add(text if isinstance(text, str) else text.decode(errors="replace"))

    def record_folder(self, folder: Path) -> None:
        """Take the files of a folder; settings files among them are where secrets may stand."""
        files = [file for file in folder.rglob("*") if not file.is_symlink() and file.is_file()]
        settings = {file for file in files if file.name.endswith(_SETTINGS)}
        for file in settings:
            self.secrets.update(_keep_long(_find_secrets_of_settings(file)))
        for file in set(files) - settings if self.is_needed() else ():
            content = _read_small(str(file))
            if content not in self.secrets | foreign._secrets:
                self.record(f"the file {file.name}", f"{file.name}\n{content}")

    def record_store(self, client: "redis.Redis") -> None:
        """Take the keys of a Redis, and the values and labels that are texts."""
        for key in client.scan_iter(count=1000):
            self.record("Redis", f"{key!r} {_read_key(client, key)}")

    def judge(self) -> list[str]:
        """Return a line for each secret that stands where it must not, and forget all of it."""
        secrets = {*self.secrets, *_keep_long(foreign._secrets)}
        leaks = [
            f"{where} gives away {secret!r}: {text[:2000]!r}"
            for where, texts in (tuple(self.texts.items()) if secrets else ())
            for text in tuple(texts)  # threads that outlast the test may add some
            for secret in find_leaks(text, secrets)
        ]
        self.secrets.clear()
        self.texts.clear()
        return leaks


EVIDENCE = Evidence()
"""That of the test that runs."""


class RecordedPopen(subprocess.Popen[Any]):
    """A process whose output is recorded; one that a test starts is given secrets, the product may hand on none."""

    def __init__(self, args: Any, *rest: Any, env: Mapping[Any, Any] | None = None, **options: Any) -> None:
        words = [os.fsdecode(word) for word in ([args] if isinstance(args, str | bytes | os.PathLike) else args)]
        handed = {os.fsdecode(name): os.fsdecode(text) for name, text in (os.environ if env is None else env).items()}
        if _is_started_by_product():
            EVIDENCE.record(f"the process {words[0]}", "\n".join((*words, *map("=".join, handed.items()))))
        else:
            EVIDENCE.learn(handed, words)
        super().__init__(args, *rest, env=env, **options)
        self.stdout, self.stderr = record_stream(self.stdout), record_stream(self.stderr)

    def communicate(self, *arguments: Any, **options: Any) -> tuple[Any, Any]:
        """Return what the process said, as always."""
        said = super().communicate(*arguments, **options)
        for text in said:
            EVIDENCE.record("the output of a command", text)
        return said


class _RecordedStream:
    """A stream of a process; whatever is read of it is recorded."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def __enter__(self) -> "_RecordedStream":
        return self

    def __exit__(self, *exc: object) -> None:
        self._stream.close()

    def __iter__(self) -> Iterator[Any]:
        return iter(self.readline, self._stream.read(0))

    def __next__(self) -> Any:
        line = self.readline()
        if not line:
            raise StopIteration
        return line

    def read(self, *size: int) -> Any:
        return self._record(self._stream.read(*size))

    def readline(self) -> Any:
        return self._record(self._stream.readline())

    def readlines(self) -> list[Any]:
        return list(self)

    def _record(self, text: Any) -> Any:
        EVIDENCE.record("the output of a command", text)
        return text


def record_stream(stream: IO[Any] | None) -> Any:
    """Return a stream that records what is read of it."""
    return _RecordedStream(stream) if stream else None


def start_recording() -> None:
    """Record every process and every error message of this process from now on."""

    def record_message(self: BtctsError, *arguments: object) -> None:
        Exception.__init__(self, *arguments)
        EVIDENCE.record("the message of an error", " ".join(map(str, arguments)))

    subprocess.Popen = RecordedPopen  # type: ignore[misc]
    BtctsError.__init__ = record_message  # type: ignore[method-assign, assignment]


def judge_test(test: "pytest.Item", folder: Path | None, server: "Server | None") -> list[str]:
    """Return the leaks of the test that ends, in what it has said, and stored in its folder and its Redis."""
    for kind, _, text in test._report_sections:
        EVIDENCE.record(f"what the test captured ({kind})", text)
    if folder:
        EVIDENCE.record_folder(folder)
    if server and EVIDENCE.is_needed():
        record_server(server.socket)
    return EVIDENCE.judge()


def record_server(socket: Path, options: Sequence[str] = ()) -> None:
    """Take what a Redis of the test has stored, if it lives; `options` may name its password."""
    import redis  # the fork server has no use for it

    from support.servers import connect

    password = dict(itertools.pairwise(options)).get("--requirepass")
    with suppress(redis.RedisError, OSError), connect(socket, password=password, socket_timeout=5) as client:
        EVIDENCE.record_store(client)


def _is_started_by_product() -> bool:
    """Tell whether the nearest caller outside of the standard library is btcts."""
    frame = sys._getframe(2)
    while frame.f_back and frame.f_code.co_filename == subprocess.__file__:
        frame = frame.f_back
    return frame.f_code.co_filename.startswith(_PRODUCT)


def _spell(secret: str) -> tuple[set[str], set[str]]:
    """Return the lower-case words without escapes, and the base64 characters, that give the secret away."""
    octets = secret.encode(errors="surrogatepass")
    cores = set()
    for before in range(3):
        core = b64encode(bytes(before) + octets).decode()[-(-before * 8 // 6) : (before + len(octets)) * 8 // 6]
        cores |= {core, core.translate(str.maketrans("+/", "-_"))}
    words = {secret, _unescape(secret), _unescape(octets.decode("latin-1"))}
    return {octets.hex(), *(word.lower() for word in words)}, cores


def _unescape(text: str) -> str:
    """Return the text without escapes of JSON, Python, HTML and URLs, up to three layers of them."""
    for _ in range(3):
        before = text
        text = html.unescape(unquote(_ESCAPES.sub(lambda found: chr(int(found[1] or found[2], 16)), text)))
        text = text.replace("\\", "")
        if text == before:
            break
    return text


def _find_logins(texts: Iterable[str]) -> list[str]:
    return [unquote(part) for text in texts for found in _LOGIN.findall(text) for part in found]


def _keep_long(secrets: Iterable[str]) -> list[str]:
    return [secret for secret in secrets if len(secret) >= LEAST and secret != "default"]


def _read_small(path: str) -> str:
    """Return the text of a regular file that is not large, else nothing."""
    with suppress(OSError, ValueError):
        file = Path(path)
        if file.is_file() and file.stat().st_size <= LARGEST_FILE:
            return file.read_bytes().decode(errors="replace").strip()
    return ""


def _find_secrets_of_settings(file: Path) -> Iterator[str]:
    text = _read_small(str(file))
    yield from _find_logins([text])
    with suppress(tomllib.TOMLDecodeError, RecursionError):
        settings = tomllib.loads(text)
        tables = (settings, *(table for table in settings.values() if isinstance(table, dict)))
        for table in tables:
            yield from (str(table[name]) for name in ("api_key", "password") if name in table)


def _read_key(client: "redis.Redis", key: str) -> str:
    kind = client.type(key)
    if kind == "hash":
        return repr(client.hgetall(key))
    if kind == "string":
        return repr(client.get(key))
    return repr(client.execute_command("TS.INFO", key)) if kind == "TSDB-TYPE" else ""
