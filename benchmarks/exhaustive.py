"""Whether all holds of which the tests take samples: run it before a release, and when such code changes.

    python benchmarks/exhaustive.py [--jobs N]

2000 schedules of faults, a kill at every step, a week of outages, a calm one and thirty hours of recorded prices with
a cycle a minute, days of two collectors, every hostile value of a side key, and the table of lies. The counts of each
part come last; a failure names its seed, story or scenario, and the exit code is 1 then. It takes hours.
"""

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
SAMPLED = (
    "tests/simulation",
    "tests/services/collect/test_killed.py",
    "tests/render/show/test_pages.py",
    "tests/store/test_simulated_days.py",
    "tests/cli/test_side_keys.py",
)


def main() -> int:
    """Run the whole; 1 when anything fails."""
    parser = argparse.ArgumentParser(description="Play everything of which the tests take samples.")
    parser.add_argument("--jobs", default="2", help="so many processes")
    jobs = parser.parse_args().jobs
    began = time.monotonic()
    failed = 0
    for words in (["-m", "pytest", "-n", jobs, *SAMPLED], ["benchmarks/lies.py", "--jobs", jobs]):
        print("$ python", *words, flush=True)
        environ = {**os.environ, "BTCTS_TEST_SAMPLE": "all"}
        failed += bool(subprocess.run([sys.executable, *words], cwd=ROOT, env=environ, check=False).returncode)
    print(f"{'something failed' if failed else 'all holds'}; took {time.monotonic() - began:.0f} s")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
