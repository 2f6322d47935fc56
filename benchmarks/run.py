"""Run the benchmarks that measure, and print one table: each bar, the figure, its spread, and the verdict.

    python benchmarks/run.py [NAME ...]

It ends with 1 where a bar is missed. NAME is that of a module here, such as `startup`; without one all run.
"""

import subprocess
import sys
from pathlib import Path

MEASURING = ("startup", "store", "blocking", "forever", "streams", "storm", "traffic", "serve", "peers")


def main() -> int:
    """Run each in a process of its own, as one may leave others a busy allocator or threads."""
    codes = []
    for name in sys.argv[1:] or MEASURING:
        print(f"\n{name}", flush=True)
        codes.append(subprocess.run([sys.executable, Path(__file__).with_name(f"{name}.py")], check=False).returncode)
    return int(any(codes))


if __name__ == "__main__":
    sys.exit(main())
