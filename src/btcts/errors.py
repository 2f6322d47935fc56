"""The errors that btcts reports, with the exit code of a command that ends with each.

    BtctsError              1   the base; never raised itself
    ├── ConfigError         2   a setting, an option or an input file is wrong
    ├── StoreError          3   Redis is there but does not do what is needed
    │   ├── StoreUnreachable    no answer, a dropped connection, a refused login: worth another try
    │   ├── NoTimeSeries        the server lacks the TimeSeries module
    │   └── ForeignKey          a key of ours belongs to somebody else
    ├── SpoolError          3   prices that wait for Redis cannot be kept, read or taken out
    ├── ProviderError       4   a price API gave no usable answer
    │   ├── ProviderLimited     it told us to wait until a time
    │   └── ProviderStopped     it will not answer until the user changes something
    └── EmbeddedError       5   the embedded redis-server cannot be installed, started or stopped

Messages say what, where, the value and the next step, in one line, lower case, without a full stop and
without a secret. Foreign exceptions become one of these once, in the module that met them.
"""

from collections.abc import Iterable
from enum import IntEnum

# The folder of this package, as it stands in front of the file names of tracebacks.
_SOURCE = __file__.removesuffix("errors.py")


class ExitCode(IntEnum):
    """The exit codes of `btcts`, as docs/commands.md explains them; those above 128 are a signal's number and 128."""

    DONE = 0
    FAILURE = 1
    USAGE = 2
    STORE = 3
    PROVIDERS = 4
    EMBEDDED = 5
    BUG = 70
    UNPRINTABLE = 74
    HANGUP = 129
    INTERRUPTED = 130
    TERMINATED = 143


class BtctsError(Exception):
    """A failure that is explained in one line."""

    exit_code = ExitCode.FAILURE


class ConfigError(BtctsError):
    """A setting, an option or an input file is wrong."""

    exit_code = ExitCode.USAGE


class StoreError(BtctsError):
    """Redis is there but does not do what is needed."""

    exit_code = ExitCode.STORE


class StoreUnreachable(StoreError):
    """Redis gave no answer; the same call may succeed later."""


class NoTimeSeries(StoreError):
    """The server lacks the TimeSeries module."""


class ForeignKey(StoreError):
    """A key with one of our names was made by another application."""


class SpoolError(BtctsError):
    """Prices for Redis or alerts for delivery that wait on the disk cannot be stored, read or removed."""

    exit_code = ExitCode.STORE


class Problem(str):
    """The message of a failure with the code of its cause, as docs/codes.md lists them; empty when it has none.

    Several providers may fail for the same cause; then `why` is the message without the address.
    """

    __slots__ = ("cause", "why")

    cause: str
    why: str

    def __new__(cls, words: str, cause: str = "", why: str = "") -> "Problem":
        """Return the words with their cause attached."""
        problem = super().__new__(cls, words)
        problem.cause = cause
        problem.why = why
        return problem


class ProviderError(BtctsError):
    """A price API gave no usable answer."""

    exit_code = ExitCode.PROVIDERS

    def __init__(self, provider: str, problem: str) -> None:
        super().__init__(f"{provider}: {problem}")
        self.provider = provider
        self.problem = problem


class ProviderLimited(ProviderError):
    """The provider must not be asked again before `until_ms`."""

    def __init__(self, provider: str, problem: str, *, until_ms: int) -> None:
        super().__init__(provider, problem)
        self.until_ms = until_ms


class ProviderStopped(ProviderError):
    """The provider will not answer until the user changes something (a key, a plan)."""


class EmbeddedError(BtctsError):
    """The embedded redis-server cannot be installed, started or stopped."""

    exit_code = ExitCode.EMBEDDED


def describe_unforeseen(exc: Exception) -> str:
    """Return the cause of an exception that no module translated: a resource shortage, or a bug.

    For a bug the message gives the line of code, so that it can be reported.
    """
    if isinstance(exc, BtctsError):
        return str(exc)
    if isinstance(exc, MemoryError):
        return "there is no memory left"
    if isinstance(exc, OSError) and exc.strerror:
        return exc.strerror.lower()
    if "start new thread" in str(exc):
        return "no thread can be started; raise the limits of threads and memory (ulimit -u, ulimit -v, TasksMax)"
    return f"a bug in btcts, at {_find_place(exc)}; please report it with what -v says"


def _find_place(exc: Exception) -> str:
    """Return the file and line of the innermost btcts frame in the traceback."""
    import traceback  # slow, and only bugs need it

    lines = ((frame.f_code.co_filename, line) for frame, line in traceback.walk_tb(exc.__traceback__))
    ours = [f"{file.removeprefix(_SOURCE)}:{line}" for file, line in lines if file.startswith(_SOURCE)]
    return ours[-1] if ours else "an unknown line"


def did_you_mean(word: str, words: Iterable[str]) -> str:
    """Return "; did you mean ...?" when one of `words` is close to the unknown word, else an empty string.

    Case is ignored. Dotted names with the same last part match first: the key is right but in the wrong table.
    """
    from difflib import get_close_matches

    known = {name.lower(): name for name in words}
    asked = word.lower()
    alike = [name for name in known if name.rpartition(".")[2] == asked.rpartition(".")[2]]
    matches = get_close_matches(asked, alike, n=1, cutoff=0) or get_close_matches(asked, known, n=1)
    return f"; did you mean {known[matches[0]]!r}?" if matches else ""
