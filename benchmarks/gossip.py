"""
How soon a death is known, and how often the living are suspected, in virtual time.

``python -m benchmarks.gossip`` runs a thousand nodes that gossip message by message
(:mod:`eliop2p.testing.simgossip`), five messages in a hundred one to three seconds
late, lets them be, then kills one, lets it come back, and lets it leave.
"""

import argparse
import time

from eliop2p.testing.simgossip import Town, Weather

VICTIM = "node-0003"


STEP = 0.05
PATIENCE = 20.0


def until(town: Town, node_id: str, known: int) -> float:
    """
    Let time pass until a node is a member of so many others.

    Returns:
        How many seconds.
    """
    begun = town.clock.seconds()
    while town.know(node_id) != known:
        if town.clock.seconds() - begun > PATIENCE:
            raise TimeoutError(f"{town.know(node_id)} know, not {known}")
        town.pass_time(STEP)
    return town.clock.seconds() - begun


def run(size: int, stalled: float, calm: float, seed: int) -> None:
    """
    Run one town and print what became of it.
    """
    begun = time.process_time()
    town = Town(size, seed, Weather(stalled=stalled))
    town.start()
    town.pass_time(calm)
    probes = sum(gossip.probes for gossip in town.nodes.values())
    failed = sum(gossip.failed for gossip in town.nodes.values())
    wrong = len(town.removed)
    print(f"{size} nodes, {stalled:.0%} of messages 1..3 s late, {calm:g} s:")
    print(f"  {probes} probes, {failed} live nodes suspected: {failed / probes:.4%}")
    print(f"  {wrong} times a live node was removed")
    killed = town.clock.seconds()
    town.kill(VICTIM)
    town.pass_time(6)
    told = {who: when for when, who, whom in town.removed if whom == VICTIM}
    told.pop(VICTIM, None)
    latest = max(told.values(), default=killed) - killed
    print(f"one killed: {len(told)} of {size - 1} know, the last after {latest:.2f} s")
    town.restart(VICTIM)
    print(f"it came back: all knew after {until(town, VICTIM, size - 1):.2f} s")
    town.nodes[VICTIM].stopService()
    print(f"it left: all knew after {until(town, VICTIM, 0):.2f} s")
    print(
        f"{town.messages / size / town.clock.seconds():.1f} messages per node and "
        f"second; {time.process_time() - begun:.0f} s of processor time"
    )


def main() -> None:
    """
    Read the command line.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, default=1000)
    parser.add_argument("--stalled", type=float, default=0.05)
    parser.add_argument("--calm", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    run(given.nodes, given.stalled, given.calm, given.seed)


if __name__ == "__main__":
    main()
