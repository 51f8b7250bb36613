"""
Tests for :mod:`eliop2p.net.stream`, over real sockets.
"""

import socket
from typing import cast

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReadWriteDescriptor, ITransport
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase
from zope.interface.verify import verifyObject

from eliop2p.model.span import FileSpan
from eliop2p.net.stream import HIGH_WATER, SCRATCH, TURN, SocketStream, open_stream
from tests.net.body_sender_faults import LARGE, SMALL, file_of, noise
from tests.net.loopback import REACTOR, End, open_descriptors, pair, turns


def _sockets() -> list[str]:
    return [name for name in open_descriptors() if name.startswith("socket")]


class Owner:
    """
    Receives into rooms that the test lays out.

    Attributes:
        rooms: Where the next bytes go, in order; after the last nobody knows.
        seen: Bytes that came without a room.
        pauses: How often it was asked to pause, less how often to resume.
    """

    def __init__(self) -> None:
        self.rooms: list[memoryview] = []
        self.seen = bytearray()
        self.total = 0
        self.pauses = 0
        self.refill: list[tuple[bytes, bytes]] = []
        self.stream: SocketStream | None = None
        self._waiting: tuple[int, Deferred[None]] | None = None

    def room(self) -> memoryview | None:
        """
        Give the rest of the first room.
        """
        return self.rooms[0] if self.rooms else None

    def filled(self, size: int) -> None:
        """
        Make the first room smaller.
        """
        first = self.rooms.pop(0)[size:]
        if first:
            self.rooms.insert(0, first)
        self._came(size)

    def dataReceived(self, data: bytes | memoryview) -> None:
        """
        Keep bytes.
        """
        self.seen += data
        self._came(len(data))

    def pauseProducing(self) -> None:
        """
        Count.
        """
        self.pauses += 1

    def resumeProducing(self) -> None:
        """
        Count, and write what is left to be written.
        """
        self.pauses -= 1
        while self.refill and not self.pauses:
            assert self.stream is not None
            head, body = self.refill.pop(0)
            self.stream.write_span(head, memoryview(body))

    def wait_for(self, total: int) -> Deferred[None]:
        """
        Wait until so many bytes have come.
        """
        waiting = Deferred[None]()
        self._waiting = (total, waiting)
        self._came(0)
        return waiting

    def _came(self, size: int) -> None:
        self.total += size
        if self._waiting is not None and self.total >= self._waiting[0]:
            waiting, self._waiting = self._waiting[1], None
            waiting.callback(None)


class StreamCase(TestCase):
    """
    A stream and the other end of its connection.
    """

    timeout = 20

    async def ends(self, buffers: int = 0) -> tuple[SocketStream, Owner, End, End]:
        """
        Connect.

        Returns:
            The stream, its owner, its transport's protocol, and the other end.
        """
        ours, other = await pair(self, buffers)
        owner = Owner()
        stream = open_stream(ours.connection, owner)
        assert isinstance(stream, SocketStream)
        owner.stream = stream

        def lost(_: None) -> None:
            stream.lost()

        ours.lost.addCallback(lost)
        return stream, owner, ours, other


class ReceivingTests(StreamCase):
    """
    What comes in.
    """

    async def test_descriptor(self) -> None:
        """
        It is what the reactor expects of something to watch.
        """
        stream, _, _, _ = await self.ends()
        verifyObject(IReadWriteDescriptor, stream)

    async def test_bytes_go_where_they_belong(self) -> None:
        """
        Rooms are filled to the last byte, one after the other, and only what comes
        beyond them is shown.
        """
        _, owner, _, other = await self.ends()
        data = noise(LARGE)
        memory = bytearray(LARGE)
        first = SCRATCH + 5
        owner.rooms = [memoryview(memory)[:first], memoryview(memory)[first:]]
        other.connection.write(data + b"and more")
        await owner.wait_for(LARGE + 8)
        self.assertEqual(bytes(memory), data)
        self.assertEqual(bytes(owner.seen), b"and more")

    async def test_a_turn_is_bounded(self) -> None:
        """
        However much has come, a stream goes on only after others had their turn.
        """
        stream, owner, ours, other = await self.ends()
        handle: socket.socket = ours.connection.getHandle()
        handle.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * TURN)
        memory = bytearray(3 * TURN)
        owner.rooms = [
            memoryview(memory)[start : start + 4096]
            for start in range(0, len(memory), 4096)
        ]
        most = 0
        other.connection.write(bytes(len(memory)))
        read = stream.doRead

        def counted() -> None:
            nonlocal most
            before = owner.total
            read()
            most = max(most, owner.total - before)

        self.patch(stream, "doRead", counted)
        await owner.wait_for(len(memory))
        self.assertLessEqual(most, TURN)

    async def test_the_other_side_closes(self) -> None:
        """
        What was sent before the end is received, and then the protocol is told, in the
        words of its transport.
        """
        stream, owner, ours, other = await self.ends()
        other.connection.write(b"last words")
        other.connection.loseConnection()
        await ours.lost
        self.assertEqual(bytes(owner.seen), b"last words")
        self.assertIn("cleanly", ours.reason.getErrorMessage())
        self.assertEqual(stream.fileno(), -1)

    async def test_reset_in_the_middle(self) -> None:
        """
        A reset while a room is half full ends the connection, once.
        """
        _, owner, ours, other = await self.ends()
        owner.rooms = [memoryview(bytearray(100))]
        other.connection.write(b"x" * 60)
        await owner.wait_for(60)
        other.connection.abortConnection()
        await ours.lost
        self.assertEqual(len(owner.rooms[0]), 40)

    async def test_reset_while_sending(self) -> None:
        """
        The same while there is more to be sent than the other side takes.
        """
        stream, owner, ours, other = await self.ends(SMALL)
        other.connection.pauseProducing()
        stream.write_span(b"head", memoryview(noise(LARGE)))
        self.assertEqual(owner.pauses, 1)
        await turns()
        other.connection.abortConnection()
        await ours.lost
        self.assertEqual(stream.fileno(), -1)

    async def test_half_close(self) -> None:
        """
        A side that says it will send no more is done with.
        """
        _, _, ours, other = await self.ends()
        other.connection.getHandle().shutdown(socket.SHUT_WR)
        await ours.lost


