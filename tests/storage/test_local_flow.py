"""
Tests for :mod:`eliop2p.storage.local_body`: how files are read.
"""

import errno
import gc
import os

from twisted.internet.defer import CancelledError

from eliop2p.base.errors import OriginUnavailable, WrongAnswer
from eliop2p.model.chunk import MIB
from eliop2p.storage import local_body
from eliop2p.storage.local import LocalOrigin
from tests.storage.doubles import (
    Asked,
    ImmediateWorker,
    Receiver,
    SteppedWorker,
)
from tests.storage.local_case import LocalTestCase, open_files


class FlowTests(LocalTestCase):
    """
    Files are read in pieces, no faster than they are taken.
    """

    def setUp(self) -> None:
        """
        Make an object of two and a half pieces, and a worker that can be held.
        """
        super().setUp()
        self.content = os.urandom(MIB * 5 // 2)
        self.big = self.write("big", self.content)
        self.worker = SteppedWorker()
        self.origin = LocalOrigin(str(self.root), self.worker, self.clock)

    def open(self) -> Asked:
        """
        Get the answer for the object.
        """
        asked = self.ask(b"/b/big")
        self.worker.step()
        return asked

    def test_pieces(self) -> None:
        """
        The body comes whole, a piece of at most 1 MiB after the other.
        """
        receiver = self.open().read()
        for count in (1, 2, 3):
            self.assertEqual(len(self.worker), 1)
            self.worker.step()
            self.assertEqual(receiver.reads, count)
        self.assertEqual(receiver.data, self.content)
        self.assertEqual(receiver.ends, [None])
        self.assert_closed()

    def test_nothing_before_delivery(self) -> None:
        """
        Nothing is read before the body is asked for.
        """
        asked = self.open()
        self.assertEqual(len(self.worker), 0)
        asked.answer.abort()
        self.assert_closed()

    def test_pause(self) -> None:
        """
        A paused body is not read further; resumed, it goes on.
        """
        asked = self.open()
        receiver = asked.read()
        asked.answer.pause()
        self.worker.step()
        self.assertEqual((receiver.reads, len(self.worker)), (0, 0))
        asked.answer.resume()
        self.assertEqual((receiver.reads, len(self.worker)), (1, 1))
        asked.answer.pause()
        asked.answer.resume()
        self.assertEqual(len(self.worker), 1)
        self.worker.step()
        self.worker.step()
        self.assertEqual(receiver.data, self.content)

    def test_pause_within(self) -> None:
        """
        A receiver that pauses at each read gets one piece at a time.
        """
        answer = self.open().answer
        receiver = Receiver(answer.pause)
        answer.deliver(receiver)
        for count in (1, 2, 3):
            self.worker.step()
            self.assertEqual((receiver.reads, len(self.worker)), (count, 0))
            answer.resume()
        self.assertEqual((receiver.data, receiver.ends), (self.content, [None]))

    def test_abort_while_reading(self) -> None:
        """
        A file is not closed while a worker reads it, but right after.
        """
        asked = self.open()
        receiver = asked.read()
        asked.answer.abort()
        self.assertEqual(open_files(), self.files + 1)
        self.worker.step()
        self.assert_closed()
        self.assertEqual((receiver.data, receiver.ends), (b"", []))

    def test_changes(self) -> None:
        """
        A file that shrinks, grows or is written over while it is read is a wrong
        answer.
        """

        def overwrite() -> None:
            with self.big.open("r+b") as file:
                file.write(b"other")

        for change in (
            lambda: os.truncate(self.big, 5),
            lambda: os.truncate(self.big, 3 * MIB),
            overwrite,
        ):
            self.big = self.write("big", self.content)
            receiver = self.open().read()
            self.worker.step()
            change()
            self.worker.step()
            self.assertEqual(receiver.reads, 1)
            self.assertIsInstance(receiver.ends[0], WrongAnswer)
        self.assert_closed()

    def test_disk_fails(self) -> None:
        """
        A disk that fails while a file is read makes the body fail.
        """
        receiver = self.open().read()

        def failing(*args: object) -> bytes:
            raise OSError(errno.EIO, "failed")

        self.patch(os, "pread", failing)
        self.worker.step()
        self.assertIsInstance(receiver.ends[0], OriginUnavailable)
        self.assert_closed()

    def test_cancelled_while_opening(self) -> None:
        """
        A file that is opened for a request that has been cancelled is closed.
        """
        asked = self.ask(b"/b/big")
        asked.deferred.cancel()
        self.assertIsInstance(asked.errors[0], CancelledError)
        self.worker.step()
        gc.collect()
        self.assert_closed()

    def test_long_body_at_once(self) -> None:
        """
        A body of many pieces does not pile up calls, even when each piece is read at
        once.
        """
        self.patch(local_body, "PIECE", 1024)
        self.origin = LocalOrigin(str(self.root), ImmediateWorker(), self.clock)
        receiver = self.ask(b"/b/big").read()
        self.assertEqual((receiver.data, receiver.ends), (self.content, [None]))

    def test_worker_stops(self) -> None:
        """
        A worker that gives up makes the body fail.
        """
        receiver = self.open().read()
        self.worker.drop()
        self.assertIsInstance(receiver.ends[0], OriginUnavailable)
        self.assert_closed()
