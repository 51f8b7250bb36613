"""
A thousand nodes on one control plane, over real HTTP on loopback.

``python -m benchmarks.control_plane`` starts ``twist eliop2p-control`` as a process of
its own, registers the nodes, has them report a million chunks, wait for membership
changes as nodes do, and beat every three seconds. It prints what share of a core the
control plane took while they did, how much memory it has, and how long heartbeats took.

The nodes are simulated by this process: half of what the machine does is theirs. How
long both processes were ready to run and waited for a processor is printed as well:
that is the machine's part of how long heartbeats took.
"""

import argparse
import asyncio
import json
import os
import random
import secrets
import subprocess
import sys
import tempfile
from pathlib import Path

from eliop2p.cli.local_cluster import free_ports

TICKS = os.sysconf("SC_CLK_TCK")
INTERVAL = 3.0
PER_REPORT = 1000


class Node:
    """
    One simulated node, on a connection of its own.
    """

    def __init__(self, index: int, port: int) -> None:
        self.node_id = f"node-{index:04}"
        self._port = port
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def ask(
        self, method: str, path: str, body: object = None
    ) -> dict[str, object]:
        """
        Make a request on the node's connection.
        """
        if self._writer is None or self._reader is None:
            pair = await asyncio.open_connection("127.0.0.1", self._port)
            self._reader, self._writer = pair
        data = b"" if body is None else json.dumps(body).encode()
        head = (
            f"{method} /api/v1/{path} HTTP/1.1\r\nHost: c\r\n"
            f"Authorization: Bearer bench\r\nContent-Length: {len(data)}\r\n\r\n"
        )
        self._writer.write(head.encode() + data)
        top = await self._reader.readuntil(b"\r\n\r\n")
        length = next(
            int(line.split(b":")[1])
            for line in top.split(b"\r\n")
            if line.lower().startswith(b"content-length:")
        )
        answer = await self._reader.readexactly(length)
        assert top.split()[1] in {b"200", b"202"}, (top, answer)
        found: dict[str, object] = json.loads(answer)
        return found


class Load:
    """
    All nodes together.
    """

    def __init__(self, nodes: int, port: int) -> None:
        self.beats = [Node(index, port) for index in range(nodes)]
        self.watches = [Node(index, port) for index in range(nodes)]
        self.taken: list[float] = []
        self.version = 0
        self._rng = random.Random(1)

    async def register(self) -> None:
        """
        Register all nodes, as fast as the control plane takes them.
        """
        for index, node in enumerate(self.beats):
            info = {
                "node_id": node.node_id,
                "host": f"10.0.{index // 250}.{index % 250}",
            }
            answer = await node.ask("POST", "nodes", info | {"port": 9000})
            self.version = int(str(answer["version"]))

    async def report(self, chunks: int) -> None:
        """
        Report so many chunks in all.
        """
        each = chunks // len(self.beats)
        for node in self.beats:
            for start in range(0, each, PER_REPORT):
                count = min(PER_REPORT, each - start)
                held = [secrets.token_hex(32) for _ in range(count)]
                await node.ask("PUT", f"nodes/{node.node_id}/chunks", {"held": held})

    async def beat(self, node: Node, until: float) -> None:
        """
        Beat every three seconds, at a moment of the node's own.
        """
        loop = asyncio.get_running_loop()
        await asyncio.sleep(self._rng.uniform(0, INTERVAL))
        message: dict[str, object] = {
            "memory_used": 1 << 32,
            "disk_used": 1 << 36,
            "chunks": 1000,
            "uploads": 3,
            "membership_version": self.version,
        }
        while loop.time() < until:
            begun = loop.time()
            path = f"nodes/{node.node_id}/heartbeat"
            answer = await node.ask("PUT", path, message)
            self.taken.append(loop.time() - begun)
            message["membership_version"] = answer["version"]
            await asyncio.sleep(INTERVAL * self._rng.uniform(0.9, 1.1))

    async def watch(self, node: Node, heard: list[float]) -> None:
        """
        Wait for a change of the membership.
        """
        await node.ask("GET", f"membership?version={self.version}&wait=60")
        heard.append(asyncio.get_running_loop().time())


