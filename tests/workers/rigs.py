"""
Workers without processes of their own.
"""

import os
import random
import socket
from typing import cast

from twisted.internet.error import ProcessExitedAlready, ProcessTerminated
from twisted.internet.interfaces import IProcessTransport, IReactorFDSet, IReactorTime
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure

from eliop2p.workers.board import Board
from eliop2p.workers.porter import Porter


class InnerWorker:
    """
    A worker within the process that tests it, which can be killed as any other.
    """

    def __init__(
        self, protocol: ProcessProtocol, channel: int, board: int, reactor: object
    ) -> None:
        self.alive = True
        self.protocol = protocol
        self.porter = Porter(
            socket.socket(fileno=os.dup(channel)),
            Board(board),
            cast("IReactorFDSet", reactor),
            cast("IReactorTime", reactor),
            rng=random.Random(3),
            gone=self.end,
        )
        protocol.transport = cast("IProcessTransport", self)

    def signalProcess(self, signal: str) -> None:  # noqa: N802
        """
        Die, if it is that.
        """
        assert signal == "KILL"
        if not self.alive:
            raise ProcessExitedAlready
        self.end()

    def end(self) -> None:
        """
        Close everything, as the kernel does for a process.
        """
        if self.alive:
            self.alive = False
            for carriage in list(self.porter._carried.values()):
                carriage.stop()
            for number in list(self.porter._desk._connections):
                self.porter._desk.recall(number)
            self.porter._channel.close()
            self.protocol.processEnded(Failure(ProcessTerminated(signal=9)))


class InnerSpawn:
    """
    Starts workers in this process.

    Attributes:
        workers: All that were started.
    """

    def __init__(self, reactor: object) -> None:
        self._reactor = reactor
        self.workers: list[InnerWorker] = []

    def __call__(
        self, protocol: ProcessProtocol, channel: int, board: int
    ) -> InnerWorker:
        """
        Start one.
        """
        worker = InnerWorker(protocol, channel, board, self._reactor)
        self.workers.append(worker)
        return worker


class QuietReactor:
    """
    Watches descriptors only when it is told that something has come.
    """

    def __init__(self) -> None:
        self.readers: set[object] = set()
        self.writers: set[object] = set()

    def addReader(self, reader: object) -> None:  # noqa: N802
        """
        See :class:`IReactorFDSet`.
        """
        self.readers.add(reader)

    def removeReader(self, reader: object) -> None:  # noqa: N802
        """
        See :class:`IReactorFDSet`.
        """
        self.readers.discard(reader)

    def addWriter(self, writer: object) -> None:  # noqa: N802
        """
        See :class:`IReactorFDSet`.
        """
        self.writers.add(writer)

    def removeWriter(self, writer: object) -> None:  # noqa: N802
        """
        See :class:`IReactorFDSet`.
        """
        self.writers.discard(writer)
