"""
Serving a cached object from the disk tier: processor time per GB, beside a bare loop of
``sendfile`` over the same files, and beside one that reads them through with BLAKE3
first, as the tier does whenever it opens a chunk.

    python -m benchmarks.disk_hits [--object-mib 1024] [--rounds 5]
"""

import argparse
import base64
import os
import socket
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from blake3 import blake3

from benchmarks.hit_path import node_settings
from benchmarks.load import Load, Sample, measure
from benchmarks.peers import Nginx
from eliop2p.cache.layout import parse_names
from eliop2p.cli.local_cluster import LocalNode, free_ports

_MIB = 1024 * 1024
_AT_A_TIME = 2 * _MIB


def chunk_files(directory: Path) -> list[Path]:
    """
    Find the files of whole chunks in a tier.
    """
    found = []
    for number in range(256):
        folder = directory / f"{number:02x}"
        names = parse_names(number, [path.name for path in folder.iterdir()])
        found += [folder / str(name) for name in names]
    return found


def send_files(port: int, directory: Path, *, digested: bool) -> None:
    """
    Answer every request on a connection with all chunks, one connection at a time.
    """
    paths = chunk_files(directory)
    total = sum(path.stat().st_size for path in paths)
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % total
    buffer = memoryview(bytearray(_MIB))
    with socket.create_server(("127.0.0.1", port)) as listening:
        while True:
            client, _ = listening.accept()
            with client:
                while client.recv(65536):
                    client.sendall(head, socket.MSG_MORE)
                    for path in paths:
                        _send(client, path, buffer, digested=digested)


def _send(
    client: socket.socket, path: Path, buffer: memoryview, *, digested: bool
) -> None:
    fd = os.open(path, os.O_RDONLY)
    try:
        size = os.fstat(fd).st_size
        if digested:
            hasher = blake3()
            for position in range(0, size, _MIB):
                hasher.update(buffer[: os.preadv(fd, [buffer], position)])
            digest = base64.urlsafe_b64encode(hasher.digest()).rstrip(b"=").decode()
            assert path.name.endswith(digest)
        position = 0
        while position < size:
            count = min(_AT_A_TIME, size - position)
            position += os.sendfile(client.fileno(), fd, position, count)
    finally:
        os.close(fd)


def _median(samples: list[Sample]) -> str:
    costs = sorted(each.cpu / each.gigabytes for each in samples)
    middle = statistics.median(costs)
    return f"{middle:.3f} CPU-s/GB ({costs[0]:.3f}..{costs[-1]:.3f})"


def _prepare(directory: Path, size_mib: int) -> None:
    root = directory / "root" / "bench"
    root.mkdir(parents=True)
    with (root / "object").open("wb") as file, Path("/dev/urandom").open("rb") as noise:
        for _ in range(size_mib):
            file.write(noise.read(_MIB))
    directory.chmod(0o755)


def _make_node(directory: Path, store: int) -> LocalNode:
    settings = node_settings(directory, store, 16)
    settings["cache"] |= {"scrub_mbps": 0, "min_free_mb": 0, "eviction": "lru"}
    return LocalNode("node", directory, settings)


def run(directory: Path, size_mib: int, rounds: int) -> None:
    """
    Measure all in turn and print the ratios of their costs.
    """
    _prepare(directory, size_mib)
    store = Nginx(directory, directory / "root", 0)
    node = _make_node(directory, store.port)
    node.start()
    loops: list[subprocess.Popen[bytes]] = []
    try:
        node.wait_ready()
        servers = {"node": (int(node.url.rpartition(":")[2]), node.pid)}
        measure(Load(servers["node"][0], "/bench/object", 1, 1), node.pid)
        tier = directory / "node" / "cache"
        for name in ("sendfile", "sendfile and BLAKE3"):
            (port,) = free_ports(1)
            command = [
                sys.executable,
                "-m",
                "benchmarks.disk_hits",
                "--serve",
                str(port),
            ]
            command += ["--tier", str(tier)]
            command += ["--digested"] if "BLAKE3" in name else []
            loops.append(subprocess.Popen(command))
            servers[name] = (port, loops[-1].pid)
        samples: dict[str, list[Sample]] = {name: [] for name in servers}
        for _ in range(rounds + 1):
            for name, (port, pid) in servers.items():
                load = Load(port, "/bench/object", 1, 2)
                samples[name].append(_patiently(load, pid))
        for name, found in samples.items():
            print(f"  {name:22} {_median(found[1:])}")
        for name in list(servers)[1:]:
            ratios = sorted(
                (one.cpu / one.gigabytes) / (other.cpu / other.gigabytes)
                for one, other in zip(
                    samples["node"][1:], samples[name][1:], strict=True
                )
            )
            print(
                f"  node / {name}: {statistics.median(ratios):.2f} "
                f"({ratios[0]:.2f}..{ratios[-1]:.2f})"
            )
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()
        node.stop()
        store.stop()


def _patiently(load: Load, pid: int) -> Sample:
    """
    Measure a server that may still be starting.
    """
    while True:
        try:
            socket.create_connection(("127.0.0.1", load.port)).close()
        except ConnectionRefusedError:
            os.sched_yield()
        else:
            return measure(load, pid)


def main() -> None:
    """
    Read the arguments and run.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--object-mib", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--serve", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--tier", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--digested", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve is not None:
        send_files(given.serve, given.tier, digested=given.digested)
        return
    with tempfile.TemporaryDirectory(prefix="eliop2p-bench-") as directory:
        run(Path(directory), given.object_mib, given.rounds)


if __name__ == "__main__":
    main()
