"""
The comparison with other caches, in one command.

    python -m benchmarks [--rounds 5] [--sizes "4 KiB" "1 GiB"] [--connections 1 16 64]

Everything runs in a network namespace of its own where root allows, with reno for
loopback: bbr would pace it. Costs are processor time of the server's process.
"""

import argparse
import datetime as dt
import json
import os
import platform
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path

import attrs

from benchmarks import p2p_pair
from benchmarks.apart import go_apart, is_apart
from benchmarks.bars import Bar, draw
from benchmarks.hits import (
    NGINX,
    OURS,
    PASSING,
    SIZES,
    Row,
    Server,
    compare,
    make_objects,
    start_servers,
)
from benchmarks.load import most_resident
from benchmarks.peers import Nginx
from benchmarks.waiting import allow_descriptors, idle_kib, p99_while_filling

MIB = 1024 * 1024
PARTS = ("hits", "idle", "latency", "p2p")
IDLE = 5000


def _ratios(rows: list[Row], server: str) -> list[Bar]:
    bars = []
    for row in rows:
        if row.server != server:
            continue
        (peer,) = [
            other
            for other in rows
            if other.server == NGINX
            and (other.size, other.connections) == (row.size, row.connections)
        ]
        pairs = [b / a for a, b in zip(row.costs, peer.costs, strict=True)]
        label = f"{row.size}, {row.connections} connections"
        bars.append(Bar(label, peer.cost / row.cost, min(pairs), max(pairs)))
    return bars


def _idle(servers: dict[str, Server]) -> dict[str, float]:
    found = {}
    for name, server in servers.items():
        found[name] = idle_kib(server, "4 KiB", IDLE)
        print(f"{name}: {found[name]:.1f} KiB for each of {IDLE} idle connections")
    return found


def _memory(servers: dict[str, Server], tier: int) -> dict[str, float]:
    found = {}
    for name in (OURS, PASSING):
        found[name] = most_resident(servers[name].pid) / MIB
        print(
            f"{name}: at most {found[name]:.0f} MiB resident, "
            f"{found[name] - tier:.0f} MiB beyond the memory tier"
        )
    return found


def _p2p(rounds: int) -> dict[str, list[tuple[float, ...]]]:
    rows: dict[str, list[tuple[float, ...]]] = {way: [] for way in p2p_pair.WAYS}
    for _ in range(rounds):
        for way in p2p_pair.WAYS:
            rows[way].append(p2p_pair.measure(way))
    p2p_pair.show(rows)
    return rows


def run(directory: Path, given: argparse.Namespace) -> dict[str, object]:
    """
    Run the parts that are asked for.

    Returns:
        All that was measured.
    """
    found: dict[str, object] = {
        "date": dt.datetime.now(dt.UTC).isoformat(timespec="minutes"),
        "machine": f"{platform.processor() or platform.machine()}, "
        f"{os.cpu_count()} cores, Linux {platform.release()}",
        "python": platform.python_version(),
        "apart": is_apart(),
        "load": os.getloadavg(),
    }
    if "p2p" in given.parts:
        found["p2p"] = _p2p(given.rounds)
    if set(given.parts) <= {"p2p"}:
        return found
    large = "1 GiB" if "1 GiB" in given.sizes else given.sizes[-1]
    root = directory / "root"
    make_objects(root, list(dict.fromkeys(("4 KiB", *given.sizes))))
    directory.chmod(0o755)
    store = Nginx(directory, root, 0)
    servers: dict[str, Server] = {}
    try:
        start_servers(servers, directory, store.port, given.memory_mib)
        parts: dict[str, Callable[[], object]] = {
            # First, while no memory lies about that was used before.
            "idle": lambda: _idle(servers),
            "hits": lambda: _hits(servers, given),
            "latency": lambda: p99_while_filling(
                servers, root, large, given.rounds, given.seconds
            ),
        }
        for name, part in parts.items():
            if name in given.parts:
                found[name] = part()
        found["memory"] = _memory(servers, given.memory_mib)
    finally:
        for server in servers.values():
            server.stop()
        store.stop()
    return found


def _hits(servers: dict[str, Server], given: argparse.Namespace) -> list[object]:
    rows = compare(servers, given.sizes, given.connections, given.rounds, given.seconds)
    for name, title in ((OURS, "auth = open"), (PASSING, "passthrough")):
        bars = _ratios(rows, name)
        middle = statistics.median(bar.value for bar in bars)
        print(f"{title}: nginx / node {middle:.2f} in the middle of all loads")
        if given.svg and name == OURS:
            text = "nginx slice's processor time / the node's (auth = open)"
            Path(given.svg).write_text(draw(text, bars))
    return [attrs.asdict(row) for row in rows]


def main() -> None:
    """
    Read the arguments and run.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--sizes", nargs="+", choices=SIZES, default=list(SIZES))
    parser.add_argument("--connections", nargs="+", type=int, default=[1, 16, 64])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=1, help="of each measurement")
    parser.add_argument("--memory-mib", type=int, default=3072)
    parser.add_argument("--json", help="file for all that was measured")
    parser.add_argument("--svg", help="file for a plot of the hits")
    given = parser.parse_args()
    go_apart("benchmarks")
    allow_descriptors(32_768)
    with tempfile.TemporaryDirectory(prefix="eliop2p-bench-") as directory:
        found = run(Path(directory), given)
    if given.json:
        Path(given.json).write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
