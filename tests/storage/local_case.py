"""
What the tests of :mod:`eliop2p.storage.local` have in common.
"""

import gc
import os
from pathlib import Path
from xml.etree import ElementTree as ET

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from eliop2p.http1.message import Header, RequestHead
from eliop2p.storage.local import LocalOrigin
from tests.storage.doubles import (
    Asked,
    ImmediateWorker,
    Source,
)

CONTENT = b"0123456789" * 10
MODIFIED = 784_111_777


def open_files() -> int:
    """
    Count the file descriptors of the process.
    """
    return len(list(Path("/dev/fd").iterdir()))


class LocalTestCase(SynchronousTestCase):
    """
    A root with the bucket ``b`` and the object ``dir/k.txt``.
    """

    def setUp(self) -> None:
        """
        Make the directory and the origin.
        """
        self.outside = Path(self.mktemp())
        self.root = self.outside / "root"
        (self.root / "b" / "dir").mkdir(parents=True)
        self.file = self.write("dir/k.txt", CONTENT)
        self.clock = Clock()
        self.clock.advance(MODIFIED + 1)
        self.origin = LocalOrigin(str(self.root), ImmediateWorker(), self.clock)
        gc.collect()
        self.files = open_files()

    def write(self, key: str, data: bytes) -> Path:
        """
        Make an object.
        """
        path = self.root / "b" / key
        path.write_bytes(data)
        os.utime(path, (MODIFIED, MODIFIED))
        return path

    def ask(
        self,
        target: bytes = b"/b/dir/k.txt",
        *headers: Header,
        method: bytes = b"GET",
        body: Source | None = None,
    ) -> Asked:
        """
        Send a request.
        """
        head = RequestHead(method, target, ((b"Host", b"h"), *headers))
        return Asked().watch(self.origin.request(head, body, None))

    def assert_refused(self, asked: Asked, status: int, code: str) -> None:
        """
        The answer is an error as S3 would give it.
        """
        head = asked.answer.head
        receiver = asked.read()
        self.assertEqual(receiver.ends, [None])
        self.assertEqual(head.status, status)
        self.assertEqual(head.get(b"content-type"), b"application/xml")
        self.assertEqual(head.get(b"content-length"), b"%d" % len(receiver.data))
        self.assertEqual(ET.fromstring(receiver.data).findtext("Code"), code)

    def assert_closed(self) -> None:
        """
        No file is left open.
        """
        self.assertEqual(open_files(), self.files)
