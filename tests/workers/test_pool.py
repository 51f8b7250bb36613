"""
Tests for :mod:`eliop2p.workers.pool` and :mod:`eliop2p.workers.process`.
"""

import errno
import os
import socket
import sys
import tempfile
from typing import cast
from unittest.mock import patch

from twisted.internet.error import ProcessExitedAlready, ProcessTerminated
from twisted.internet.interfaces import (
    IProcessTransport,
    IReactorFDSet,
    IReactorProcess,
)
from twisted.internet.protocol import ProcessProtocol
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from eliop2p.model.span import FileSpan
from eliop2p.workers.board import Board
from eliop2p.workers.channel import close_all
from eliop2p.workers.messages import (
    DIALECT,
    MAX_MESSAGE,
    Kind,
    Message,
    decode,
    decode_places,
)
from eliop2p.workers.pool import (
    CHECK_SECONDS,
    FIRST_PAUSE,
    LONGEST_PAUSE,
    STEADY_SECONDS,
    STOP_SECONDS,
    Workers,
    spawn_with,
)
from eliop2p.workers.process import SILENCE_SECONDS, Ended, WorkerProcess
from tests.net.loopback import open_descriptors
from tests.workers.rigs import QuietReactor


class FakeWorker:
    """
    The other side of a worker process: what it hears is read from the channel, what it
    says is written to it.
    """

    def __init__(self, protocol: ProcessProtocol, channel: int, board: int) -> None:
        self.board = Board(board)
        assert isinstance(protocol, WorkerProcess)
        self.protocol = protocol
        self.killed = False
        self._end = socket.socket(fileno=os.dup(channel))
        self._end.setblocking(False)
        protocol.transport = cast("IProcessTransport", self)

    def say(self, message: Message) -> None:
        """
        Send a message, and let the node read it.
        """
        self._end.send(message.encode())
        self.read()

    def read(self) -> None:
        """
        Let the node read.
        """
        assert self.protocol._channel is not None
        self.protocol._channel.doRead()

    def heard(self) -> list[Message]:
        """
        Read what the node has sent.
        """
        messages: list[Message] = []
        while True:
            try:
                data, descriptors, _, _ = socket.recv_fds(self._end, MAX_MESSAGE, 2)
            except (BlockingIOError, OSError):
                return messages
            close_all(descriptors)
            if not data:
                return messages
            messages.append(decode(data))

    def signalProcess(self, signal: str) -> None:  # noqa: N802
        """
        Note that it is to die.
        """
        assert signal == "KILL"
        if self.killed:
            raise ProcessExitedAlready
        self.killed = True

    def end(self) -> None:
        """
        Be gone.
        """
        self.killed = True
        self._end.close()
        self.protocol.processEnded(Failure(ProcessTerminated(signal=9)))


