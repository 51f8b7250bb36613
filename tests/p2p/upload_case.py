"""
Uploads whose output is looked at.
"""

import os

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from eliop2p.interfaces import IWorker
from eliop2p.model.chunk import Digest
from eliop2p.model.span import FileSpan, Span
from eliop2p.p2p.bandwidth import make_bandwidth
from eliop2p.p2p.uploads import Uploads
from eliop2p.wire.events import Get, Message
from tests.p2p.chunk_requests import ChunkRequests, MemoryReading, chunk_id
from tests.p2p.memory_network import ImmediateWorker


def _bytes_of(payload: bytes | Span) -> bytes:
    if isinstance(payload, FileSpan):
        return os.pread(payload.fd, payload.length, payload.offset)
    return bytes(payload)


class Output:
    """
    A connection that copies pieces of up to 64 KiB, and is full after longer ones.

    Attributes:
        takes_inlined: Not asked here.
        takes_last: Whether the last bytes of a chunk end its request.
        last: The requests whose last bytes came with a digest, and that.
        sent: Every message, with bytes of chunks as (request id, bytes), which are
            looked at only when the connection has drained.
    """

    takes_inlined = False
    takes_last = False

    def __init__(self) -> None:
        self.last: list[tuple[int, Digest]] = []
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

    def send_data(
        self, request_id: int, payload: bytes | Span, digest: Digest | None = None
    ) -> bool:
        """
        Hold a piece until the connection drains.
        """
        if digest is not None:
            self.last.append((request_id, digest))
        assert self.uploads is not None
        small = len(payload) <= 65536
        self._held.append((request_id, _bytes_of(payload) if small else payload))
        if sum(len(payload) for _, payload in self._held) > 65536:
            self.uploads.pause()
        return digest is not None and self.takes_last

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

    def drain_some(self, times: int) -> None:
        """
        Drain the connection so often.
        """
        for _ in range(times):
            self.output.drain()

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
