"""
Many random steps in the lives of the cache backends, with crashes and damage, compared
with a dictionary after each.

    python -m benchmarks.backend_machines [--steps 100000] [--backend lmdb ...]
"""

import argparse
import sys
import time
import traceback

from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.cache.backend_machine import BackendMachine, machine_for
from tests.cache.backend_rigs import RIGS

_LIVES = 200
_STEPS_OF_A_LIFE = 100

_SETTINGS = settings(
    max_examples=_LIVES,
    stateful_step_count=_STEPS_OF_A_LIFE,
    deadline=None,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


def run(machine: type[BackendMachine], steps: int) -> int:
    """
    Run a machine until so many steps have been done.

    Returns:
        How often the backend and the dictionary differed.
    """
    differences = 0
    while machine.counts["steps"] < steps:
        try:
            run_state_machine_as_test(machine, settings=_SETTINGS)
        except Exception:  # noqa: BLE001  Whatever it is, it is a difference.
            differences += 1
            traceback.print_exc()
            if differences == 3:
                break
    return differences


def main() -> None:
    """
    Read the arguments, run, and print what happened.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=100_000)
    parser.add_argument("--backend", choices=RIGS, nargs="+", default=list(RIGS))
    given = parser.parse_args()
    failed = False
    print(
        f"{'backend':10} {'steps':>8} {'crashes':>8} {'stops':>7} {'damages':>8} "
        f"{'differences':>12} {'seconds':>8}"
    )
    for name in given.backend:
        machine = machine_for(RIGS[name])
        begun = time.perf_counter()
        differences = run(machine, given.steps)
        counts, seconds = machine.counts, time.perf_counter() - begun
        failed = failed or differences > 0
        print(
            f"{name:10} {counts['steps']:8} {counts['crashes']:8} {counts['stops']:7} "
            f"{counts['damages']:8} {differences:12} {seconds:8.0f}",
            flush=True,
        )
    sys.exit(failed)


if __name__ == "__main__":
    main()
