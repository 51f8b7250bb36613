"""
Tests for :mod:`eliop2p.net.sender`.
"""

import array
import fcntl
import os
import socket
from collections.abc import Iterator
from typing import cast
from unittest.mock import patch

from twisted.internet.error import ConnectionLost
from twisted.internet.interfaces import ITCPTransport, IWriteDescriptor
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase, TestCase
from zope.interface.verify import verifyObject

from eliop2p.model.span import FileSpan, Span
from eliop2p.net.copying_sender import PIECE, TransportSender
from eliop2p.net.read_group import ReadGroup
from eliop2p.net.sender import SCRAP, TURN, SocketSender, make_sender
from tests.net import body_senders, run_senders
from tests.net.body_sender_faults import LARGE, SMALL, file_of, noise
from tests.net.loopback import REACTOR, End, pair, turns

_SIOCOUTQNSD = 0x894B
"""
Asks Linux how many bytes of a socket it has taken and not sent yet.
"""


def _unsent(end: End) -> int:
    answer = array.array("i", [0])
    fcntl.ioctl(end.connection.fileno(), _SIOCOUTQNSD, answer)
    return answer[0]


class SocketSenderTests(run_senders.RunSenderPromises):
    """
    :class:`.SocketSender` keeps every sender's promises, and its own.
    """

    def make(self, end: End) -> SocketSender:
        """
        Make the sender under test.
        """
        return SocketSender(end.connection, REACTOR)

    async def test_descriptor(self) -> None:
        """
        It is what the reactor expects of something to watch for writing.
        """
        sender, _, _ = await self.ends()
        verifyObject(IWriteDescriptor, sender)

    async def test_head_waits_for_its_body(self) -> None:
        """
        The kernel holds back a head that is announced as incomplete, so that it shares
        a packet with the body, until there is a send without more, even an empty one.
        """
        sender, ours, client = await self.ends()
        await sender.send(memoryview(b"head"), True)
        self.assertEqual(_unsent(ours), 4)
        await sender.send(memoryview(b""), True)
        self.assertEqual(_unsent(ours), 4)
        await sender.send(memoryview(b""), False)
        self.assertEqual(_unsent(ours), 0)
        await client.wait_for(4)

    async def test_file_releases_the_head(self) -> None:
        """
        A body from a file takes the head that waited for it along.
        """
        sender, ours, client = await self.ends()
        await sender.send(memoryview(b"head"), True)
        await sender.send(FileSpan(file_of(self, b"body"), 0, 4), False)
        self.assertEqual(_unsent(ours), 0)
        await client.wait_for(8)

    async def test_bounded_turn(self) -> None:
        """
        However willing the kernel, one connection sends at most a turn's worth of
        bytes before the reactor has gone round.
        """
        sender, ours, client = await self.ends()
        client.connection.pauseProducing()
        ours.connection.getHandle().setsockopt(
            socket.SOL_SOCKET, socket.SO_SNDBUF, 2 * TURN
        )
        data = memoryview(noise(TURN // 64))
        sent = 0
        while (sending := sender.send(data, False)).called:
            sent += len(data)
            self.assertLessEqual(sent, TURN)
        self.assertLessEqual(sender.bytes_sent, TURN)
        client.connection.resumeProducing()
        await sending
        await client.wait_for(sent + len(data))

    async def test_bounded_turn_of_many(self) -> None:
        """
        Many spans count as one for a turn, and one that ends in the middle of a turn
        does not end it.
        """
        sender, ours, client = await self.ends()
        ours.connection.getHandle().setsockopt(
            socket.SOL_SOCKET, socket.SO_SNDBUF, 2 * TURN
        )
        size = TURN // 4
        file = file_of(self, noise(size))
        asked = []

        def spans() -> Iterator[Span]:
            for _ in range(20):
                asked.append(sender.bytes_sent)
                yield FileSpan(file, 0, size)

        sending = sender.send_all(spans())
        self.assertFalse(sending.called)
        self.assertGreater(len(asked), 1)
        self.assertLessEqual(sender.bytes_sent, TURN + SCRAP)
        await sending
        await client.wait_for(20 * size)

    async def test_others_read_between_turns(self) -> None:
        """
        After each turn of the reactor in which it sends much, others may read; after
        one in which it sends little they need not.
        """
        ours, _ = await pair(self)
        let_in: list[int] = []
        sender = SocketSender(
            ours.connection, REACTOR, lambda: let_in.append(sender.bytes_sent)
        )
        self.addCleanup(sender.close)
        taken = iter((TURN, TURN, TURN // 4, TURN, TURN, TURN // 4))
        span = FileSpan(file_of(self, b""), 0, 9 * TURN // 2)
        with patch("eliop2p.net.sender.os.sendfile", lambda *_: next(taken)):
            await sender.send(span, False)
        turns_sent = [sent * 4 // TURN for sent in let_in]
        self.assertEqual(turns_sent, [8, 13, 17])

    async def test_spans_that_fail(self) -> None:
        """
        When the next span cannot be had for a reason that nobody foresaw, the
        connection is broken off rather than left hanging.
        """

        def spans() -> Iterator[Span]:
            yield memoryview(noise(LARGE))
            raise ZeroDivisionError

        sender, ours, client = await self.ends(SMALL)
        sending = sender.send_all(spans())
        self.assertFalse(sending.called)
        await self.assertFailure(sending, ConnectionLost)
        await ours.lost
        await client.lost
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    async def test_offer_stops_anywhere(self) -> None:
        """
        Wherever the kernel stops taking of a file, the count is that of what it took.
        """
        sender, _, client = await self.ends()
        data = noise(200)
        span, take = FileSpan(file_of(self, data), 0, len(data)), os.sendfile
        for stop in range(1, len(data) + 1):

            def some(
                out: int, file: int, offset: int, size: int, at: int = stop
            ) -> int:
                return take(out, file, offset, min(size, at))

            with patch("eliop2p.net.sender.os.sendfile", some):
                taken = sender.offer(b"head", span)
            self.assertEqual(taken, 4 + stop)
            await sender.send(memoryview(data)[stop:], False)
            await client.wait_for(stop * (4 + len(data)))
        self.assertEqual(bytes(client.received), (b"head" + data) * len(data))

    async def test_no_scraps(self) -> None:
        """
        What is left of a turn or of a body has no system call of its own when it is
        little: it goes with what comes before, or waits for the next turn.
        """
        sender, _, client = await self.ends()
        sizes, take = [], os.sendfile

        def noted(out: int, file: int, offset: int, size: int) -> int:
            sizes.append(size)
            return take(out, file, offset, size)

        data = noise(TURN + SCRAP)
        span = FileSpan(file_of(self, data), 0, len(data))
        with patch("eliop2p.net.sender.os.sendfile", noted):
            for body in (noise(300), data, data):
                more = len(body) == 300
                await sender.send(memoryview(body) if more else span, more)
        await client.wait_for(300 + 2 * len(data))
        self.assertEqual(bytes(client.received[300:]), data * 2)
        self.assertGreater(min(sizes), SCRAP // 2)

    async def test_rests(self) -> None:
        """
        The reactor watches the socket for writing only while something is pending.
        """
        sender, _, client = await self.ends(SMALL)
        await sender.send(memoryview(noise(LARGE)), False)
        await turns(1)
        self.assertNotIn(sender, REACTOR.getWriters())
        await client.wait_for(LARGE)
        sending = sender.send(memoryview(noise(LARGE)), False)
        self.assertIn(sender, REACTOR.getWriters())
        await sending

    async def test_span_is_let_go(self) -> None:
        """
        Once a send has ended, however it did, nothing refers to its bytes any more.
        """
        sender, _, _ = await self.ends(SMALL)
        content = bytearray(LARGE)
        for length in (100, LARGE):
            with memoryview(content) as view:
                await sender.send(view[:length], False)
        with memoryview(content) as view:
            sending = sender.send(view[:], False)
            sending.addErrback(lambda failure: None)
            sender.close()
        content.clear()


class TransportSenderTests(body_senders.BodySenderPromises):
    """
    :class:`.TransportSender` keeps every sender's promises.
    """

    def make(self, end: End) -> TransportSender:
        """
        Make the sender under test.
        """
        return TransportSender(end.connection)


class TransportSenderInMemoryTests(SynchronousTestCase):
    """
    What :class:`.TransportSender` does to the transport.
    """

    def setUp(self) -> None:
        """
        Make a sender for a transport in memory.
        """
        self.transport = StringTransport()
        self.sender = TransportSender(cast("ITCPTransport", self.transport))

    def test_stops_while_paused(self) -> None:
        """
        It writes nothing while the transport has paused it, and goes on when resumed.
        """
        content = noise(10 * PIECE)
        with patch.object(self.transport, "write", self._write_and_pause):
            sending = self.sender.send(memoryview(content), False)
            for pieces in range(1, 11):
                self.assertEqual(len(self.transport.value()), pieces * PIECE)
                self.assertNoResult(sending)
                self.sender.resumeProducing()
        self.successResultOf(sending)
        self.assertEqual(self.transport.value(), content)

    def _write_and_pause(self, data: bytes) -> None:
        self.transport.io.write(data)
        self.sender.pauseProducing()

    def test_unregisters(self) -> None:
        """
        It is the transport's producer only while a send is pending.
        """
        self.successResultOf(self.sender.send(memoryview(b"x"), False))
        self.assertIsNone(self.transport.producer)


class MakeSenderTests(TestCase):
    """
    Tests for :func:`.make_sender`.
    """

    async def test_socket(self) -> None:
        """
        A TCP connection on a reactor that watches descriptors gets a SocketSender.
        """
        ours, client = await pair(self)
        sender = make_sender(ours.connection, REACTOR)
        self.addCleanup(sender.close)
        self.assertIsInstance(sender, SocketSender)
        await sender.send(memoryview(b"x"), False)
        await client.wait_for(1)

    async def test_in_a_group(self) -> None:
        """
        Where sockets are read as a group, its members are let in between turns.
        """
        ours, _ = await pair(self)
        group = ours.connection.reactor
        self.assertIsInstance(group, ReadGroup)
        span = FileSpan(file_of(self, b""), 0, 3 * TURN)
        with patch.object(group, "doRead", return_value=None) as let_read:
            sender = make_sender(ours.connection, REACTOR)
            self.addCleanup(sender.close)
            with patch("eliop2p.net.sender.os.sendfile", lambda *asked: asked[3]):
                await sender.send(span, False)
            await turns(1)
        self.assertEqual(let_read.call_count, 2)

    async def test_others(self) -> None:
        """
        Whatever is not a plain TCP connection on such a reactor gets a TransportSender.
        """
        ours, _ = await pair(self)
        in_memory = cast("ITCPTransport", StringTransport())
        self.assertIsInstance(make_sender(in_memory, REACTOR), TransportSender)
        self.assertIsInstance(make_sender(ours.connection, object()), TransportSender)
        with patch.object(ours.connection, "TLS", True):
            chosen = make_sender(ours.connection, REACTOR)
        self.assertIsInstance(chosen, TransportSender)

    async def test_no_descriptors_left(self) -> None:
        """
        A connection that can have no second descriptor is served all the same.
        """
        ours, client = await pair(self)
        out_of_descriptors = OSError(24, "Too many open files")
        with patch.object(socket.socket, "dup", side_effect=out_of_descriptors):
            sender = make_sender(ours.connection, REACTOR)
        self.assertIsInstance(sender, TransportSender)
        await sender.send(memoryview(b"x"), False)
        await client.wait_for(1)
        await turns()
