"""
Serving a cached object: processor time per GB, beside nginx with proxy_cache and slice.

    python -m benchmarks.hit_path [--object-mib 1024] [--connections 1 16] [--rounds 5]
"""

import argparse
import statistics
import tempfile
from pathlib import Path

from benchmarks.load import Load, Sample, measure
from benchmarks.peers import Nginx
from eliop2p.cli.local_cluster import LocalNode, free_ports


def node_settings(
    directory: Path, store: int, memory_mib: int
) -> dict[str, dict[str, object]]:
    """
    Give the configuration of a node in front of a store on loopback.
    """
    proxy, p2p, admin = free_ports(3)
    return {
        "general": {
            "bind_address": "127.0.0.1",
            "data_dir": directory / "node",
            "node_id": "node",
        },
        "proxy": {"listen_port": proxy},
        "p2p": {"listen_port": p2p},
        "admin": {"listen_port": admin},
        "cache": {
            "memory_cache_size_mb": memory_mib,
            "disk_cache_size_mb": 16384,
        },
        "storage": {"endpoint": f"http://127.0.0.1:{store}"},
    }


def make_node(directory: Path, store: int, memory_mib: int) -> LocalNode:
    """
    Make a node in front of a store on loopback.
    """
    return LocalNode("node", directory, node_settings(directory, store, memory_mib))


def _row(name: str, samples: list[Sample]) -> float:
    costs = sorted(sample.cpu / sample.gigabytes for sample in samples)
    rates = sorted(sample.gigabytes / sample.wall for sample in samples)
    cost = statistics.median(costs)
    print(
        f"  {name:22} {cost:.3f} CPU-s/GB ({costs[0]:.3f}..{costs[-1]:.3f})   "
        f"{statistics.median(rates):.2f} GB/s ({rates[0]:.2f}..{rates[-1]:.2f})"
    )
    return cost


def run(directory: Path, size_mib: int, connections: list[int], rounds: int) -> None:
    """
    Measure both in turn and print the ratio of their costs.
    """
    root = directory / "root" / "bench"
    root.mkdir(parents=True)
    with (root / "object").open("wb") as file, Path("/dev/urandom").open("rb") as noise:
        for _ in range(size_mib):
            file.write(noise.read(1024 * 1024))
    directory.chmod(0o755)
    store = Nginx(directory, directory / "root", 0)
    cache = Nginx(directory, None, store.port)
    node = make_node(directory, store.port, size_mib * 2)
    node.start()
    try:
        node.wait_ready()
        port = int(node.url.rpartition(":")[2])
        servers = {"node": (port, node.pid), "nginx": (cache.port, cache.pid)}
        for number, pid in servers.values():
            measure(Load(number, "/bench/object", 1, 2), pid)
        for count in connections:
            samples: dict[str, list[Sample]] = {name: [] for name in servers}
            requests = max(1, 4096 // (size_mib * count))
            for _ in range(rounds):
                for name, (number, pid) in servers.items():
                    load = Load(number, "/bench/object", count, requests)
                    samples[name].append(measure(load, pid))
            print(f"{size_mib} MiB, {count} connections, {rounds} rounds in turn:")
            ours = _row("ElioP2P, passthrough", samples["node"])
            theirs = _row("nginx slice", samples["nginx"])
            print(f"  GB per CPU-second, ElioP2P / nginx: {theirs / ours:.2f}")
    finally:
        node.stop()
        cache.stop()
        store.stop()


def main() -> None:
    """
    Read the arguments and run.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--object-mib", type=int, default=1024)
    parser.add_argument("--connections", type=int, nargs="+", default=[1, 16])
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="eliop2p-bench-") as directory:
        run(Path(directory), given.object_mib, given.connections, given.rounds)


if __name__ == "__main__":
    main()
