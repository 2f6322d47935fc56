"""A simulated week with an outage of each kind a day: what tests/simulation/test_week.py does, at shorter intervals.

    python benchmarks/week.py [--days 7] [--interval 60] [--calm]

Whether all of it is as promised, how soon the status tells each outage, and what each provider is asked in a day. With
an interval of 60 s it takes a quarter of an hour, with 10 s an hour.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from simulation.week import main

if __name__ == "__main__":
    sys.exit(main())
