"""What `btcts serve` does under load: answers a second, how long they take, memory, and looks at Redis.

    python benchmarks/serve.py [--seconds 10] [--streams 500]

The real command on a Redis of its own with a new price each second, while that many readers follow `/events`. Each
path is asked by wrk (a package of Debian): 1 000 times a second, and then as often as one connection after another can.
wrk and the readers share the cores with the server.
"""

import argparse
import os
import re
import selectors
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from forever import measure
from report import Row, print_rows

from btcts.config import BTC_USD
from btcts.domain.clock import ServerClock
from btcts.domain.layout import window
from btcts.store import Store
from support.series import wave
from support.servers import Server, connect

PATHS = ("/api/price", "/metrics", "/")
CONNECTIONS = 20
PACED = "function delay() return 19 end\n"
"""20 connections that wait for 19 ms and some between two requests: a little less than 1 000 a second."""

LINE = re.compile(r"serving .* at http://(127\.0\.0\.1):(\d+)")


class Readers(threading.Thread):
    """Follow the events on many connections; `beats` counts how many have come."""

    def __init__(self, place: tuple[str, int], count: int) -> None:
        super().__init__(daemon=True)
        self.beats = 0
        self._over = threading.Event()
        self._ready = selectors.DefaultSelector()
        for _ in range(count):
            connection = socket.create_connection(place)
            connection.sendall(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")
            self._ready.register(connection, selectors.EVENT_READ)

    def run(self) -> None:
        """Read whatever comes."""
        while not self._over.is_set():
            for key, _ in self._ready.select(0.2):
                assert isinstance(key.fileobj, socket.socket)
                if part := key.fileobj.recv(1 << 17):
                    self.beats += part.count(b"event: beat")
                else:
                    self._ready.unregister(key.fileobj)

    def end(self) -> None:
        """Hang up."""
        self._over.set()
        self.join()
        for key in list(self._ready.get_map().values()):
            assert isinstance(key.fileobj, socket.socket)
            key.fileobj.close()


@contextmanager
def write_prices(server: Server) -> Iterator[None]:
    """Fill the store, and write a new price each second."""
    over = threading.Event()
    with connect(server.socket) as client:
        store, clock = Store(client, BTC_USD, clock=ServerClock(), where="benchmark"), ServerClock()
        store.write(wave(window(clock.now_ms()).start_ms, clock.now_ms(), 30_000))

        def go_on() -> None:
            while not over.wait(1):
                store.write(wave(clock.now_ms(), clock.now_ms() + 1, 1))

        thread = threading.Thread(target=go_on)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()


class Serving:
    """The command as a process, and where it listens."""

    def __init__(self, server: Server, folder: str, *options: str, **changes: str) -> None:
        environ = {"REDIS_URL": f"unix://{server.socket}", "BTCTS_DATA_DIR": folder, "HOME": folder, **changes}
        command = [sys.executable, "-m", "btcts", "serve", "--listen", "127.0.0.1:0", *options]
        environ["PATH"] = os.environ["PATH"]
        self._process = subprocess.Popen(command, env=environ, stderr=subprocess.PIPE, text=True)
        self.pid = self._process.pid
        assert self._process.stderr
        found = LINE.search(self._process.stderr.readline())
        assert found
        self.place = found[1], int(found[2])
        time.sleep(2)

    def end(self) -> str:
        """End it, and return what it has said, once."""
        if self._process.poll() is not None:
            return ""
        self._process.terminate()
        return self._process.communicate()[1]


@contextmanager
def start_serving(server: Server, folder: str, *options: str, **changes: str) -> Iterator[Serving]:
    """Start the command, and end it."""
    serving = Serving(server, folder, *options, **changes)
    try:
        yield serving
    finally:
        serving.end()


def ask(url: str, seconds: int, script: str | None) -> dict[str, float]:
    """Let wrk ask; return requests a second, p50 and p99 in ms, and answers that were no success."""
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as file:
        file.write(script or "")
        file.flush()
        command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--latency", "-s", file.name, url]
        text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    units = {"us": 1e-3, "ms": 1.0, "s": 1e3}
    quantiles = {name: float(value) * units[unit] for name, value, unit in re.findall(r"(\d+)%\s+([\d.]+)(\w+)", text)}
    failed = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    rate = re.search(r"Requests/sec:\s+([\d.]+)", text)
    assert rate
    return {
        "rate": float(rate[1]),
        "p50": quantiles["50"],
        "p99": quantiles["99"],
        "failed": float(failed[1]) if failed else 0.0,
    }


def count_commands(server: Server) -> int:
    """Return how many commands Redis has answered, without those of the benchmark."""
    with connect(server.socket) as client:
        stats = client.info("commandstats")
    return sum(stat["calls"] for name, stat in stats.items() if name in ("cmdstat_ts.get", "cmdstat_ts.revrange"))


def run(seconds: int, streams: int) -> int:
    """Start all of it, measure, and print the table."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        server = Server(Path(folder)).start()
        stack.callback(server.kill)
        stack.enter_context(write_prices(server))
        serving = stack.enter_context(start_serving(server, folder))
        process, place = serving.pid, serving.place
        url = f"http://{place[0]}:{place[1]}"

        def count_for(seconds: float) -> float:
            before = count_commands(server)
            time.sleep(seconds)
            return (count_commands(server) - before) / seconds

        alone, (idle_mib, idle_s) = count_for(seconds), measure(process)
        readers = Readers(place, streams)
        readers.start()
        stack.callback(readers.end)
        time.sleep(2)
        beats, (_, before_s) = readers.beats, measure(process)
        time.sleep(seconds)
        followed, streaming = (readers.beats - beats) / seconds, 100 * (measure(process)[1] - before_s) / seconds
        print(f"alone: {idle_mib:.0f} MiB, {alone:.1f} reads a second; {idle_s:.2f} s of a core so far")
        print(f"{streams} streams: {followed:.0f} beats a second, {streaming:.1f} % of a core")
        costs = {}
        for path in PATHS:
            before = count_commands(server)
            paced = ask(url + path, seconds, PACED)
            reads = (count_commands(server) - before) / seconds
            _, before_s = measure(process)
            most = ask(url + path, seconds, None)
            busy_us = 1e6 * (measure(process)[1] - before_s) - 1e4 * streaming * seconds
            costs[path] = busy_us / (most["rate"] * seconds)
            failed = paced["failed"] + most["failed"]
            print(
                f"{path:<11} {paced['rate']:5.0f}/s: p50 {paced['p50']:5.2f} p99 {paced['p99']:6.2f} ms, "
                f"{reads:.1f} reads a second; at most {most['rate']:5.0f}/s: p50 {most['p50']:5.2f} "
                f"p99 {most['p99']:6.2f} ms, {costs[path]:.0f} us of a core each; failed {failed:.0f}"
            )
        memory_mib, _ = measure(process)
    return print_rows(
        [
            Row(f"{streams} streams, of a core", 10, [streaming], "%"),
            *(Row(f"GET {path}, of a core", 500, [costs[path]], "us") for path in PATHS),
            Row("memory after the load", 80, [memory_mib], "MiB"),
        ]
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Measure btcts serve under load.")
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--streams", type=int, default=500)
    if not shutil.which("wrk"):
        sys.exit("needs wrk: apt-get install wrk")
    arguments = parser.parse_args()
    sys.exit(run(arguments.seconds, arguments.streams))
