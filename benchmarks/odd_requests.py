"""Requests that nobody should send, to the real `btcts serve`: none makes it fail, grow, or tell a secret.

    python benchmarks/odd_requests.py [--requests 10000] [--first 1]

Between them come clients that never finish their head, never read, or hold a connection and say nothing. At the end
memory, descriptors and threads are what they were after a tenth. tests/web/test_odd_requests.py does a few hundred.
"""

import argparse
import os
import socket
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from forever import measure
from serve import start_serving, write_prices

from support.leaks import PLANTED_KEY, PLANTED_PASSWORD
from support.odd_requests import judge
from support.servers import Server

TOKEN = "0123456789abcdef-token"
MOST_GROWTH_MIB = 8
SLOW = (b"", b"GET / HT", b"GET /api/show HTTP/1.1\r\nHost: localhost\r\n\r\n" * 300)


def count_descriptors(process: int) -> int:
    """Return how many files a process has open."""
    return len(os.listdir(f"/proc/{process}/fd"))  # noqa: PTH208 -- names alone


def open_slow(place: tuple[str, int]) -> list[socket.socket]:
    """Open connections that say nothing, do not finish, or do not read."""
    connections = [socket.create_connection(place) for _ in range(100)]
    for number, connection in enumerate(connections):
        connection.setblocking(False)
        connection.send(SLOW[number % len(SLOW)] or b"\n")
    return connections


def run(first: int, count: int) -> int:
    """Send them all, and print what came of them; 1 when something is wrong."""
    secrets = [TOKEN, PLANTED_KEY, PLANTED_PASSWORD]
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        (Path(folder) / "token").write_text(TOKEN)
        server = Server(Path(folder)).start()
        stack.callback(server.kill)
        stack.enter_context(write_prices(server))
        serving = stack.enter_context(
            start_serving(server, folder, "--token-file", f"{folder}/token", API_KEY=PLANTED_KEY)
        )
        began, tenth = time.monotonic(), count // 10
        slow = open_slow(serving.place)
        judged = judge(range(first, first + tenth), serving.place, TOKEN, secrets)
        before_mib, before = measure(serving.pid)[0], count_descriptors(serving.pid)
        rest = judge(range(first + tenth, first + count), serving.place, TOKEN, secrets)
        judged.statuses.update(rest.statuses)
        judged.problems += rest.problems
        after_mib = measure(serving.pid)[0]
        time.sleep(max(1, began + 35 - time.monotonic()))  # who asks for nothing has 10 s, who reads nothing 30
        after = count_descriptors(serving.pid)
        for connection in slow:
            connection.close()
        log = serving.end()
    judged.problems += [f"log: {line}" for line in log.splitlines()[:60]]
    if after_mib > before_mib + MOST_GROWTH_MIB or after > before:
        judged.problems.append("it has grown")
    print(*(f"{number:6d}  {status or 'none'}" for status, number in sorted(judged.statuses.items())), sep="\n")
    print(f"{count} requests in {time.monotonic() - began:.0f} s; {before_mib:.1f}, then {after_mib:.1f} MiB; ", end="")
    print(f"{before}, then {after} descriptors")
    print(f"{len(judged.problems)} problems", *judged.problems[:90], sep="\n  ")
    return int(bool(judged.problems))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Send odd requests to btcts serve.")
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--first", type=int, default=1)
    arguments = parser.parse_args()
    sys.exit(run(arguments.first, arguments.requests))
