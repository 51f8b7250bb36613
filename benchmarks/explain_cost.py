"""
What noting how requests are answered costs: two nodes, one of which does not, in turn.

    python -m benchmarks.explain_cost [--kib 4] [--connections 4] [--rounds 40]

With ``--auth open`` hits are answered from prepared heads; with passthrough the store
is asked each time.
"""

import argparse
import statistics
import tempfile
from pathlib import Path

import attrs

from benchmarks.hit_path import node_settings
from benchmarks.hits import OPEN
from benchmarks.load import Load, measure
from benchmarks.peers import Nginx
from eliop2p.cli.local_cluster import LocalNode


def _make(directory: Path, store: int, auth: str) -> dict[str, LocalNode]:
    nodes = {}
    for name, kept in (("noting", 10_000), ("not noting", 0)):
        place = directory / name.replace(" ", "-")
        place.mkdir()
        settings = node_settings(place, store, 1024)
        settings["admin"]["explain_requests"] = kept
        settings["proxy"] |= OPEN if auth == "open" else {}
        nodes[name] = LocalNode("node", place, settings)
    return nodes


def _alternate(
    nodes: dict[str, LocalNode], load: Load, rounds: int
) -> dict[str, list[float]]:
    """
    Measure both in turn, each as often first.

    Returns:
        Microseconds of CPU per request, round by round.
    """
    costs: dict[str, list[float]] = {name: [] for name in nodes}
    count = load.requests * load.connections
    for turn in range(-2, rounds):
        order = list(nodes.items())
        for name, node in order if turn % 2 else reversed(order):
            port = int(node.url.rpartition(":")[2])
            sample = measure(attrs.evolve(load, port=port), node.pid)
            if turn >= 0:
                costs[name].append(sample.cpu / count * 1e6)
    return costs


def _report(costs: dict[str, list[float]]) -> None:
    for name, found in costs.items():
        print(
            f"  {name:12} {statistics.median(found):.1f} us of CPU per request "
            f"({min(found):.1f}..{max(found):.1f})"
        )
    pairs = zip(costs["noting"], costs["not noting"], strict=True)
    ratios = sorted(100 * (on / off - 1) for on, off in pairs)
    low, middle, high = statistics.quantiles(ratios, n=4)
    print(f"  noting costs {middle:+.1f}% ({low:+.1f}..{high:+.1f}: half of the pairs)")


def run(directory: Path, kib: int, connections: int, rounds: int, auth: str) -> None:
    """
    Measure, and print the cost per request and its ratio.
    """
    root = directory / "root" / "bench"
    root.mkdir(parents=True)
    (root / "object").write_bytes(bytes(kib * 1024))
    directory.chmod(0o755)
    store = Nginx(directory, directory / "root", 0)
    nodes = _make(directory, store.port, auth)
    most = 5000 if auth == "open" else 500
    each = max(20, min(most, 4000 * most // (kib * connections)))
    try:
        for node in nodes.values():
            node.start()
        for node in nodes.values():
            node.wait_ready()
        load = Load(0, "/bench/object", connections, each)
        costs = _alternate(nodes, load, rounds)
    finally:
        for node in nodes.values():
            node.stop()
        store.stop()
    print(f"hits of {kib} KiB, {connections} connections, {rounds} rounds in turn:")
    _report(costs)


def main() -> None:
    """
    Read the arguments and run.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kib", type=int, default=4)
    parser.add_argument("--connections", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--auth", choices=("open", "passthrough"), default="open")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="eliop2p-bench-") as directory:
        run(Path(directory), *(given.kib, given.connections, given.rounds), given.auth)


if __name__ == "__main__":
    main()
