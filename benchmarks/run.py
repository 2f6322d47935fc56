"""Run the benchmarks that measure, and print their tables: each bar, the figure, its spread, and the verdict.

    python benchmarks/run.py [NAME ...]

It takes about half an hour, and ends with 1 where a bar is missed. NAME is that of a module here, such as `startup`;
without one all run. Those that play in real time run for a few minutes only; by themselves they run for longer.
"""

import subprocess
import sys
import time
from pathlib import Path

MEASURING = {
    "startup": (),
    "store": (),
    "blocking": (),
    "forever": (),
    "day": (),
    "streams": ("--minutes", "3"),
    "storm": ("--minutes", "4"),
    "traffic": ("3",),
    "peers": (),
}
"""The modules, and the arguments with which they take a few minutes."""


def main() -> int:
    """Run each in a process of its own, as one may leave others a busy allocator or threads."""
    codes = {}
    for name in sys.argv[1:] or MEASURING:
        began = time.monotonic()
        print(f"\n{name}", flush=True)
        command = [sys.executable, str(Path(__file__).with_name(f"{name}.py")), *MEASURING[name]]
        codes[name] = subprocess.run(command, check=False).returncode
        print(f"{name} took {time.monotonic() - began:.0f} s", flush=True)
    missing = [name for name, code in codes.items() if code]
    print(f"\nbars missed, or an error: {', '.join(missing) or 'none'}")
    return int(bool(missing))


if __name__ == "__main__":
    sys.exit(main())
