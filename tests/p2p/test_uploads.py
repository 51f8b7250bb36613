"""
Uploads: in turns, paused with their connection, and never leaking a reading.
"""

import os
import random
import tempfile
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from eliop2p.base.errors import (
    ChunkUnavailable,
    CorruptChunk,
    PeerBehind,
    PeerBusy,
    PeerMissing,
)
from eliop2p.interfaces import IChunkReading, IPeerRequests, IWorker
from eliop2p.model.span import FileSpan, Span
from eliop2p.p2p.bandwidth import make_bandwidth
from eliop2p.p2p.uploads import LONG_PIECE, PIECE, Uploads
from eliop2p.wire.events import Done, Fail, Fault, Get, Message
from tests.p2p.chunk_requests import DIGEST, ChunkRequests, MemoryReading, chunk_id
from tests.p2p.memory_network import ImmediateWorker, SteppedWorker


def _bytes_of(payload: bytes | Span) -> bytes:
    if isinstance(payload, FileSpan):
        return os.pread(payload.fd, payload.length, payload.offset)
    return bytes(payload)


class Output:
    """
    A connection that copies pieces of up to 64 KiB, and is full after longer ones.

    Attributes:
        takes_inlined: Not asked here.
        sent: Every message, with bytes of chunks as (request id, bytes), which are
            looked at only when the connection has drained.
    """

    takes_inlined = False

    def __init__(self) -> None:
        self.sent: list[Message | tuple[int, bytes]] = []
        self.uploads: Uploads | None = None
        self.direct = False
        self._held: list[tuple[int, bytes | Span]] = []

    def send(self, message: Message) -> None:
        """
        Note a message.
        """
        self._pass_on()
        self.sent.append(message)

    def send_data(self, request_id: int, payload: bytes | Span) -> None:
        """
        Hold a piece until the connection drains.
        """
        assert self.uploads is not None
        small = len(payload) <= 65536
        self._held.append((request_id, _bytes_of(payload) if small else payload))
        if sum(len(payload) for _, payload in self._held) > 65536:
            self.uploads.pause()

    def drain(self) -> None:
        """
        Pass everything on, and let the uploads go on.
        """
        assert self.uploads is not None
        self._pass_on()
        self.uploads.resume()

    def _pass_on(self) -> None:
        held, self._held = self._held, []
        self.sent += [(number, _bytes_of(payload)) for number, payload in held]

    def content(self, request_id: int) -> bytes:
        """
        Give the bytes of one chunk.
        """
        return b"".join(
            entry[1]
            for entry in self.sent
            if isinstance(entry, tuple) and entry[0] == request_id
        )

    def endings(self) -> list[Message]:
        """
        Give the messages.
        """
        return [entry for entry in self.sent if not isinstance(entry, tuple)]


class FileReading(MemoryReading):
    """
    A chunk in a file.
    """

    def __init__(self, content: bytes, fd: int) -> None:
        super().__init__(content)
        self.fd = fd

    def read(self, offset: int, limit: int) -> Deferred[Span]:
        """
        Say where in the file it is.
        """
        found: Deferred[Span] = Deferred()
        found.callback(FileSpan(self.fd, offset, min(limit, self.length - offset)))
        return found


class UploadCase(SynchronousTestCase):
    """
    Uploads on a connection that the test drains.
    """

    def setUp(self) -> None:
        """
        Make uploads.
        """
        self.requests = ChunkRequests()
        self.output = Output()
        self.uploads = self.make(ImmediateWorker())

    def make(self, worker: IWorker) -> Uploads:
        """
        Make uploads that read files with a worker.
        """
        uploads = Uploads(
            "peer", self.requests, worker, self.output, make_bandwidth(Clock()).up
        )
        self.output.uploads = uploads
        return uploads

    def add(
        self, number: int, content: bytes, filled: int | None = None
    ) -> MemoryReading:
        """
        Let there be a chunk.
        """
        reading = MemoryReading(content, filled)
        self.requests.readings[chunk_id(number)] = reading
        return reading

    def start(self, number: int, offset: int = 0) -> None:
        """
        Ask for a chunk; its number is the request id too.
        """
        self.uploads.start(Get(number, chunk_id(number), offset, 0))

    def drain(self) -> None:
        """
        Drain the connection until nothing is uploaded any more.
        """
        for _ in range(200):
            self.output.drain()
            if not len(self.uploads):
                self.output.drain()
                return
        self.fail("the uploads do not end")

    def opened(self) -> list[MemoryReading]:
        """
        Give every reading that was opened.
        """
        return [r for r in self.requests.opened if isinstance(r, MemoryReading)]


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


