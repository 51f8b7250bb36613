"""
One process that sends to clients, and two: how much faster the two are, beside nginx.

    python -m benchmarks.workers [--rounds 5] [--seconds 4] [--sizes "64 MiB" "4 KiB"]
        [--connections 16] [--share 0.3]

Everything runs in a network namespace with reno where root allows. Both servers have
their objects in their caches. The client of large objects drops what
comes without copying it, that of small ones is wrk; they run on the same processors, so
that beside the throughput the processor time of all the server's processes is given.

On a machine whose processors the client and one process take up, two cannot be faster.
With ``--share 0.3`` each process of a server may use so much of a processor (cgroup
version 1, root): the processors are then enough for all of them, as they would be on a
larger machine.
"""

import argparse
import ctypes
import itertools
import multiprocessing
import socket
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import attrs

from benchmarks import wrk
from benchmarks.apart import go_apart
from benchmarks.hit_path import node_settings
from benchmarks.hits import OPEN, SIZES, SMALL, make_objects, path_of
from benchmarks.load import Load, cpu_seconds, measure
from benchmarks.peers import Nginx
from eliop2p.cli.local_cluster import LocalNode

Stop = Callable[[], object]

MEMORY_MIB = 512

_CGROUPS = Path("/sys/fs/cgroup/cpu")
_PERIOD = 10_000
"""
Microseconds in which a process may use its share.
"""


@attrs.frozen
class Server:
    """
    Something that answers, with all of its processes.
    """

    name: str
    port: int
    pid: int

    def processes(self) -> list[int]:
        """
        Give the ids of its processes.
        """
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text()
        return [self.pid, *map(int, children.split())]

    def cpu(self) -> float:
        """
        Give the processor time that they have used, in seconds.
        """
        return sum(map(cpu_seconds, self.processes()))


@contextmanager
def limited(servers: list[Server], share: float | None) -> Iterator[None]:
    """
    Let each process of servers use a share of a processor, None for all it can get.
    """
    groups: list[Path] = []
    quota = -1 if share is None else int(_PERIOD * share)
    try:
        for pid in [pid for server in servers for pid in server.processes()]:
            if quota > 0:
                group = _CGROUPS / f"eliop2p-bench-{pid}"
                group.mkdir()
                groups.append(group)
                (group / "cpu.cfs_period_us").write_text(str(_PERIOD))
                (group / "cpu.cfs_quota_us").write_text(str(quota))
                (group / "cgroup.procs").write_text(str(pid))
        yield
    finally:
        for group in groups:
            for member in (group / "cgroup.procs").read_text().split():
                (_CGROUPS / "cgroup.procs").write_text(member)
            group.rmdir()


@attrs.frozen
class Sample:
    """
    One run.

    Attributes:
        rate: 10^9 bytes per second, or requests per second.
        cost: Seconds of CPU per 10^9 bytes, or microseconds per request.
    """

    rate: float
    cost: float


_libc = ctypes.CDLL(None, use_errno=True)


def _discard(connection: socket.socket, most: int) -> int:
    """
    Have the kernel drop what has come: that costs next to nothing.
    """
    count = int(_libc.recv(connection.fileno(), None, most, socket.MSG_TRUNC))
    if count <= 0:
        raise ConnectionError("the server closed in the middle")
    return count


def _drop(port: int, path: str, deadline: float) -> int:
    """
    Read answers until the deadline on one connection.

    Returns:
        How many bytes of bodies have come.
    """
    request, total = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n", 0
    with socket.create_connection(("127.0.0.1", port)) as connection:
        while True:
            connection.sendall(request.encode())
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                head += connection.recv(1)
            if not head.startswith(b"HTTP/1.1 200"):
                raise ConnectionError(head[:100].decode())
            lines = head.lower().split(b"\r\n")
            (left,) = [int(x[15:]) for x in lines if x.startswith(b"content-length:")]
            while left:
                count = _discard(connection, left)
                left, total = left - count, total + count
                if time.perf_counter() > deadline:
                    return total


