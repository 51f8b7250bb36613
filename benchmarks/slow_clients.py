"""
Memory while an object larger than the memory tier comes, and while many slow clients
read it.

    python -m benchmarks.slow_clients [--clients 64] [--memory-mib 256]
"""

import argparse
import socket
import tempfile
import threading
import time
from pathlib import Path

from benchmarks.hit_path import make_node
from benchmarks.load import Load, measure, most_resident, resident
from benchmarks.peers import Nginx

_MIB = 1024 * 1024


def _read_slowly(port: int, seconds: float, skip: float, counts: list[int]) -> None:
    """
    Read an object at a rate that would take far longer than the run.
    """
    deadline = time.perf_counter() + seconds
    pause = threading.Event()
    pause.wait(skip)
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 256 * 1024)
        connection.sendall(b"GET /bench/object HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        while time.perf_counter() < deadline:
            counts.append(len(connection.recv(64 * 1024)))
            pause.wait(0.004)


def run(directory: Path, clients: int, size_mib: int, memory_mib: int) -> None:
    """
    Fetch the object, let the clients read it for 30 s, and print the most memory that
    was resident at any time.
    """
    root = directory / "root" / "bench"
    root.mkdir(parents=True)
    with (root / "object").open("wb") as file, Path("/dev/urandom").open("rb") as noise:
        for _ in range(size_mib):
            file.write(noise.read(_MIB))
    directory.chmod(0o755)
    store = Nginx(directory, directory / "root", 0)
    node = make_node(directory, store.port, memory_mib)
    node.start()
    try:
        node.wait_ready()
        port = int(node.url.rpartition(":")[2])
        idle = resident(node.pid)
        measure(Load(port, "/bench/object", 1, 2), node.pid)
        counts: list[int] = []
        threads = [
            threading.Thread(target=_read_slowly, args=(port, 30, i * 0.2, counts))
            for i in range(clients)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        most = most_resident(node.pid)
        beyond = most / _MIB - memory_mib
        print(
            f"{clients} clients, {sum(counts) / _MIB:.0f} MiB read of {size_mib} MiB "
            f"each: {idle / _MIB:.0f} MiB resident before, at most "
            f"{most / _MIB:.0f} MiB; memory tier {memory_mib} MiB, "
            f"so {beyond:.0f} MiB beyond it (promise: 256)"
        )
    finally:
        node.stop()
        store.stop()


def main() -> None:
    """
    Read the arguments and run.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--object-mib", type=int, default=1024)
    parser.add_argument("--memory-mib", type=int, default=256)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="eliop2p-bench-") as directory:
        run(Path(directory), given.clients, given.object_mib, given.memory_mib)


if __name__ == "__main__":
    main()
