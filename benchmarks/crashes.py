"""
Killing processes that fill a disk tier: what is lost, what is wrong, what is too much.

    python -m benchmarks.crashes [--runs 500] [--seed 1] [--directory DIR]
"""

import argparse
import sys
import tempfile
from pathlib import Path

import attrs

from tests.cache.crashes import Crashes

_RUNS_PER_DIRECTORY = 25


def main() -> int:
    """
    Read the arguments, run, and print the counts.

    Returns:
        The exit code: 1 when anything is not as it should be.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--directory", type=Path)
    given = parser.parse_args()
    totals: dict[str, int] = {}
    done = 0
    while done < given.runs:
        with tempfile.TemporaryDirectory(
            prefix="eliop2p-bench-", dir=given.directory
        ) as scratch:
            crashes = Crashes(str(Path(scratch, "cache")), given.seed + done)
            for _ in range(min(_RUNS_PER_DIRECTORY, given.runs - done)):
                crashes.crash(given.seed + done)
                done += 1
        for name, count in attrs.asdict(crashes.tally).items():
            more = max if name == "most" else int.__add__
            totals[name] = more(totals.get(name, 0), count)
        counts = (f"{name} {count}" for name, count in totals.items())
        print(", ".join(counts), flush=True)
    bad = ("wrong", "wrong_bytes", "lost", "lost_synced", "over")
    return int(any(totals[name] for name in bad))


if __name__ == "__main__":
    sys.exit(main())