class ReentryTests(UploadCase):
    """
    Uploads that are cancelled by what they do: a write that breaks the connection, an
    opening that gives the asker up.
    """

    def test_cancelled_while_it_sends(self) -> None:
        """
        An upload cancelled from within its own write ends there, though its chunk does
        not come on; its slot and its reading are free.
        """
        reading = self.add(1, b"a" * 100, filled=40)
        send = self.output.send_data

        def send_and_cancel(request_id: int, payload: bytes | memoryview) -> None:
            send(request_id, payload)
            self.assertTrue(self.uploads.cancel(1))

        self.patch(self.output, "send_data", send_and_cancel)
        self.start(1)
        self.assertEqual(self.output.endings(), [Fail(1, Fault.FAILED)])
        self.assertEqual(len(self.uploads), 0)
        self.assertTrue(reading.closed)

    def test_cancelled_while_it_opens(self) -> None:
        """
        So does one cancelled from within the opening of its chunk.
        """
        cancelled: list[object] = []
        opening: Deferred[IChunkReading] = Deferred(cancelled.append)

        def open_and_cancel(_peer: str, request: Get) -> "Deferred[IChunkReading]":
            self.uploads.cancel(request.request_id)
            return opening

        self.patch(self.requests, "open", open_and_cancel)
        self.start(1)
        self.assertEqual(cancelled, [opening])
        self.assertEqual(self.output.endings(), [Fail(1, Fault.FAILED)])

    def test_anywhere(self) -> None:
        """
        Wherever uploads are cancelled, paused or resumed from within, each ends once,
        every reading is closed once, and nothing is logged.
        """
        for seed in range(300):
            self.setUp()
            self.tangle(random.Random(seed))
            self.assertEqual(self.flushLoggedErrors(), [], f"seed {seed}")
            ended = [end.request_id for end in self.output.endings()]  # type: ignore[union-attr]
            self.assertEqual(sorted(ended), list(range(1, 7)), f"seed {seed}")
            open_still = [each for each in self.opened() if not each.closed]
            self.assertEqual(open_still, [], f"seed {seed}")

    def tangle(self, rng: random.Random) -> None:
        """
        Let six uploads meddle with each other from within whatever they do.
        """

        def meddle() -> None:
            number = rng.randint(1, 6)
            acts = (
                lambda: None,
                lambda: self.uploads.cancel(number),
                self.uploads.pause,
                self.uploads.resume,
                lambda: grow(number),
            )
            rng.choices(acts, (6, 2, 1, 2, 2))[0]()

        def grow(number: int) -> None:
            reading = readings[number]
            if not reading.closed:
                reading.grow(reading.length)

        readings = {
            number: self.add(number, bytes(rng.choice((10, PIECE, 3 * PIECE))), 5)
            for number in range(1, 7)
        }
        for where, name in ((self.output, "send_data"), (self.requests, "open")):
            self.patch(where, name, meddling(getattr(where, name), meddle))
        for reading in readings.values():
            self.patch(reading, "close", meddling(reading.close, meddle))
            self.patch(reading, "read", meddling(reading.read, meddle))
        for number in readings:
            self.start(number)
        for number in readings:
            grow(number)
            self.output.drain()
        self.uploads.lost()


def meddling(act: Callable[..., Any], meddle: Callable[[], None]) -> Callable[..., Any]:
    """
    Do something, with something else before and after it.
    """

    def acted(*arguments: object) -> object:
        meddle()
        result = act(*arguments)
        meddle()
        return result

    return acted


class FileUploadTests(UploadCase):
    """
    Uploads of chunks in files.
    """

    def add_file(self, number: int, content: bytes) -> FileReading:
        """
        Let there be a chunk in a file.
        """
        handle = tempfile.TemporaryFile()  # noqa: SIM115 - closed by the cleanup.
        self.addCleanup(handle.close)
        handle.write(content)
        handle.flush()
        reading = FileReading(content, handle.fileno())
        self.requests.readings[chunk_id(number)] = reading
        return reading

    def test_a_file_arrives_whole(self) -> None:
        """
        The bytes of a file are sent as they are.
        """
        content = os.urandom(2 * PIECE + 5)
        reading = self.add_file(1, content)
        self.start(1, offset=3)
        self.drain()
        self.assertEqual(self.output.content(1), content[3:])
        self.assertEqual(self.output.sent[-1], Done(1, DIGEST))
        self.assertTrue(reading.closed)

    def test_a_file_that_is_too_short(self) -> None:
        """
        A file that lacks bytes fails its upload.
        """
        reading = self.add_file(1, b"content")
        reading.length += 1
        self.start(1)
        self.assertEqual(self.output.endings(), [Fail(1, Fault.FAILED)])
        self.assertTrue(reading.closed)

    def test_a_file_stays_open_while_it_is_read(self) -> None:
        """
        A reading is not closed, even when the connection is lost, while a thread is in
        its file.
        """
        worker = SteppedWorker()
        self.uploads = self.make(worker)
        reading = self.add_file(1, b"content")
        self.start(1)
        self.uploads.lost()
        self.assertFalse(reading.closed)
        worker.step()
        self.assertTrue(reading.closed)
        self.assertEqual(len(self.uploads), 0)
