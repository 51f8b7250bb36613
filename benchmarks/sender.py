"""
What it costs to send a body: :class:`.SocketSender` against a stock transport.

Each round starts a server process for every way of sending, one after the other, lets
this process read a body from it a number of times, and asks how much processor time
the server took. Run it as ``python -m benchmarks.sender``.
"""

import argparse
import os
import socket
import statistics
import subprocess
import sys
import tempfile
from contextlib import closing
from typing import cast

from twisted.internet import reactor  # noqa: TID251  # A program of its own.
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.tcp import Connection
from twisted.python.failure import Failure

from eliop2p.model.span import FileSpan, Span
from eliop2p.net.copying_sender import TransportSender
from eliop2p.net.network import ReactorNetwork
from eliop2p.net.sender import SocketSender

MIB = 1024 * 1024
BODY = 64 * MIB
WAYS = ("sender memory", "stock memory", "sender file", "stock file")


def processor_seconds() -> float:
    """
    Tell how long this process has been on a processor.
    """
    times = os.times()
    return times.user + times.system


class Server(Protocol):
    """
    Sends the body a number of times, tells what it took, and ends the process.
    """

    def __init__(self, way: str, span: Span, repeats: int) -> None:
        self.way = way
        self.span = span
        self.repeats = repeats

    def connectionMade(self) -> None:
        """
        Begin.
        """
        serving = Deferred.fromCoroutine(self.serve())
        serving.addErrback(Failure.printTraceback)
        serving.addBoth(lambda _: reactor.stop())

    async def serve(self) -> None:
        """
        Send everything.
        """
        connection = cast("Connection", self.transport)
        sender = (
            SocketSender(connection, reactor)
            if self.way.startswith("sender")
            else TransportSender(connection)
        )
        started = processor_seconds()
        with closing(sender):
            for _ in range(self.repeats):
                await sender.send(self.span, False)
        print(processor_seconds() - started, flush=True)


class ServerFactory(Factory):
    """
    Makes the one server.
    """

    def __init__(self, server: Server) -> None:
        self.server = server

    def buildProtocol(self, addr: object) -> Server:  # noqa: ARG002
        """
        Give it.
        """
        return self.server


def serve(way: str, repeats: int) -> None:
    """
    Be the server process: print the port, then the processor seconds.
    """
    body = os.urandom(MIB) * (BODY // MIB)
    with tempfile.TemporaryFile() as file:
        file.write(body)
        file.flush()
        span = (
            FileSpan(file.fileno(), 0, BODY)
            if way.endswith("file")
            else memoryview(body)
        )
        factory = ServerFactory(Server(way, span, repeats))
        listening = ReactorNetwork(reactor).listen("127.0.0.1", 0, factory)
        print(cast("IPv4Address", listening.getHost()).port, flush=True)
        reactor.run()


def measure(way: str, repeats: int) -> float:
    """
    Read the bodies from a server process.

    Returns:
        Its processor seconds per 10^9 bytes.
    """
    command = [sys.executable, "-m", "benchmarks.sender", "--serve", way]
    command += ["--repeats", str(repeats)]
    buffer = bytearray(MIB)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        port = int(server.stdout.readline())
        received = 0
        with socket.create_connection(("127.0.0.1", port)) as client:
            while count := client.recv_into(buffer):
                received += count
        seconds = float(server.stdout.readline())
    if received != repeats * BODY:
        raise RuntimeError(f"{way}: {received} bytes instead of {repeats * BODY}")
    return seconds / received * 1e9


def main() -> None:
    """
    Measure all ways in turn and print the medians.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--repeats", type=int, default=16, help="bodies in a round")
    parser.add_argument("--serve", choices=WAYS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.serve, options.repeats)
        return
    rounds = [
        {way: measure(way, options.repeats) for way in WAYS}
        for _ in range(options.rounds)
    ]
    median = {way: statistics.median(row[way] for row in rounds) for way in WAYS}
    print(f"processor seconds per GB, medians of {options.rounds} rounds")
    for way in WAYS:
        stock = median["stock " + way.split()[1]]
        print(f"{way:15} {median[way]:6.3f}  {median[way] / stock:5.2f} of stock")


if __name__ == "__main__":
    main()