class WorkersTests(SynchronousTestCase):
    """
    A pool of workers that are not there.
    """

    def setUp(self) -> None:
        """
        Start two.
        """
        self.clock = Clock()
        self.fakes: list[FakeWorker] = []
        self.workers = Workers(
            2,
            self.spawn,
            cast("IReactorFDSet", QuietReactor()),
            self.clock,
            bounds=(0.1, 1.0),
        )
        self.workers.startService()
        self.ended: list[Ended] = []
        file = tempfile.TemporaryFile()  # noqa: SIM115  The test's end closes it.
        self.addCleanup(file.close)
        self.fd = file.fileno()
        self.client = os.open(os.devnull, os.O_WRONLY)
        self.addCleanup(os.close, self.client)
        self.addCleanup(self.finish)

    def finish(self) -> None:
        """
        Let everything end.
        """
        for fake in self.fakes:
            fake._end.close()
            if fake.protocol._channel is not None:
                fake.protocol._channel.close()

    def spawn(self, protocol: ProcessProtocol, channel: int, board: int) -> FakeWorker:
        """
        Start a worker.
        """
        self.fakes.append(FakeWorker(protocol, channel, board))
        return self.fakes[-1]

    def be_ready(self) -> None:
        """
        Have every worker say that it lives.
        """
        for fake in self.fakes:
            if not fake.killed:
                fake.say(Message(Kind.PONG))

    def carry(self, length: int) -> bool:
        """
        Give work.
        """
        spans = (FileSpan(self.fd, 5, length - 1), FileSpan(self.fd, 0, 1))
        return self.workers.carry(self.client, spans, self.ended.append) is not None

    def test_not_ready(self) -> None:
        """
        Nothing is given to a worker before it has said that it lives.
        """
        self.assertEqual(self.workers.ready, 0)
        self.assertFalse(self.carry(1))
        self.be_ready()
        self.assertEqual(self.workers.ready, 2)
        self.assertTrue(self.carry(1))

    def test_told_and_answered(self) -> None:
        """
        A worker is told what to send; what it says of it is passed on and counted.
        """
        self.be_ready()
        self.assertTrue(self.carry(100))
        (first, second) = self.fakes
        (message,) = first.heard()
        self.assertEqual((message.kind, message.ticket), (Kind.CARRY, 1))
        self.assertEqual(
            decode_places(message.data, (8, 9)),
            (FileSpan(8, 5, 99), FileSpan(9, 0, 1)),
        )
        self.assertEqual(message.first, 2)
        self.assertEqual(second.heard(), [])
        self.assertEqual(first.protocol.load, 100)
        first.say(Message(Kind.ENDED, 1, 60, errno.EPIPE))
        self.assertEqual(self.ended, [Ended(60, errno.EPIPE)])
        self.assertEqual((first.protocol.load, self.workers.sent), (0, 60))

    def test_said_twice(self) -> None:
        """
        What is said of a ticket that has ended, or never was, counts for nothing.
        """
        self.be_ready()
        self.carry(100)
        for _ in range(2):
            self.fakes[0].say(Message(Kind.ENDED, 1, 100, 0))
        self.fakes[1].say(Message(Kind.ENDED, 77, 100, 0))
        self.assertEqual(self.ended, [Ended(100, 0)])
        self.assertEqual(self.workers.sent, 100)

    def test_balance(self) -> None:
        """
        Work goes to whom has least to do, workers before the node itself.
        """
        self.be_ready()
        given = [self.carry(length) for length in (100, 50, 1)]
        self.assertEqual(given, [True, True, False])
        self.workers.here = 60
        self.assertTrue(self.carry(30))
        loads = [fake.protocol.load for fake in self.fakes]
        self.assertEqual(loads, [100, 80])

    def test_stopped(self) -> None:
        """
        A worker is told of what it need not send any more, and nobody hears of it.
        """
        self.be_ready()
        stop = self.workers.carry(
            self.client, (FileSpan(self.fd, 0, 9),), self.ended.append
        )
        assert stop is not None
        stop()
        fake = self.fakes[0]
        self.assertEqual(fake.heard()[1:], [Message(Kind.STOP, 1)])
        fake.say(Message(Kind.ENDED, 1, 9, 0))
        stop()
        self.assertEqual((self.ended, fake.protocol.load), ([], 0))
        self.assertEqual(fake.heard(), [])

    def test_death(self) -> None:
        """
        What a worker that has died was to send is reported as such, to be sent by
        others, and what it has sent still counts.
        """
        self.be_ready()
        self.carry(100)
        self.fakes[0].say(Message(Kind.ENDED, 1, 100, 0))
        self.carry(50)
        self.fakes[0].end()
        self.assertEqual(self.ended, [Ended(100, 0), Ended(None, 0)])
        self.assertEqual(self.workers.ready, 1)
        self.assertEqual((self.workers.restarts, self.workers.sent), (1, 100))

    def test_replaced(self) -> None:
        """
        A worker that has died is replaced, after longer pauses when that goes on, and
        without when it had lived for long.
        """
        pauses = []
        for _ in range(9):
            self.fakes[-1].end()
            known, waited = len(self.fakes), 0.0
            while len(self.fakes) == known:
                self.clock.advance(FIRST_PAUSE)
                waited += FIRST_PAUSE
            pauses.append(waited)
            self.be_ready()
        self.assertAlmostEqual(pauses[0], FIRST_PAUSE)
        self.assertAlmostEqual(pauses[1], 2 * FIRST_PAUSE)
        self.assertLess(abs(pauses[-1] - LONGEST_PAUSE), 2 * FIRST_PAUSE)
        for _ in range(int(STEADY_SECONDS / CHECK_SECONDS) + 1):
            self.clock.advance(CHECK_SECONDS)
            self.be_ready()
        self.fakes[-1].end()
        known = len(self.fakes)
        self.clock.advance(FIRST_PAUSE)
        self.assertEqual(len(self.fakes), known + 1)

    def test_cannot_be_started(self) -> None:
        """
        A worker that the machine does not let start is tried again after a pause, and
        nothing stays open for it.
        """
        before = open_descriptors()
        with patch.object(self.workers, "_spawn", side_effect=OSError("no memory")):
            self.fakes[0].end()
            self.clock.advance(FIRST_PAUSE)
        self.assertLess(len(open_descriptors()), len(before))
        self.assertEqual(len(self.fakes), 2)
        self.clock.advance(2 * FIRST_PAUSE)
        self.be_ready()
        self.assertEqual((len(self.fakes), self.workers.ready), (3, 2))

    def test_hung(self) -> None:
        """
        A worker that does not answer is killed after a while; one that does is not.
        """
        self.be_ready()
        silent, lively = self.fakes
        for _ in range(int(SILENCE_SECONDS / CHECK_SECONDS) + 1):
            self.assertFalse(silent.killed)
            self.clock.advance(CHECK_SECONDS)
            self.assertIn(Message(Kind.PING), lively.heard())
            lively.say(Message(Kind.PONG))
        self.assertTrue(silent.killed)
        self.assertFalse(lively.killed)

    def test_closed_channel(self) -> None:
        """
        A worker that has closed its channel, or says what is no message, is killed.
        """
        self.be_ready()
        self.fakes[0]._end.send(b"?")
        self.fakes[0].read()
        self.fakes[1]._end.close()
        self.fakes[1].read()
        self.assertEqual([fake.killed for fake in self.fakes], [True, True])
        self.assertEqual(self.workers.ready, 0)
        self.assertFalse(self.carry(1))

    def test_stop(self) -> None:
        """
        Stopping closes the channels and waits until all workers are gone; no other is
        started then, nor one that was to replace another.
        """
        self.be_ready()
        self.fakes[0].end()
        stopping = self.workers.stopService()
        self.assertNoResult(stopping)
        self.assertEqual(self.fakes[1]._end.recv(100), b"")
        self.fakes[1].end()
        self.successResultOf(stopping)
        self.clock.advance(2 * STOP_SECONDS)
        self.assertEqual(len(self.fakes), 2)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_stop_of_a_hung_worker(self) -> None:
        """
        A worker that does not end in time is killed.
        """
        stopping = self.workers.stopService()
        self.fakes[0].end()
        self.clock.advance(STOP_SECONDS)
        self.assertTrue(self.fakes[1].killed)
        self.assertNoResult(stopping)
        self.fakes[1].end()
        self.successResultOf(stopping)

    def test_complaints(self) -> None:
        """
        What a worker writes is read as lines, whatever they contain.
        """
        self.fakes[0].protocol.errReceived(b"one\n\xfftwo")
        self.fakes[0].protocol.outReceived(b"three\n")


class SpawnTests(SynchronousTestCase):
    """
    How workers are started.
    """

    def test_command(self) -> None:
        """
        They run the interpreter of the node with the channel as descriptor 3, and
        inherit no other descriptor.
        """
        calls: list[tuple[tuple[object, ...], dict[str, object]]] = []

        class Processes:
            def spawnProcess(self, *given: object, **named: object) -> None:  # noqa: N802
                calls.append((given, named))

        spawn = spawn_with(cast("IReactorProcess", Processes()))
        protocol = ProcessProtocol()
        spawn(protocol, 42, 43)
        (((told, executable, arguments, _), named),) = calls
        self.assertIs(told, protocol)
        self.assertEqual(executable, sys.executable)
        self.assertEqual(
            arguments, [sys.executable, "-P", "-m", "eliop2p.workers", str(DIALECT)]
        )
        self.assertEqual(named, {"childFDs": {0: "w", 1: "r", 2: "r", 3: 42, 4: 43}})
