"""
One object, read by many nodes at once: real processes on this machine, beside
libtorrent.

    python -m benchmarks.swarm_processes [--nodes 8] [--object-mib 512] [--rounds 3]
        [--kill 2] [--kill-after 0] [--json FILE]

Each round starts the nodes anew, with nothing in memory and no disk tier, and lets a
client of each read the whole object; nginx is the store, and a forwarder before it
counts what leaves it. Then one libtorrent seed gives the same file to as many others,
in processes of their own, on a file system in memory. Wall time is from the first
request to the last byte; processor time is that of the nodes, and that of those who
download: not that of the store, the forwarder, the clients and the seed. Nodes have
more to do than those: their clients are given every byte over TCP.

With --kill so many nodes are killed when a third of the object has left the store, and
--kill-after seconds have passed; the others' clients must be given the right bytes.
What the dead had read of the store and not passed on yet must be read again: by the log
of nginx, which of the bytes sent again only they had been sent, and which others had
been, too. The log counts what the kernel took. libtorrent is left out then.
"""

import argparse
import hashlib
import json
import os
import socket
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from multiprocessing import Process, Queue
from pathlib import Path

import attrs

from benchmarks import torrent
from benchmarks.load import cpu_seconds, read_answer
from benchmarks.peers import Nginx
from benchmarks.spare_memory import touch_memory
from benchmarks.store_log import read_log, sent_again
from eliop2p.cli.byte_counter import ByteCounter
from eliop2p.cli.local_cluster import LocalCluster

MIB = 1024 * 1024
AMPLIFICATION = 1.02
"""
What may leave the store, in objects.
"""

NODES, TORRENT = "ElioP2P", "libtorrent"


@attrs.frozen
class Run:
    """
    One distribution.

    Attributes:
        who: Who distributed.
        wall: Seconds until the last had everything.
        cpu: Processor seconds of all who received.
        given: Processor seconds of who had it before, where that was measured.
        amplification: What left the store, in objects; 0 where there is none.
        of_dead: What of it was sent again, and had been sent to killed nodes only.
        others: What of it was sent again besides.
    """

    who: str
    wall: float
    cpu: float
    given: float = 0.0
    amplification: float = 0.0
    of_dead: float = 0.0
    others: float = 0.0


@attrs.frozen
class Plan:
    """
    What is distributed.

    Attributes:
        directory: Where everything is.
        content: The object.
        nodes: To how many.
        kill: How many of them are killed meanwhile.
        kill_after: Seconds that must have passed then.
    """

    directory: Path
    content: Path
    nodes: int
    kill: int
    kill_after: float

    @property
    def size(self) -> int:
        """
        The object's length in bytes.
        """
        return self.content.stat().st_size


def _ask(port: int) -> bytes:
    host = f"127.0.0.1:{port}"
    head = f"GET /bench/object HTTP/1.1\r\nHost: {host}\r\nUser-Agent: {port}\r\n\r\n"
    return head.encode()


def _read(port: int, length: int, done: "Queue[str]") -> None:
    """
    Read the object and drop it.
    """
    buffer = bytearray(MIB)
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(_ask(port))
        done.put("" if read_answer(connection, buffer) == length else "too short")


def _read_checked(port: int, length: int, done: "Queue[str]") -> None:
    """
    Read the object and give its SHA-256, or what went wrong.
    """
    hasher, left = hashlib.sha256(), length
    try:
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.sendall(_ask(port))
            _, _, data = _head(connection).partition(b"\r\n\r\n")
            while data:
                hasher.update(data)
                left -= len(data)
                data = connection.recv(min(MIB, left)) if left else b""
    except OSError as error:
        done.put(str(error))
        return
    done.put(f"{left} bytes are missing" if left else hasher.hexdigest())


def _head(connection: socket.socket) -> bytes:
    head = b""
    while b"\r\n\r\n" not in head:
        piece = connection.recv(65536)
        if not piece:
            raise ConnectionError("no answer")
        head += piece
    return head


