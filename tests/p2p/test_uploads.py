"""
Uploads: in turns, paused with their connection, and never leaking a reading.
"""

import os
import tempfile

from twisted.internet.defer import Deferred
from zope.interface.verify import verifyObject

from eliop2p.base.errors import (
    ChunkUnavailable,
    CorruptChunk,
    PeerBehind,
    PeerBusy,
    PeerMissing,
)
from eliop2p.interfaces import IChunkReading, IPeerRequests, IWorker
from eliop2p.p2p.uploads import LONG_PIECE, PIECE
from eliop2p.wire.events import Done, Fail, Fault, Get
from tests.p2p.chunk_requests import DIGEST, MemoryReading, chunk_id
from tests.p2p.memory_network import SteppedWorker
from tests.p2p.upload_case import FileReading, UploadCase


class UploadTests(UploadCase):
    """
    The uploads of one connection.
    """

    def test_the_doubles_are_faithful(self) -> None:
        """
        What the tests use in place of the node provides the interfaces.
        """
        verifyObject(IPeerRequests, self.requests)
        verifyObject(IChunkReading, MemoryReading(b""))
        verifyObject(IWorker, SteppedWorker())

    def test_a_chunk_arrives_whole(self) -> None:
        """
        All bytes from the offset on are sent, then the digest; the reading is closed.
        """
        content = os.urandom(3 * PIECE + 1000)
        reading = self.add(1, content)
        self.start(1, offset=777)
        self.assertEqual(len(self.uploads), 1)
        self.drain()
        self.assertEqual(self.output.content(1), content[777:])
        self.assertEqual(self.output.sent[-1], Done(1, DIGEST))
        self.assertTrue(reading.closed)

    def test_the_digest_with_the_last_bytes(self) -> None:
        """
        Where the peer knows that, the last bytes say the digest, and nothing follows;
        also of a chunk that was arriving, whose digest was not known before.
        """
        self.output.takes_last = True
        reading = self.add(1, b"a" * 100, filled=40)
        reading.digest = None
        self.add(2, bytes(3 * PIECE))
        self.start(1)
        self.start(2)
        self.drain_some(6)
        self.assertEqual(self.output.last, [(2, DIGEST)])
        reading.digest = DIGEST
        reading.grow(100)
        self.drain()
        self.assertEqual(self.output.last, [(2, DIGEST), (1, DIGEST)])
        self.assertEqual(self.output.endings(), [])
        self.assertEqual(self.output.content(1), b"a" * 100)
        self.assertEqual(self.output.content(2), bytes(3 * PIECE))
        self.assertTrue(all(reading.closed for reading in self.opened()))

    def test_nothing_is_left_to_send(self) -> None:
        """
        At the end of a chunk only its digest is sent; beyond it the request is bad.
        """
        self.add(1, b"content")
        self.start(1, offset=7)
        self.add(2, b"content")
        self.start(2, offset=8)
        self.assertEqual(self.output.sent, [Done(1, DIGEST), Fail(2, Fault.BAD)])
        self.assertTrue(all(reading.closed for reading in self.opened()))

    def test_pieces_are_bounded(self) -> None:
        """
        While the connection is full nothing is sent, and never more than 256 KiB.
        """
        self.add(1, bytes(4 * PIECE))
        self.start(1)
        self.assertEqual(self.output.sent, [])
        self.output.drain()
        self.assertEqual(self.output.sent, [(1, bytes(PIECE))])
        self.output.drain()
        self.assertEqual(len(self.output.sent), 2)

    def test_turns(self) -> None:
        """
        Uploads of one connection alternate.
        """
        self.uploads.pause()
        for number in (1, 2, 3):
            self.add(number, bytes([number]) * 3 * PIECE)
            self.start(number)
        self.drain()
        order = [entry[0] for entry in self.output.sent if isinstance(entry, tuple)]
        self.assertEqual(order, [1, 2, 3] * 3)
        for number in (1, 2, 3):
            self.assertEqual(self.output.content(number), bytes([number]) * 3 * PIECE)

    def test_a_chunk_that_is_arriving(self) -> None:
        """
        Bytes are sent as they arrive, and others need not wait for them.
        """
        reading = self.add(1, b"a" * 100, filled=40)
        self.add(2, b"b" * 50)
        self.start(1)
        self.start(2)
        self.assertEqual(self.output.endings(), [Done(2, DIGEST)])
        self.assertEqual(self.output.content(1), b"a" * 40)
        reading.grow(100)
        self.assertEqual(self.output.endings(), [Done(2, DIGEST), Done(1, DIGEST)])
        self.assertEqual(self.output.content(1), b"a" * 100)

    def test_a_chunk_without_a_digest(self) -> None:
        """
        A chunk whose digest nobody knows is not said to be done.
        """
        self.add(1, b"content").digest = None
        self.start(1)
        self.assertEqual(self.output.endings(), [Fail(1, Fault.FAILED)])

    def test_refusals(self) -> None:
        """
        Each reason not to open a chunk has its own fault.
        """
        for number, (error, fault) in enumerate(
            (
                (PeerMissing("no"), Fault.MISSING),
                (PeerBehind("no"), Fault.BEHIND),
                (PeerBusy("no"), Fault.BUSY),
                (ChunkUnavailable("no"), Fault.FAILED),
                (OSError("no"), Fault.FAILED),
            ),
            start=1,
        ):
            self.requests.readings[chunk_id(number)] = error
            self.start(number)
            self.assertEqual(self.output.sent[-1], Fail(number, fault))
        self.assertEqual(len(self.uploads), 0)

    def test_a_mistake_of_ours(self) -> None:
        """
        An error that nobody foresaw fails the upload, and is logged.
        """
        self.requests.readings[chunk_id(1)] = ZeroDivisionError()
        self.start(1)
        self.assertEqual(self.output.sent, [Fail(1, Fault.FAILED)])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_a_chunk_that_fails_midway(self) -> None:
        """
        A chunk that stops arriving fails its upload and is closed.
        """
        reading = self.add(1, b"a" * 100, filled=40)
        self.start(1)
        reading.fail(CorruptChunk("no"))
        self.assertEqual(self.output.endings(), [Fail(1, Fault.FAILED)])
        self.assertTrue(reading.closed)

    def test_cancel_while_waiting_for_bytes(self) -> None:
        """
        A cancelled upload ends at once, though its chunk is still arriving.
        """
        reading = self.add(1, b"a" * 100, filled=40)
        self.start(1)
        self.assertTrue(self.uploads.cancel(1))
        self.assertEqual(self.output.endings(), [Fail(1, Fault.FAILED)])
        self.assertTrue(reading.closed)
        self.assertFalse(self.uploads.cancel(1))

    def test_cancel_while_waiting_for_a_turn(self) -> None:
        """
        A cancelled upload that waits ends, and the others take their turns.
        """
        one, two = self.add(1, b"1" * 2 * PIECE), self.add(2, b"2" * 2 * PIECE)
        self.start(1)
        self.start(2)
        self.uploads.cancel(1)
        self.assertEqual(len(self.uploads), 1)
        self.drain()
        self.assertEqual(self.output.content(1), b"1" * PIECE)
        self.assertEqual(self.output.content(2), b"2" * 2 * PIECE)
        self.assertTrue(one.closed)
        self.assertTrue(two.closed)

    def test_bytes_stay_valid_until_they_are_gone(self) -> None:
        """
        A reading is closed only after the connection has passed its bytes on.
        """
        reading = self.add(1, b"1" * PIECE)
        self.start(1)
        self.uploads.cancel(1)
        self.assertFalse(reading.closed)
        self.output.drain()
        self.assertTrue(reading.closed)
        self.assertEqual(self.output.content(1), b"1" * PIECE)

    def test_loss(self) -> None:
        """
        When the connection is lost every reading is closed, whatever it waited for.
        """
        self.add(1, bytes(4 * PIECE))
        self.add(2, bytes(4 * PIECE))
        self.add(3, bytes(100), filled=10)
        self.add(4, bytes(PIECE))
        for number in (4, 1, 2, 3):
            self.start(number)
        self.uploads.lost()
        self.assertEqual(len(self.uploads), 0)
        self.assertEqual(len(self.opened()), 4)
        self.assertTrue(all(reading.closed for reading in self.opened()))

    def test_loss_while_opening(self) -> None:
        """
        A chunk that is being opened when the connection is lost is given up.
        """
        cancelled: list[object] = []
        opening: Deferred[IChunkReading] = Deferred(cancelled.append)
        self.patch(self.requests, "open", lambda node_id, request: opening)
        self.start(1)
        self.uploads.lost()
        self.assertEqual(cancelled, [opening])
        self.assertEqual(len(self.uploads), 0)

    def test_straight_from_the_file(self) -> None:
        """
        On a connection that copies nothing a file is sent as it is, in long pieces, and
        stays open until the connection has let go of it.
        """
        content = os.urandom(LONG_PIECE + 70_000)
        with tempfile.TemporaryFile() as file:
            file.write(content)
            file.flush()
            reading = FileReading(content, file.fileno())
            self.requests.readings[chunk_id(1)] = reading
            self.output.direct = True
            self.uploads.start(Get(1, chunk_id(1), 0, 0))
            self.assertEqual(len(self.uploads), 1)
            self.output.drain()
            self.assertFalse(reading.closed)
            self.output.drain()
            self.assertTrue(reading.closed)
        self.assertEqual(self.output.content(1), content)
        self.assertEqual(len(self.output.sent), 3)

    def test_stop(self) -> None:
        """
        When the connection is being closed uploads end, but their bytes stay valid.
        """
        reading = self.add(1, b"1" * 4 * PIECE)
        self.start(1)
        self.uploads.stop()
        self.assertEqual(len(self.uploads), 0)
        self.assertFalse(reading.closed)
        self.uploads.lost()
        self.assertTrue(reading.closed)
