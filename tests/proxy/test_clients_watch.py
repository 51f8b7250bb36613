"""
Tests for :mod:`eliop2p.proxy.clients_watch`.
"""

import os
from pathlib import Path

from twisted.internet.task import Clock
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from eliop2p.base.clients import Clients
from eliop2p.base.config_checks import read_clients_file
from eliop2p.proxy.clients_watch import LOOK_SECONDS, ClientsWatch
from eliop2p.testing.workers import ImmediateWorker
from tests.base.test_clients import ALICE


class WatchTests(SynchronousTestCase):
    """
    A credentials file that changes.
    """

    def setUp(self) -> None:
        """
        Watch a file with one client.
        """
        self.path, self.clock = Path(self.mktemp()), Clock()
        self.write(ALICE)
        known = read_clients_file(self.path)
        self.reads = 0
        self.watch = ClientsWatch(
            self.path, known, self.read, ImmediateWorker(), self.clock
        )
        self.watch.startService()
        self.addCleanup(self.watch.stopService)

    def read(self, path: Path) -> Clients:
        """
        Read the file, and count that.
        """
        self.reads += 1
        return read_clients_file(path)

    def write(self, text: str, mode: int = 0o600) -> None:
        """
        Put another file in place of it.
        """
        new = self.path.with_suffix(".new")
        new.write_text(text, encoding="utf-8")
        new.chmod(mode)
        new.rename(self.path)

    def known(self) -> list[str]:
        """
        Look again, and tell who is known.
        """
        self.clock.advance(LOOK_SECONDS)
        return list(self.watch.clients)

    def test_changed(self) -> None:
        """
        Who is struck out is gone with the next look, who is added is there.
        """
        self.assertEqual(self.known(), ["AKALICE"])
        self.write(ALICE.replace("AKALICE", "AKALINE"))
        self.assertEqual(self.known(), ["AKALINE"])

    def test_unchanged(self) -> None:
        """
        A file that has not changed is looked at, and not read.
        """
        for _ in range(3):
            self.known()
        self.assertEqual(self.reads, 1)

    def test_edited_in_place(self) -> None:
        """
        A file that is written in place is noticed by its time.
        """
        self.known()
        status = self.path.stat()
        self.path.write_text(ALICE.replace("AKALICE", "AKALINE"), encoding="utf-8")
        os.utime(self.path, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
        self.assertEqual(self.known(), ["AKALINE"])

    def test_unusable(self) -> None:
        """
        A file that cannot be used, that others can read, or that is gone changes
        nothing; each is said once, with the way out.
        """
        for text, mode, part in (
            ("[alice]\nallow = read b\n", 0o600, "[alice] access_key"),
            (ALICE, 0o644, "chmod 600"),
            (None, 0, "cannot be read"),
        ):
            with capturedLogs() as logged:
                if text is None:
                    self.path.unlink()
                else:
                    self.write(text, mode)
                self.assertEqual(self.known(), ["AKALICE"])
                self.assertEqual(self.known(), ["AKALICE"])
            (event,) = [each for each in logged if "error" in each]
            self.assertIn(part, event["error"])

    def test_stopped(self) -> None:
        """
        Once stopped it looks no more.
        """
        self.watch.stopService()
        self.assertEqual(self.clock.getDelayedCalls(), [])