def _client(load: Load, seconds: float, done: "multiprocessing.Queue[int]") -> None:
    totals = [0] * load.connections
    deadline = time.perf_counter() + seconds

    def run(index: int) -> None:
        totals[index] = _drop(load.port, load.path, deadline)

    threads = [
        threading.Thread(target=run, args=(index,)) for index in range(load.connections)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    done.put(sum(totals))


def once(server: Server, size: str, connections: int, seconds: int) -> Sample:
    """
    Put a load on a server.
    """
    before, path = server.cpu(), path_of(size)
    if SIZES[size] <= SMALL:
        run = wrk.run(server.port, path, connections, seconds)
        used = server.cpu() - before
        return Sample(run.requests / run.seconds, 1e6 * used / run.requests)
    done: multiprocessing.Queue[int] = multiprocessing.Queue()
    load = Load(server.port, path, connections, 0)
    process = multiprocessing.Process(target=_client, args=(load, seconds, done))
    began = time.perf_counter()
    process.start()
    gigabytes = done.get() / 1e9
    wall = time.perf_counter() - began
    process.join()
    return Sample(gigabytes / wall, (server.cpu() - before) / gigabytes)


def start_node(directory: Path, store: int, workers: int) -> LocalNode:
    """
    Start a node with a number of processes.
    """
    directory.mkdir()
    settings = node_settings(directory, store, MEMORY_MIB)
    settings["proxy"] |= {"workers": workers, **OPEN}
    node = LocalNode("node", directory, settings)
    node.start()
    node.wait_ready()
    return node


def show(size: str, connections: int, found: dict[str, list[Sample]]) -> None:
    """
    Print what came of one load.
    """
    small = SIZES[size] <= SMALL
    unit, rate = ("us/request", "requests/s") if small else ("CPU-s/GB", "GB/s")
    print(f"{size}, {connections} connections:")
    medians: dict[str, Sample] = {}
    for name, samples in found.items():
        rates = [sample.rate for sample in samples]
        cost = statistics.median(sample.cost for sample in samples)
        medians[name] = Sample(statistics.median(rates), cost)
        noise = f"({min(rates):.4g}..{max(rates):.4g})"
        print(f"  {name:12} {medians[name].rate:8.4g} {rate} {noise:18} "
              f"{cost:.3g} {unit}")  # fmt: skip
    for server in ("ElioP2P", "nginx slice"):
        one, two = medians[f"{server} 1"], medians[f"{server} 2"]
        print(
            f"  {server}, two / one: throughput {two.rate / one.rate:.2f}, "
            f"cost {two.cost / one.cost:.2f}",
            flush=True,
        )


def start(count: int, directory: Path, store: int, stops: list[Stop]) -> list[Server]:
    """
    Start a node and an nginx with a number of processes each.
    """
    node = start_node(directory / f"node-{count}", store, count)
    stops.append(node.stop)
    (directory / f"nginx-{count}").mkdir()
    nginx = Nginx(directory / f"nginx-{count}", None, store, workers=count)
    stops.append(nginx.stop)
    return [
        Server(f"ElioP2P {count}", int(node.url.rpartition(":")[2]), node.pid),
        Server(f"nginx slice {count}", nginx.port, nginx.pid),
    ]


def compare(servers: list[Server], size: str, given: argparse.Namespace) -> None:
    """
    Measure all servers in turn with one size.
    """
    found: dict[str, list[Sample]] = {each.name: [] for each in servers}
    for _ in range(given.rounds):
        for server in servers:
            sample = once(server, size, given.connections, given.seconds)
            found[server.name].append(sample)
    show(size, given.connections, found)


def run(given: argparse.Namespace, directory: Path) -> None:
    """
    Start all servers, have their caches filled, and measure.
    """
    make_objects(directory / "root", given.sizes)
    directory.chmod(0o755)
    store = Nginx(directory, directory / "root", 0)
    stops: list[Stop] = [store.stop]
    servers: list[Server] = []
    try:
        for count in (1, 2):
            servers += start(count, directory, store.port, stops)
        for size, server in itertools.product(given.sizes, servers):
            for _ in range(3):
                measure(Load(server.port, path_of(size), 2, 2), server.pid)
        with limited(servers, given.share):
            for size in given.sizes:
                compare(servers, size, given)
    finally:
        for stop in reversed(stops):
            stop()


def main() -> None:
    """
    Read the arguments and run.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", nargs="+", choices=SIZES, default=["64 MiB"])
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument("--share", type=float)
    given = parser.parse_args()
    go_apart("benchmarks.workers")
    with tempfile.TemporaryDirectory(prefix="eliop2p-bench-") as directory:
        run(given, Path(directory))


if __name__ == "__main__":
    main()
