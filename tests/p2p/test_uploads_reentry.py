"""
Tests for uploads that change while they send, and for those from files.
"""

import os
import random
import tempfile
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred

from eliop2p.interfaces import IChunkReading
from eliop2p.model.chunk import Digest
from eliop2p.p2p.uploads import PIECE
from eliop2p.wire.events import Done, Fail, Fault, Get
from tests.p2p.chunk_requests import DIGEST, chunk_id
from tests.p2p.memory_network import SteppedWorker
from tests.p2p.upload_case import FileReading, UploadCase


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

        def send_and_cancel(
            request_id: int, payload: bytes | memoryview, digest: Digest | None
        ) -> bool:
            ended = send(request_id, payload, digest)
            self.assertTrue(self.uploads.cancel(1))
            return ended

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
