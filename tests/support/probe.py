"""The surroundings of a process: `python -m support.probe`, in tests/, prints them as JSON."""

import gc
import json
import locale
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any


def describe_stream(stream: Any) -> list[object]:
    """Describe how a standard stream is opened."""
    found = [stream.name, stream.mode, stream.encoding, stream.errors, stream.newlines]
    return [*found, stream.line_buffering, stream.write_through, stream.isatty(), repr(stream.buffer)]


def main() -> None:
    """Print it."""
    umask = os.umask(0)
    found = {
        "arguments": sys.argv,
        "environment": dict(os.environ),
        "exported": sorted(map(repr, subprocess.check_output(["env", "-0"]).split(b"\0"))),
        "folder": str(Path.cwd()),
        "imported from": sys.path,
        "umask": umask,
        "streams": [describe_stream(stream) for stream in (sys.stdin, sys.stdout, sys.stderr)],
        "originals": [sys.stdin is sys.__stdin__, sys.stdout is sys.__stdout__, sys.stderr is sys.__stderr__],
        "signals": [str(signal.getsignal(number)) for number in sorted(signal.valid_signals())],
        "blocked": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, [])),
        "zone": time.tzname,
        "locale": locale.setlocale(locale.LC_ALL, None),
        "leads a session": os.getsid(0) == os.getpid(),
        "leads a group": os.getpgid(0) == os.getpid(),
        "limits": [resource.getrlimit(number) for number in range(16)],
        "descriptors": sorted(entry.name for entry in Path("/dev/fd").iterdir() if entry.exists()),
        "priority": os.getpriority(os.PRIO_PROCESS, 0),
        "threads": threading.active_count(),
        "collects": gc.isenabled(),
        "flags": str(sys.flags),
    }
    print(json.dumps(found, sort_keys=True))  # noqa: T201 -- how it reports to the test


if __name__ == "__main__":
    main()