class SendingTests(StreamCase):
    """
    What goes out.
    """

    async def test_order(self) -> None:
        """
        Messages, memory and files arrive in the order in which they were written.
        """
        stream, owner, _, other = await self.ends(SMALL)
        memory, stored = noise(LARGE, 1), noise(LARGE, 2)
        stream.write(b"first ")
        stream.write_span(b"head ", memoryview(memory))
        stream.write(b" between ")
        stream.write_span(b"file ", FileSpan(file_of(self, b"..." + stored), 3, LARGE))
        stream.write(b" last")
        expected = b"first head " + memory + b" between file " + stored + b" last"
        await other.wait_for(len(expected))
        self.assertEqual(bytes(other.received), expected)
        await turns()
        self.assertEqual(owner.pauses, 0)
        self.assertNotIn(stream, REACTOR.getWriters())

    async def test_back_pressure(self) -> None:
        """
        While the other side does not read the owner is paused, once, and what it is
        asked for afterwards goes on where it had stopped.
        """
        stream, owner, _, other = await self.ends(SMALL)
        other.connection.pauseProducing()
        bodies = [noise(LARGE, number) for number in range(3)]
        owner.refill = [(b"%d" % number, bodies[number]) for number in (1, 2)]
        stream.write_span(b"0", memoryview(bodies[0]))
        stream.write(b"")
        await turns()
        self.assertEqual(owner.pauses, 1)
        other.connection.resumeProducing()
        await other.wait_for(3 * (LARGE + 1))
        expected = b"".join(b"%d" % n + body for n, body in enumerate(bodies))
        self.assertEqual(bytes(other.received), expected)

    async def test_many_messages(self) -> None:
        """
        Messages alone pause their owner, too, when they become many; each piece is sent
        whole, however many wait.
        """
        stream, owner, _, other = await self.ends()
        message = noise(1000)
        count = HIGH_WATER // len(message)
        for _ in range(count):
            stream.write(message)
        self.assertEqual(owner.pauses, 0)
        stream.write(message)
        self.assertEqual(owner.pauses, 1)
        await other.wait_for((count + 1) * len(message))
        self.assertEqual(bytes(other.received), message * (count + 1))
        await turns()
        self.assertEqual(owner.pauses, 0)

    async def test_a_turn_is_bounded(self) -> None:
        """
        However willing the kernel, at most a turn's worth goes out at once.
        """
        stream, owner, ours, other = await self.ends()
        other.connection.pauseProducing()
        handle: socket.socket = ours.connection.getHandle()
        handle.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 * TURN)
        written = 0
        while not owner.pauses:
            stream.write_span(b"", memoryview(bytes(65536)))
            written += 65536
        self.assertLessEqual(written, TURN + 65536)
        other.connection.resumeProducing()
        await other.wait_for(written)

    async def test_closing_after_what_was_written(self) -> None:
        """
        A connection that is to be closed is closed when the last byte has gone out, and
        takes nothing more.
        """
        stream, owner, ours, other = await self.ends(SMALL)
        stream.write_span(b"", memoryview(noise(LARGE)))
        stream.write(b"bye")
        stream.unregisterProducer()
        stream.loseConnection()
        stream.write(b"too late")
        stream.write_span(b"too", memoryview(b"late"))
        await other.lost
        await ours.lost
        self.assertEqual(bytes(other.received), noise(LARGE) + b"bye")
        self.assertEqual(owner.pauses, 1)

    async def test_a_file_that_is_too_short(self) -> None:
        """
        A message cannot be taken back: the connection goes with the file.
        """
        stream, _, ours, other = await self.ends()
        stream.write_span(b"head", FileSpan(file_of(self, b"short"), 0, 100))
        await ours.lost
        await other.lost
        self.assertIn(bytes(other.received), (b"", b"headshort"))

    async def test_nothing_stays_open(self) -> None:
        """
        However a connection ends, no descriptor is left and nothing is sent any more.
        """
        before = _sockets()
        for end in ("abort", "lose", "broken"):
            stream, _, ours, other = await self.ends()
            match end:
                case "abort":
                    stream.abortConnection()
                case "lose":
                    stream.loseConnection()
                case _:
                    stream.connectionLost(Failure(OSError("broken")))
            await ours.lost
            await other.lost
            stream.write(b"nothing")
            stream.write_span(b"nothing", memoryview(b"at all"))
            stream.lost()
        self.assertEqual(_sockets(), before)


class OpenTests(StreamCase):
    """
    Where a stream is possible.
    """

    def test_other_transports(self) -> None:
        """
        Whatever is no socket does its own work.
        """
        transport = cast("ITransport", StringTransport())
        self.assertFalse(open_stream(transport, Owner()).direct)

    async def test_no_descriptor(self) -> None:
        """
        So does a socket when no descriptor is left for a second one.
        """
        ours, other = await pair(self)

        class Full:
            """
            A socket that cannot be had twice.
            """

            family = socket.AF_INET

            def dup(self) -> socket.socket:
                """
                Fail.
                """
                raise OSError(24, "too many open files")

        self.patch(ours.connection, "getHandle", Full)
        self.assertFalse(open_stream(ours.connection, Owner()).direct)
        other.connection.write(b"as before")
        await ours.wait_for(9)