def read_all(
    read: Callable[[int, int, "Queue[str]"], None], ports: list[int], length: int
) -> list[str]:
    """
    Read through all nodes at once, each with a client process of its own.

    Returns:
        What each client said.
    """
    queues: list[Queue[str]] = [Queue() for _ in ports]
    clients = [
        Process(target=read, args=(port, length, queue))
        for port, queue in zip(ports, queues, strict=True)
    ]
    for client in clients:
        client.start()
    said = [queue.get() for queue in queues]
    for client in clients:
        client.join()
    return said


def distribute(plan: Plan) -> Run:
    """
    Let nodes distribute the object.

    Raises:
        SystemExit: A client was given wrong bytes.
    """
    log = plan.directory / "sent.log"
    log.unlink(missing_ok=True)
    store = Nginx(plan.directory, plan.directory, 0, log=log)
    counter = ByteCounter(store.port)
    room = 2 * plan.size // MIB + 64
    with tempfile.TemporaryDirectory(dir=plan.directory) as scratch:
        cluster = LocalCluster(
            Path(scratch),
            f"http://127.0.0.1:{counter.port}",
            plan.nodes,
            {"cache": {"memory_cache_size_mb": room, "disk_cache_size_mb": 0}},
        )
        try:
            cluster.start()
            distribute_to = _killed if plan.kill else _undisturbed
            run = distribute_to(plan, cluster, counter)
        finally:
            cluster.stop()
            counter.close()
            store.stop()
    dead = {str(port) for port in _ports(cluster)[: plan.kill]}
    of_dead, others = sent_again(read_log(log), dead)
    return attrs.evolve(run, of_dead=of_dead / plan.size, others=others / plan.size)


def _ports(cluster: LocalCluster) -> list[int]:
    return [int(node.url.rpartition(":")[2]) for node in cluster.nodes]


def _undisturbed(plan: Plan, cluster: LocalCluster, counter: ByteCounter) -> Run:
    ports, pids = _ports(cluster), [node.pid for node in cluster.nodes]
    touch_memory()
    cpu, wall = sum(map(cpu_seconds, pids)), time.perf_counter()
    said = read_all(_read, ports, plan.size)
    wall, cpu = time.perf_counter() - wall, sum(map(cpu_seconds, pids)) - cpu
    if any(said):
        raise SystemExit(f"clients were not served: {said}")
    amplification = counter.sent / plan.size
    digest = _digest(plan.content)
    if set(read_all(_read_checked, ports, plan.size)) != {digest}:
        raise SystemExit("a node holds wrong bytes")
    return Run(NODES, wall, cpu, amplification=amplification)


def _killed(plan: Plan, cluster: LocalCluster, counter: ByteCounter) -> Run:
    ports, nodes = _ports(cluster), cluster.nodes
    survivors = nodes[plan.kill :]

    def past() -> bool:
        return time.perf_counter() >= wall + plan.kill_after

    def kill() -> None:
        pause = threading.Event()
        while counter.sent < plan.size // 3 or not past():
            pause.wait(0.005)
        for node in nodes[: plan.kill]:
            node.kill()

    killing = threading.Thread(target=kill)
    touch_memory()
    cpu = sum(cpu_seconds(node.pid) for node in survivors)
    wall = time.perf_counter()
    killing.start()
    said = read_all(_read_checked, ports, plan.size)
    wall = time.perf_counter() - wall
    cpu = sum(cpu_seconds(node.pid) for node in survivors) - cpu
    killing.join()
    digest = _digest(plan.content)
    if said[plan.kill :] != [digest] * len(survivors):
        raise SystemExit(f"survivors' clients were not served right: {said}")
    print(f"  clients of the killed: {sorted(set(said[: plan.kill]))}")
    return Run(NODES, wall, cpu, amplification=counter.sent / plan.size)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def torrent_run(plan: Plan) -> Run:
    """
    Let libtorrent distribute the object.
    """
    with tempfile.TemporaryDirectory(dir=plan.directory) as scratch:
        swarm = torrent.Swarm(Path(scratch), plan.content, plan.nodes)
        pids = [peer.pid for peer in swarm.others]
        try:
            touch_memory()
            seed = cpu_seconds(swarm.seed.pid)
            cpu, wall = sum(map(cpu_seconds, pids)), time.perf_counter()
            swarm.distribute()
            wall, cpu = time.perf_counter() - wall, sum(map(cpu_seconds, pids)) - cpu
            given = cpu_seconds(swarm.seed.pid) - seed
        finally:
            swarm.stop()
        digest = _digest(plan.content)
        for number in range(plan.nodes):
            if _digest(Path(scratch, f"peer{number}", plan.content.name)) != digest:
                raise SystemExit("libtorrent gave wrong bytes")
    return Run(TORRENT, wall, cpu, given)


