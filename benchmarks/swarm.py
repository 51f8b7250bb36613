"""
The swarm against the bounds of physics, by simulation of its real code.

Run from the root of the repository, all scenarios or some of them::

    python -m benchmarks.swarm --nodes 10 100 --scenario cold slow
    python -m benchmarks.swarm --scenario epochs
    python -m benchmarks.swarm --chaos 2000

Everything but ``--nodes 1000`` takes minutes at most.
"""

import argparse
import random
import sys
import time
from pathlib import Path

from eliop2p.model.chunk import MIB
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
        f"{outcome.messages:.1f} | {outcome.entries} | "
        f"{outcome.wrong + outcome.failed + outcome.hanging} | {plan.seed} | "
        f"{seconds:.0f} s |"
    )


def chaos(seed: int) -> Outcome:
    """
    Run a small crowd whose size, links and misfortune are made from a seed.
    """
    rng = random.Random(seed)
    plan = CrowdPlan(
        nodes=rng.randint(2, 9),
        chunks=rng.randint(1, 8),
        uplink=rng.choice((1e8, 1e9)),
        store_latency=rng.choice((0.001, 0.02, 0.5)),
        latency=rng.choice((0.0001, 0.005)),
        spread=rng.choice((0.0, 0.1, 2.0)),
        loss=rng.choice((0.0, 0.0, 0.01)),
        seed=seed,
    )
    name = rng.choice(sorted(SCENARIOS))
    return SCENARIOS[name](plan, lambda *_: None)


def run_chaos(count: int) -> int:
    """
    Run seeds 0 to count, and tell what was found.
    """
    wrong = failed = hanging = reads = 0
    for seed in range(count):
        outcome = chaos(seed)
        reads += outcome.counted
        wrong += outcome.wrong
        failed += outcome.failed
        hanging += outcome.hanging
        if outcome.wrong or outcome.hanging:
            print(f"seed {seed}: {outcome.wrong} wrong, {outcome.hanging} hanging")
    print(
        f"{count} scenarios, {reads} reads: {wrong} with a wrong byte, {hanging} "
        f"hanging, {failed} failed with an error"
    )
    return int(bool(wrong or hanging))


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
    parser.add_argument("--plot", type=Path)
    options = parser.parse_args()
    if options.chaos:
        return run_chaos(options.chaos)
    outcomes = []
    print(
        "| scenario | nodes | bound | 50% / 100% | amplification | messages |", end=""
    )
    print(" entries | bad | seed | CPU |\n|---|---|---|---|---|---|---|---|---|---|")
    for name in options.scenario:
        for nodes in options.nodes:
            size = LARGE if options.large else {}
            plan = CrowdPlan(
                nodes=nodes, chunks=options.chunks, seed=options.seed, **size
            )
            if name == "epochs":
                for cache in CACHES:
                    shares = epochs(plan, cache)
                    text = ", ".join(f"{share:.2f}" for share in shares)
                    print(f"epochs, {nodes} nodes, cache {cache}: {text}")
                continue
            begun = time.process_time()
            outcome = SCENARIOS[name](plan, lambda *_: None)
            print(row(name, outcome, time.process_time() - begun), flush=True)
            outcomes.append((f"{name}, {nodes} nodes", outcome))
    if options.plot:
        title = "Nodes that have the object, over time relative to the bound"
        options.plot.write_text(plot(title, outcomes))
    return 0


if __name__ == "__main__":
    sys.exit(main())
