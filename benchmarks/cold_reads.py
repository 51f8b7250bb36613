"""
What a node adds to a hit, and what it gives of an object that it does not hold.

    python -m benchmarks.cold_reads [--rounds 5] [--only hit|cold|far]

hit: requests for a small cached object, beside conditional requests to the store, whose
answers take 5 ms: the difference is the node's own time. cold: whole objects that the
node does not hold, beside the store itself, which gives a connection 100 MB/s. far: the
same with 256 MiB, a store that is 20 ms away and gives each connection 50 MB/s. Both
read through loopback, in turn; the client is a process of its own.
"""

import argparse
import socket
import statistics
import tempfile
import time
from pathlib import Path

from benchmarks.hit_path import make_node
from benchmarks.load import Load, measure, read_answer
from benchmarks.slow_store import Link, SlowStore
from eliop2p.cli.local_cluster import LocalNode

MIB = 1024 * 1024
HITS = 400


def _port(node: LocalNode) -> int:
    return int(node.url.rpartition(":")[2])


def _times(port: int, headers: str, count: int) -> list[float]:
    """
    Measure requests on one connection, in milliseconds.
    """
    text = f"GET /bench/small HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{headers}\r\n"
    times = []
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        buffer = bytearray(MIB)
        for _ in range(count):
            begun = time.perf_counter()
            connection.sendall(text.encode())
            read_answer(connection, buffer)
            times.append((time.perf_counter() - begun) * 1000)
    return times


def hits(directory: Path, rounds: int) -> None:
    """
    Print what the node adds to a conditional request.
    """
    store = SlowStore(Link(0.005, 0, 4096))
    node = make_node(directory, store.port, 64)
    node.start()
    try:
        node.wait_ready()
        _times(_port(node), "", 20)
        direct, through = [], []
        for _ in range(rounds):
            direct += _times(store.port, "If-None-Match: x\r\n", HITS // rounds)
            through += _times(_port(node), "", HITS // rounds)
    finally:
        node.stop()
        store.stop()
    print(f"hits of 4 KiB, {len(through)} each, in turn; the store answers after 5 ms:")
    for name, times in (("304 of the store", direct), ("hit of the node", through)):
        deciles = statistics.quantiles(times, n=10)
        print(f"  {name:20} p50 {deciles[4]:.2f} ms   p90 {deciles[8]:.2f} ms")
    added = statistics.median(through) - statistics.median(direct)
    print(f"  the node's own time at p50: {added:.2f} ms")


def cold(directory: Path, name: str, link: Link, rounds: int) -> None:
    """
    Print how fast objects come that the node does not hold, beside the store itself.
    """
    store = SlowStore(link)
    node = make_node(directory, store.port, 2 * link.size // MIB)
    node.start()
    ports = {"store": store.port, "node": 0}
    rates: dict[str, list[float]] = {each: [] for each in ports}
    cost = 0.0
    try:
        node.wait_ready()
        ports["node"] = _port(node)
        for number in range(rounds + 1):
            for each, port in ports.items():
                load = Load(port, f"/bench/{number}", 1, 1)
                sample = measure(load, node.pid)
                if number:  # The first round warms connections and code.
                    rates[each].append(sample.gigabytes * 1000 / sample.wall)
                    cost += sample.cpu if each == "node" else 0
    finally:
        node.stop()
        store.stop()
    print(f"{name}: cold objects of {link.size // MIB} MiB, {rounds} rounds in turn:")
    for each, found in rates.items():
        middle, low, high = statistics.median(found), min(found), max(found)
        print(f"  {each:6} {middle:6.0f} MB/s ({low:.0f}..{high:.0f})")
    ratio = statistics.median(rates["node"]) / statistics.median(rates["store"])
    gigabytes = rounds * link.size / 1e9
    print(f"  node / store: {ratio:.2f}   node: {cost / gigabytes:.2f} CPU-s/GB")


def main() -> None:
    """
    Read the arguments and run.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", choices=("hit", "cold", "far"))
    given = parser.parse_args()
    links = {
        "cold": Link(0.001, 100e6, 128 * MIB),
        "far": Link(0.020, 50e6, 256 * MIB),
    }
    with tempfile.TemporaryDirectory(prefix="eliop2p-bench-") as scratch:
        if given.only in (None, "hit"):
            hits(_made(scratch, "hit"), given.rounds)
        for name, link in links.items():
            if given.only in (None, name):
                cold(_made(scratch, name), name, link, given.rounds)


def _made(scratch: str, name: str) -> Path:
    path = Path(scratch, name)
    path.mkdir()
    return path


if __name__ == "__main__":
    main()
