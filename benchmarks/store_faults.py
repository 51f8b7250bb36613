"""
Reads from a store that fails, lies and breaks off: what clients get, and what is kept.

    python -m benchmarks.store_faults [--cases 10000] [--seed 1]

Each case is an object of its own, read cold or warm through clusters of one to four
nodes, on a simulated clock, while answers of the store are wrong in some way; and read
again, in full and in parts and through every node, when the store is right again.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from twisted.logger import ILogObserver, LogEvent, formatEvent, globalLogPublisher
from zope.interface import provider

from tests.simulation.fault_cases import FaultCases, Tally, small_streams

_PER_CLUSTER = 25


@contextmanager
def tracebacks(found: list[str]) -> Iterator[None]:
    """
    Collect the exceptions that are logged: nothing that a store says is to raise what
    nobody has thought of.
    """

    @provider(ILogObserver)
    def observe(event: LogEvent) -> None:
        if event.get("log_failure") is not None:
            found.append(f"{formatEvent(event)}: {event['log_failure'].getTraceback()}")

    globalLogPublisher.addObserver(observe)
    try:
        yield
    finally:
        globalLogPublisher.removeObserver(observe)


def _print(done: int, tally: Tally, seconds: float) -> None:
    faulty = sum(tally.faults.values())
    print(
        f"{done} cases in {seconds:.0f} s: {faulty} wrong answers of the store, of "
        f"{len(tally.faults)} kinds"
    )
    for name, count in tally.answers.most_common():
        print(f"  {count:7} answers while it was wrong: {name}")
    print(f"  {tally.recovered:7} answers afterwards: right")
    print(f"  {tally.broken:7} answers afterwards: broken off, and right the next time")
    print(f"  {len(tally.wrong):7} answers that must not be", flush=True)


def main() -> int:
    """
    Read the arguments, run, and print the counts.

    Returns:
        The exit code: 1 when anything is not as it should be.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    total = Tally()
    done, since = 0, time.perf_counter()
    while done < given.cases:
        with tempfile.TemporaryDirectory(prefix="eliop2p-") as scratch, small_streams():
            cases = FaultCases(Path(scratch, "nodes"), given.seed + done)
            with tracebacks(cases.tally.wrong):
                for number in range(min(_PER_CLUSTER, given.cases - done)):
                    cases.run(number)
                    done += 1
                cases.cluster.stop()
        total.faults += cases.tally.faults
        total.answers += cases.tally.answers
        total.recovered += cases.tally.recovered
        total.broken += cases.tally.broken
        total.wrong += cases.tally.wrong
        if cases.tally.wrong or done % 500 == 0:
            _print(done, total, time.perf_counter() - since)
            print("\n".join(cases.tally.wrong))
    _print(done, total, time.perf_counter() - since)
    return int(bool(total.wrong))


if __name__ == "__main__":
    sys.exit(main())
