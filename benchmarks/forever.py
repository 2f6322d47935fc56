"""Memory and processor time of `btcts collect --forever` while it waits for its next cycle.

    python benchmarks/forever.py [SECONDS]

The real command against local exchanges, every 10 s, for SECONDS (120) after its first half minute. Whether its memory
stays the same is measured by `hour.py`, which runs it faster and with faults.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from report import Row, print_rows

from support.exchanges import Exchanges, SimulatedMarket
from support.servers import Server

FIVE = ("coinbase", "kraken", "bitstamp", "bitfinex", "gemini")
WARM_UP_S = 30


def measure(process: int) -> tuple[float, float]:
    """Return the resident memory of a process in MiB, and its processor time in s."""
    words = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    pages, ticks = int(words[21]), int(words[11]) + int(words[12])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20, ticks / os.sysconf("SC_CLK_TCK")


def run(seconds: float) -> int:
    """Start all of it, measure, and print the table."""
    with tempfile.TemporaryDirectory() as folder, Exchanges(SimulatedMarket(), now_ms=now_ms) as exchanges:
        server = Server(Path(folder)).start()
        environ = {f"BTCTS_PROVIDERS_{name.upper()}_URL": exchanges.url(name) for name in FIVE}
        environ |= {"REDIS_URL": f"unix://{server.socket}", "BTCTS_DATA_DIR": folder, "HOME": folder}
        command = [sys.executable, "-m", "btcts", "collect", "--forever", "--quiet"]
        with subprocess.Popen(command, env={"PATH": os.environ["PATH"], **environ}) as process:
            try:
                time.sleep(WARM_UP_S)
                _, before_s = measure(process.pid)
                time.sleep(seconds)
                memory_mib, after_s = measure(process.pid)
            finally:
                process.kill()
                server.kill()
    busy = 100 * (after_s - before_s) / seconds
    return print_rows([Row("memory", 60, [memory_mib], "MiB"), Row("of a core, every 10 s", 1, [busy], "%")])


def now_ms() -> int:
    """Return the present."""
    return time.time_ns() // 1_000_000


if __name__ == "__main__":
    sys.exit(run(float(sys.argv[1]) if len(sys.argv) > 1 else 120.0))
