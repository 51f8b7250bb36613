"""
What it costs to move chunks from one node to another.

Each round starts two processes for every way, one after the other: a giver, which has
64 chunks of 8 MiB, and a taker, which receives each four times into memory of its own
and checks its BLAKE3. The ways are ``links``, which is what nodes do that have a disk
tier (they send from its files what the page cache has), ``memory``, which is what nodes
without one do, and ``bare``: ``sendfile`` from a file in memory on one side and
``recv_into`` on the other, without a protocol.
Run it as ``python -m benchmarks.p2p_pair``.
"""

import argparse
import json
import os
import random
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from typing import cast

from blake3 import blake3
from twisted.internet import reactor  # noqa: TID251  # A program of its own.
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.interfaces import IReactorFromThreads
from twisted.internet.protocol import Protocol
from twisted.internet.stdio import StandardIO
from twisted.python.failure import Failure

from benchmarks.held_chunks import (
    CHUNK,
    COUNT,
    FileChunks,
    MemoryChunks,
    chunk_of,
    content_of,
)
from eliop2p.cache.buffer import ChunkBuffer
from eliop2p.cache.memory_pages import allocate
from eliop2p.interfaces import IPeerRequests
from eliop2p.model.peer import PeerInfo
from eliop2p.model.trail import Intake
from eliop2p.net.network import ReactorNetwork
from eliop2p.net.worker import ThreadWorker
from eliop2p.p2p.downlink import Downlink
from eliop2p.p2p.links import PeerLinks
from eliop2p.p2p.node_discovery import NodeDiscovery
from eliop2p.p2p.peer_gets import PeerGets, Wanted
from eliop2p.p2p.precedence import Precedence
from eliop2p.p2p.selection import PeerScores
from eliop2p.p2p.speed import Speed
from eliop2p.p2p.store_pace import StorePace
from eliop2p.p2p.swarm import Swarm
from eliop2p.wire.events import Holder

TIMES = 4
SIDE_BY_SIDE = 8
WAYS = ("links", "memory", "bare")
SECRET = b"the secret of the cluster"


def processor_seconds() -> float:
    """
    Tell how long this process has been on a processor.
    """
    times = os.times()
    return times.user + times.system


class Node:
    """
    As much of a node as moves chunks.

    Args:
        name: Which one.
    """

    def __init__(self, name: str) -> None:
        self.worker = ThreadWorker(cast("IReactorFromThreads", reactor), name, 2)
        self.worker.start()
        reactor.addSystemEventTrigger("after", "shutdown", self.worker.stop)
        self.name = name
        members = NodeDiscovery(PeerInfo(name, "127.0.0.1", 0), None, self.worker)
        rng = random.Random(name)
        self.swarm = Swarm(name, members, self._links, clock=reactor, rng=rng)
        self.speed = Speed(name, members, clock=reactor, rng=rng)

    def _links(self, requests: IPeerRequests) -> PeerLinks:
        self.links = PeerLinks(
            node_id=self.name,
            secret=SECRET,
            network=ReactorNetwork(reactor),
            clock=reactor,
            requests=requests,
            worker=self.worker,
            rng=random.Random(self.name),
            nonce=lambda: os.urandom(32),
            max_peers=4,
        )
        return self.links


class Ended(Protocol):
    """
    Notices that nobody needs this process any more.
    """

    def __init__(self) -> None:
        self.ended: Deferred[None] = Deferred()

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]  # noqa: ARG002
        """
        End.
        """
        self.ended.callback(None)


def run(main: Callable[[], "Deferred[None]"]) -> None:
    """
    Run the reactor until a Deferred fires.
    """

    def begin() -> None:
        main().addErrback(Failure.printTraceback).addBoth(lambda _: reactor.stop())

    reactor.callWhenRunning(begin)
    reactor.run()


async def serve(node: Node, chunks: MemoryChunks | FileChunks) -> None:
    """
    Serve chunks as a node does, until the standard input ends.
    """
    await chunks.fill()
    node.swarm.requests.begin(chunks)
    address = node.links.start("127.0.0.1", 0).getHost()
    ended = Ended()
    StandardIO(ended)
    print(cast("IPv4Address", address).port, flush=True)
    started = processor_seconds()
    await ended.ended
    print(processor_seconds() - started, flush=True)
    await chunks.stop()


def give_from_files() -> None:
    """
    Be a node with a disk tier.
    """
    node = Node("giver")
    with tempfile.TemporaryDirectory(prefix="eliop2p-bench-") as directory:
        chunks = FileChunks(directory, node.worker, reactor)
        run(lambda: Deferred.fromCoroutine(serve(node, chunks)))


def give_from_memory() -> None:
    """
    Be a node without a disk tier.
    """
    run(lambda: Deferred.fromCoroutine(serve(Node("giver"), MemoryChunks())))