def measure(plan: Plan, rounds: int) -> list[Run]:
    """
    Run both in turn.
    """
    ways: list[Callable[[Plan], Run]] = [distribute]
    if plan.kill:
        print("libtorrent is left out: nobody is killed there")
    elif torrent.available():
        ways.append(torrent_run)
        print(f"libtorrent's settings: {torrent.SETTINGS}")
    else:
        print("libtorrent is skipped: it is not installed (pip install libtorrent)")
    runs = []
    for _ in range(rounds):
        for way in ways:
            runs.append(way(plan))
            print(f"  {_row(runs[-1:])}", flush=True)
    return runs


def _row(runs: list[Run]) -> str:
    def middle(name: str, digits: int) -> str:
        values = sorted(getattr(run, name) for run in runs)
        text = f"{statistics.median(values):.{digits}f}"
        if len(values) == 1:
            return text
        return f"{text} ({values[0]:.{digits}f}..{values[-1]:.{digits}f})"

    row = f"{runs[0].who:11} {middle('wall', 2)} s, {middle('cpu', 2)} CPU-s"
    if runs[0].given:
        return f"{row}, the seed {middle('given', 2)}"
    row = f"{row}, amplification {middle('amplification', 4)}"
    of_dead, others = middle("of_dead", 4), middle("others", 4)
    return f"{row}, sent again: {of_dead} that only the dead had, {others} other"


def show(plan: Plan, runs: list[Run]) -> None:
    """
    Print the medians and their ratio.
    """
    killed = f", {plan.kill} killed" if plan.kill else ""
    print(f"{plan.size // MIB} MiB to {plan.nodes}{killed}:")
    middles = {}
    for who in (NODES, TORRENT):
        own = [run for run in runs if run.who == who]
        if own:
            print(f"  {_row(own)}")
            middles[who] = [
                statistics.median(getattr(run, name) for run in own)
                for name in ("wall", "cpu")
            ]
    if len(middles) == 2:
        wall, cpu = (a / b for a, b in zip(*middles.values(), strict=True))
        print(f"  ElioP2P / libtorrent: wall {wall:.2f}, CPU {cpu:.2f}")


def main() -> None:
    """
    Read the arguments and run.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, default=8)
    parser.add_argument("--object-mib", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--kill", type=int, default=0)
    parser.add_argument("--kill-after", type=float, default=0.0)
    parser.add_argument("--json", type=Path, help="where the results go, too")
    given = parser.parse_args()
    # In memory where that is possible: libtorrent keeps its files there.
    memory = Path("/dev/shm")
    where = memory if memory.is_dir() else None
    with tempfile.TemporaryDirectory(prefix="eliop2p-bench-", dir=where) as scratch:
        directory = Path(scratch)
        directory.chmod(0o755)
        content = directory / "bench" / "object"
        content.parent.mkdir()
        with content.open("wb") as file:
            for _ in range(given.object_mib):
                file.write(os.urandom(MIB))
        plan = Plan(directory, content, given.nodes, given.kill, given.kill_after)
        runs = measure(plan, given.rounds)
        show(plan, runs)
    if given.json is not None:
        found = {
            "nodes": given.nodes,
            "object_mib": given.object_mib,
            "killed": given.kill,
            "runs": [attrs.asdict(run) for run in runs],
        }
        given.json.write_text(json.dumps(found, indent=2) + "\n")
    check(given.kill, runs)


def check(kill: int, runs: list[Run]) -> None:
    """
    Look at what has left the store.

    Raises:
        SystemExit: It is more than must be.
    """
    if kill:
        most = max(1.0 + run.others for run in runs)
    else:
        most = max(run.amplification for run in runs)
    if most > AMPLIFICATION:
        raise SystemExit(f"too much has left the store: {most:.4f} objects")


if __name__ == "__main__":
    main()
