"""
Tests for :mod:`eliop2p.cache.scrub`.
"""

import errno

from twisted.logger import capturedLogs

from eliop2p.base.errors import CorruptChunk
from eliop2p.cache.layout import ChunkName
from eliop2p.testing.conformance import made_up
from tests.cache.disk_case import KIB, LENGTH, DiskCase

_MIB = 1024 * KIB


class ScrubTests(DiskCase):
    """
    A tier that verifies 64 KiB a second.
    """

    capacity = 4 * _MIB
    scrub_rate = 64 * KIB

    def pass_time(self, seconds: int) -> None:
        """
        Let time pass, second by second.
        """
        self.clock.pump([1.0] * seconds)

    def damage(self, number: int) -> None:
        """
        Turn a bit.
        """
        file = self.file_of(number)
        content = bytearray(file.read_bytes())
        content[100] ^= 4
        file.write_bytes(content)

    def fill(self) -> None:
        """
        Put 40 chunks and start anew, so that a round begins.
        """
        for number in range(40):
            self.put(number)
        self.restart()

    def test_found(self) -> None:
        """
        Damage is found within a round, dropped, counted and told of, without anybody
        asking for the chunk.
        """
        self.fill()
        self.damage(7)
        self.damage(30)
        with capturedLogs() as logs:
            self.pass_time(40)
        self.assertEqual(self.backend.usage().corrupt_scrubbed, 2)
        self.assertEqual(self.backend.usage().corrupt, 0)
        self.assertEqual(sorted(self.gone), sorted(made_up(n)[0] for n in (7, 30)))
        self.assertFalse(self.file_of(7).exists())
        self.assertEqual(len(logs), 2)
        self.assertEqual(self.backend.usage().chunks, 38)

    def test_rate(self) -> None:
        """
        It reads no faster than told, and not all the time.
        """
        self.fill()
        for second in range(1, 6):
            self.pass_time(1)
            read = self.backend.usage().scrubbed
            self.assertLessEqual(read, (second + 2) * self.scrub_rate)
        self.pass_time(60)
        self.assertEqual(self.backend.usage().scrubbed, 40 * LENGTH)
        self.pass_time(3000)
        self.assertEqual(self.backend.usage().scrubbed, 40 * LENGTH)
        self.pass_time(700)
        self.assertEqual(self.backend.usage().scrubbed, 80 * LENGTH)

    def test_in_use(self) -> None:
        """
        A chunk that is open has been verified, and is left in peace.
        """
        self.put(1)
        self.restart()
        handle = self.opened(1)
        self.pass_time(3700)
        self.assertEqual(self.backend.usage().scrubbed, LENGTH)
        assert handle is not None
        handle.close()
        self.pass_time(3700)
        self.assertEqual(self.backend.usage().scrubbed, 2 * LENGTH)

    def test_stopped(self) -> None:
        """
        Stopping ends it at once.
        """
        self.fill()
        self.successResultOf(self.backend.stop())
        read = self.backend.usage().scrubbed
        self.pass_time(100)
        self.assertEqual(self.backend.usage().scrubbed, read)
        self.assertEqual(
            [call for call in self.clock.getDelayedCalls() if call.active()], []
        )

    def test_unreadable(self) -> None:
        """
        A chunk that the disk cannot read is dropped; one that cannot be opened for want
        of descriptors is not.
        """
        verify = self.files.verify
        for fault, left in ((errno.EMFILE, 1), (errno.EIO, 0)):
            self.put(1)
            self.restart()

            def broken(name: ChunkName, fault: int = fault) -> None:
                raise OSError(fault, "no")

            self.files.verify = broken  # type: ignore[method-assign]
            with capturedLogs():
                self.pass_time(3700)
            self.assertEqual(self.backend.usage().chunks, left)
            self.files.verify = verify  # type: ignore[method-assign]

    def test_verify(self) -> None:
        """
        What is verified is what the name says.
        """
        self.put(1)
        chunk_id, _, digest = made_up(1, LENGTH)
        self.files.verify(ChunkName(chunk_id, LENGTH, digest))
        self.damage(1)
        wrong = ChunkName(chunk_id, LENGTH, digest)
        self.assertRaises(CorruptChunk, self.files.verify, wrong)


class UnscrubbedTests(DiskCase):
    """
    A tier that was told not to.
    """

    def test_none(self) -> None:
        """
        Nothing is verified, and no time is spent on it.
        """
        self.put(1)
        self.restart()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(self.backend.usage().scrubbed, 0)