def take_links(port: int) -> None:
    """
    Get every chunk as a node does.
    """
    node, peer = Node("taker"), PeerInfo("giver", "127.0.0.1", port)
    downlink = Downlink(reactor, node.speed)
    gets = PeerGets(
        node.links,
        PeerScores(),
        reactor,
        downlink=downlink,
        precedence=Precedence(reactor, lambda: node.speed.is_slow),
        store_pace=StorePace(reactor, downlink.came),
        ask_others=lambda *_: None,
        received=lambda _: None,
    )
    numbers = iter([*range(COUNT)] * TIMES)

    async def take() -> None:
        for number in numbers:
            sink = ChunkBuffer(chunk_of(number), node.worker, lambda: None)
            wanted = Wanted(sink, 0, Intake())
            done = await gets.get(Holder("giver", True), peer, wanted)
            if await sink.digest() != done.digest:
                raise RuntimeError("wrong bytes")

    async def take_all() -> None:
        began, started = time.perf_counter(), processor_seconds()
        await gatherResults(
            [Deferred.fromCoroutine(take()) for _ in range(SIDE_BY_SIDE)]
        )
        report(time.perf_counter() - began, processor_seconds() - started)
        await node.links.close()

    run(lambda: Deferred.fromCoroutine(take_all()))


def give_bare() -> None:
    """
    Send all chunks, one after the other, from a file in memory.
    """
    descriptor = os.memfd_create("chunks")
    for number in range(COUNT):
        os.pwrite(descriptor, content_of(number), number * CHUNK)
    with socket.create_server(("127.0.0.1", 0)) as server:
        print(server.getsockname()[1], flush=True)
        connection, _ = server.accept()
        started = processor_seconds()
        with connection:
            for _ in range(TIMES):
                sent = 0
                while sent < COUNT * CHUNK:
                    sent += os.sendfile(
                        connection.fileno(), descriptor, sent, COUNT * CHUNK - sent
                    )
    sys.stdin.read()
    print(processor_seconds() - started, flush=True)


def take_bare(port: int) -> None:
    """
    Receive all chunks, one after the other, into memory as nodes take it.
    """
    digests = [blake3(content_of(number)).digest() for number in range(COUNT)]
    with socket.create_connection(("127.0.0.1", port)) as connection:
        began, started = time.perf_counter(), processor_seconds()
        for digest in digests * TIMES:
            buffer = allocate(CHUNK)
            filled = 0
            while filled < CHUNK:
                filled += connection.recv_into(buffer[filled:])
            if blake3(buffer).digest() != digest:
                raise RuntimeError("wrong bytes")
        report(time.perf_counter() - began, processor_seconds() - started)


def report(wall: float, processor: float) -> None:
    """
    Tell the parent how it went.
    """
    print(json.dumps([wall, processor]), flush=True)


def measure(way: str) -> tuple[float, float, float]:
    """
    Move all chunks between two fresh processes.

    Returns:
        Processor seconds of the giver and of the taker, and seconds, per 10^9 bytes.
    """
    command = [sys.executable, "-m", "benchmarks.p2p_pair"]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [*command, "--give", way], stdin=pipe, stdout=pipe, text=True
    ) as giver:
        assert giver.stdin is not None
        assert giver.stdout is not None
        port = giver.stdout.readline().strip()
        taker = [*command, "--take", way, "--port", port]
        wall, processor = json.loads(subprocess.check_output(taker))
        giver.stdin.close()
        given = float(giver.stdout.readline())
    scale = 1e9 / (TIMES * COUNT * CHUNK)
    return given * scale, processor * scale, wall * scale


def main() -> None:
    """
    Measure both ways in turn and print the medians.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--give", choices=WAYS, help=argparse.SUPPRESS)
    parser.add_argument("--take", choices=WAYS, help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.give:
        give = {
            "links": give_from_files,
            "memory": give_from_memory,
            "bare": give_bare,
        }
        give[options.give]()
    elif options.take:
        (take_bare if options.take == "bare" else take_links)(options.port)
    else:
        rows: dict[str, list[tuple[float, ...]]] = {way: [] for way in WAYS}
        for _ in range(options.rounds):
            for way in WAYS:
                rows[way].append(measure(way))
        show(rows)


def show(rows: dict[str, list[tuple[float, ...]]]) -> None:
    """
    Print the table.
    """
    rounds = len(rows["bare"])
    print(f"processor seconds per GB, medians of {rounds} rounds")
    print("way          giver        taker   GB/s")
    for way in WAYS:
        columns = zip(*rows[way], strict=True)
        given, taken, wall = (statistics.median(column) for column in columns)
        print(f"{way:6} {given:11.2f}  {taken:11.2f}  {1 / wall:5.2f}")


if __name__ == "__main__":
    main()
