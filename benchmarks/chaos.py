"""Whether all is healed after 2000 schedules of faults: how often each fault occurred, and the seeds that fail.

    python benchmarks/chaos.py [SEEDS] [PROCESSES]

`python -m simulation.chaos --seeds 1 --first SEED -v`, in tests/, shows what happens in one of them.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from simulation.chaos.run import play_in_parallel


def main() -> int:
    """Play them; 1 when a seed fails."""
    seeds = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    jobs = int(sys.argv[2]) if len(sys.argv) > 2 else 2
    total = play_in_parallel(range(1, seeds + 1), jobs)
    print(total)
    return int(bool(total.failed))


if __name__ == "__main__":
    sys.exit(main())
