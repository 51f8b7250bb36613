"""
The swarm against the bounds of physics, by simulation of its real code.

Run from the root of the repository, all scenarios or some of them::

    python -m benchmarks.swarm --nodes 10 100 --scenario cold slow
    python -m benchmarks.swarm --scenario epochs
    python -m benchmarks.swarm --chaos 2000 --first 0

Everything but ``--nodes 1000`` takes minutes at most.
"""

import argparse
import sys
import time
from pathlib import Path

from eliop2p.model.chunk import MIB
from eliop2p.testing.chaos import make_case, run_case, shrink
from eliop2p.testing.crowd_parts import CrowdPlan
from eliop2p.testing.crowd_plot import plot
from eliop2p.testing.scenarios import SCENARIOS, Outcome, epochs

CACHES = (0.5, 0.8, 1.25)
LARGE = {"chunk_size": 64 * MIB, "scale": 1024}
"""
What the plans have in common whose time is long enough to notice that a node is silent:
4 GiB in 64 chunks.
"""


def row(name: str, outcome: Outcome, seconds: float) -> str:
    """
    Write a line of the table.
    """
    plan = outcome.plan
    return (
        f"| {name} | {plan.nodes} | {plan.bound:.2f} s | {outcome.ratio(0.5):.2f} / "
        f"{outcome.ratio(1.0):.2f} | {outcome.amplification:.3f} | "
        f"{outcome.least:.3f} | {outcome.messages:.1f} | {outcome.entries} | "
        f"{outcome.wrong + outcome.failed + outcome.hanging} | {plan.seed} | "
        f"{seconds:.0f} s |"
    )


def run_chaos(first: int, count: int) -> int:
    """
    Run the cases of seeds, and tell what was found, and the smallest case of each.
    """
    reads = failed = bad = 0
    for seed in range(first, first + count):
        case = make_case(seed)
        verdict = run_case(case)
        reads += verdict.outcome.counted
        failed += verdict.outcome.failed
        if verdict.problems:
            bad += 1
            small = shrink(case, lambda each: bool(run_case(each).problems), 40)
            found = "; ".join(verdict.problems[:4])[:2000]
            print(f"seed {seed}: {found}\n  smallest: {small}", flush=True)
    print(
        f"seeds {first} to {first + count - 1}: {count} scenarios, {reads} reads, "
        f"{failed} failed with an error, {bad} scenarios went wrong",
        flush=True,
    )
    return int(bad > 0)


def run_scenarios(options: argparse.Namespace) -> list[tuple[str, Outcome]]:
    """
    Run the scenarios that are asked for, and print a line for each.
    """
    print(
        "| scenario | nodes | bound | 50% / 100% | amplification | least | messages |",
        end=" entries | bad | seed | CPU |\n",
    )
    print("|---" * 11 + "|")
    outcomes = []
    for name in options.scenario:
        for nodes in options.nodes:
            size = LARGE if options.large else {}
            plan = CrowdPlan(
                nodes=nodes, chunks=options.chunks, seed=options.seed, **size
            )
            if name == "epochs":
                show_epochs(plan)
                continue
            begun = time.process_time()
            outcome = SCENARIOS[name](plan, lambda *_: None)
            print(row(name, outcome, time.process_time() - begun), flush=True)
            outcomes.append((f"{name}, {nodes} nodes", outcome))
    for title, outcome in outcomes:
        if outcome.joining:
            print(f"{title}: knew each other after {outcome.joining:.2f} s")
        print(f"\n{title}: at most on one node | found | bound\n---|---|---")
        for peak in outcome.peaks:
            print(f"{peak.what} | {peak.most} | {peak.bound}")
    return outcomes


def show_epochs(plan: CrowdPlan) -> None:
    """
    Run epochs, and print what each read from the store.
    """
    for cache in CACHES:
        text = ", ".join(f"{share:.2f}" for share in epochs(plan, cache))
        print(f"epochs, {plan.nodes} nodes, cache {cache}: {text}", flush=True)


def main() -> int:
    """
    Run what is asked for.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("--nodes", type=int, nargs="+", default=[10, 100])
    parser.add_argument("--chunks", type=int, default=64)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--large", action="store_true", help="4 GiB, not 512 MiB")
    parser.add_argument(
        "--scenario", nargs="+", default=["cold"], choices=[*SCENARIOS, "epochs"]
    )
    parser.add_argument("--chaos", type=int, metavar="SEEDS")
    parser.add_argument("--first", type=int, default=0, help="the first of the SEEDS")
    parser.add_argument("--plot", type=Path)
    options = parser.parse_args()
    if options.chaos:
        return run_chaos(options.first, options.chaos)
    outcomes = run_scenarios(options)
    if options.plot:
        title = "Nodes that have the object, over time relative to the bound"
        options.plot.write_text(plot(title, outcomes))
    return 0


if __name__ == "__main__":
    sys.exit(main())
