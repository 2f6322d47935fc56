"""Try all cases of which the tests take samples: run it before a release, and when such code changes.

    python benchmarks/exhaustive.py [--part PART]... [--sample NUMBER] [--jobs N]

2000 schedules of faults, and 1000 more of collectors with streams (`chaos`), 300 of failovers in a cluster and 300
under Sentinels (`failover`), the table of lies (`lies`), a kill at every step (`kills`), a week of outages and a calm
one and thirty hours of recorded prices with a cycle a minute (`weeks`), days of two collectors and claims of exactness
(`days`), every hostile value of a side key (`side-keys`), odd requests to the server (`requests`), and pages of every
width (`pages`). Each line names the seeds, the story or the scenarios that it tells of; the exit code is 1 when
anything fails. The whole takes about an hour and a half on two cores; with `--sample` each part plays no more than the
tests do on the day of that number.
"""

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
PARTS = {
    "chaos": ("tests/simulation/test_chaos.py",),
    "failover": ("tests/simulation/test_failovers.py",),
    "lies": ("tests/simulation/test_lies.py",),
    "kills": (
        "tests/services/collect/test_killed.py",
        "tests/services/collect/test_killed_copy.py",
        "tests/services/collect/test_live_killed.py",
        "tests/services/collect/test_live_outages.py",
        "tests/services/collect/test_spooling.py",
        "tests/services/watch/test_watcher.py",
    ),
    "weeks": ("tests/simulation/test_week.py", "tests/simulation/test_thirty_hours.py"),
    "days": ("tests/store/test_simulated_days.py", "tests/store/test_exact_at_random.py"),
    "side-keys": ("tests/cli/test_side_keys.py",),
    "requests": ("tests/web/test_odd_requests.py",),
    "pages": ("tests/render/show/test_pages.py",),
}


def main() -> int:
    """Run the whole or some parts of it; 1 when anything fails."""
    parser = argparse.ArgumentParser(description="Play everything of which the tests take samples.")
    parser.add_argument("--part", action="append", choices=PARTS, help="this one (default: all)")
    parser.add_argument("--sample", default="all", help="the number of a sample of it (default: all of it)")
    parser.add_argument("--jobs", default="2", help="so many processes")
    chosen = parser.parse_args()
    failed = [part for part in chosen.part or PARTS if not holds(part, chosen.sample, chosen.jobs)]
    print(f"failed: {', '.join(failed)}" if failed else "all holds")
    return int(bool(failed))


def holds(part: str, sample: str, jobs: str) -> bool:
    """Play a part and print what came of it."""
    calls = [["-m", "pytest", "-vv", "-n", jobs, *PARTS[part]]]
    if part == "lies":
        calls.append(["benchmarks/lies.py", "--jobs", jobs, *([] if sample == "all" else ["--quick"])])
    environ = {**os.environ, "BTCTS_TEST_SAMPLE": sample}
    began, good = time.monotonic(), True
    for words in calls:
        print("$ python", *words, flush=True)
        good &= subprocess.run([sys.executable, *words], cwd=ROOT, env=environ, check=False).returncode == 0
    print(f"{part}: {'holds' if good else 'FAILED'}, {time.monotonic() - began:.0f} s", flush=True)
    return good


if __name__ == "__main__":
    sys.exit(main())
