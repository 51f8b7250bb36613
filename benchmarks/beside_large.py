"""
How long a hit of 4 KiB waits beside clients that read large objects, node and nginx.

    python -m benchmarks.beside_large [--connections 16 64] [--rounds 3] [--seconds 3]
"""

import argparse
import statistics
import tempfile
import threading
from pathlib import Path

from benchmarks import wrk
from benchmarks.apart import go_apart
from benchmarks.hits import (
    NGINX,
    OPEN,
    OURS,
    Server,
    make_objects,
    path_of,
    start_node,
)
from benchmarks.load import Load, measure, measure_for
from benchmarks.peers import Nginx

SMALL, LARGE = "4 KiB", "64 MiB"


def _once(server: Server, connections: int, seconds: int) -> tuple[float, float]:
    """
    Read large objects on some connections and a small one on one more.

    Returns:
        The 99th percentile of what the small one took, in seconds, and 10^9 bytes per
        second of the large ones.
    """
    found: list[wrk.Run] = []
    small = threading.Thread(
        target=lambda: found.append(wrk.run(server.port, path_of(SMALL), 1, seconds))
    )
    small.start()
    load = Load(server.port, path_of(LARGE), connections, 0)
    sample = measure_for(load, server.pid, seconds)
    small.join()
    return found[0].p99, sample.gigabytes / sample.wall


def run(servers: dict[str, Server], given: argparse.Namespace) -> None:
    """
    Measure both in turn and print what came of it.
    """
    for server in servers.values():
        for size in (SMALL, LARGE):
            for _ in range(2):
                measure(Load(server.port, path_of(size), 1, 1), server.pid)
    for connections in given.connections:
        rows: dict[str, list[tuple[float, float]]] = {name: [] for name in servers}
        for _ in range(given.rounds):
            for name, server in servers.items():
                rows[name].append(_once(server, connections, given.seconds))
        print(f"{SMALL} beside {connections} connections that read {LARGE}:")
        for name, row in rows.items():
            waits, rates = zip(*row, strict=True)
            print(
                f"  {name:12} p99 {1e3 * statistics.median(waits):.1f} ms "
                f"({1e3 * min(waits):.1f}..{1e3 * max(waits):.1f})   "
                f"{statistics.median(rates):.2f} GB/s",
                flush=True,
            )


def main() -> None:
    """
    Read the arguments and run.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--connections", type=int, nargs="+", default=[16, 64])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=3, help="of each measurement")
    given = parser.parse_args()
    go_apart("benchmarks.beside_large")
    if not wrk.available():
        raise SystemExit("wrk is not installed: apt-get install wrk")
    with tempfile.TemporaryDirectory(prefix="eliop2p-bench-") as name:
        directory = Path(name)
        make_objects(directory / "root", [SMALL, LARGE])
        directory.chmod(0o755)
        store = Nginx(directory, directory / "root", 0)
        servers: dict[str, Server] = {}
        try:
            servers[OURS] = start_node(directory / "open", store.port, 1024, OPEN)
            nginx = Nginx(directory, None, store.port)
            servers[NGINX] = Server(nginx.port, nginx.pid, nginx.stop)
            run(servers, given)
        finally:
            for server in servers.values():
                server.stop()
            store.stop()


if __name__ == "__main__":
    main()