def processor_seconds(pid: int) -> float:
    """
    Read how long a process has run.
    """
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def waited_seconds(pid: int | str) -> float:
    """
    Read how long the main thread of a process has waited for a processor.
    """
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[1]) / 1e9


def resident(pid: int) -> int:
    """
    Read the bytes of memory that a process has.
    """
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


async def listening(port: int) -> None:
    """
    Wait until the control plane listens.
    """
    for _ in range(300):
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.1)
        else:
            writer.close()
            return
    raise TimeoutError("the control plane does not start")


async def run(pid: int, port: int, given: argparse.Namespace) -> None:
    """
    Make the load, and print what it cost.
    """
    load = Load(given.nodes, port)
    loop = asyncio.get_running_loop()
    await listening(port)
    begun, used = loop.time(), processor_seconds(pid)
    await load.register()
    await load.report(given.chunks)
    took = loop.time() - begun
    cost = processor_seconds(pid) - used
    print(
        f"{given.nodes} nodes, {given.chunks} chunks: told in {took:.1f} s, {cost:.1f} "
        "s of processor time"
    )
    heard: list[float] = []
    watching = [asyncio.create_task(load.watch(node, heard)) for node in load.watches]
    await asyncio.sleep(1)
    begun, used = loop.time(), processor_seconds(pid)
    both: tuple[int | str, ...] = (pid, "self")
    waited = [waited_seconds(each) for each in both]
    until = begun + given.seconds
    await asyncio.gather(*(load.beat(node, until) for node in load.beats))
    spent, passed = processor_seconds(pid) - used, loop.time() - begun
    late = [
        (waited_seconds(each) - before) / passed
        for each, before in zip(both, waited, strict=True)
    ]
    taken = sorted(load.taken)
    each = spent / len(taken)
    print(
        f"{len(taken)} heartbeats: {spent / passed:.1%} of a core, "
        f"{each * 1000:.2f} ms each ({each * given.nodes / INTERVAL:.1%} for all), "
        f"{resident(pid) / (1 << 20):.0f} MiB resident, median "
        f"{taken[len(taken) // 2] * 1000:.1f} ms, "
        f"p99 {taken[int(len(taken) * 0.99)] * 1000:.1f} ms, slowest "
        f"{taken[-1] * 1000:.1f} ms"
    )
    print(
        f"waited for a processor: the control plane {late[0]:.1%} of the time, the "
        f"nodes {late[1]:.1%}"
    )
    changed = loop.time()
    await load.beats[0].ask("DELETE", f"nodes/{load.beats[0].node_id}")
    await asyncio.gather(*watching)
    print(f"a node left: all {len(heard)} heard within {max(heard) - changed:.2f} s")


def main() -> None:
    """
    Read the command line and start the control plane.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, default=1000)
    parser.add_argument("--chunks", type=int, default=1_000_000)
    parser.add_argument("--seconds", type=float, default=30.0)
    given = parser.parse_args()
    (port,) = free_ports(1)
    with tempfile.TemporaryDirectory() as directory:
        server = subprocess.Popen(
            [
                *(str(Path(sys.executable).with_name("twist")), "eliop2p-control"),
                *("--listen-port", str(port), "--bind-address", "127.0.0.1"),
                *("--data-dir", directory, "--log-level", "ERROR"),
                *("--heartbeat-timeout-sec", "120"),
            ],
            env=os.environ | {"ELIOP2P_CONTROL_PLANE_TOKEN": "bench"},
        )
        try:
            asyncio.run(run(server.pid, port, given))
        finally:
            server.terminate()
            server.wait()


if __name__ == "__main__":
    main()
