"""
Tests for :mod:`eliop2p.proxy.reading` with senders that want much in one go.
"""

from collections.abc import Iterator

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import ConnectionLost
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from eliop2p.base.errors import SpanUnreadable
from eliop2p.interfaces import IBodySender, IChunkHandle, IChunkOrigin, IRunSender
from eliop2p.model.chunk import Chunk
from eliop2p.model.ranges import Interval
from eliop2p.model.span import FileSpan, Run, Span, run_length
from eliop2p.proxy.progress import Progress
from eliop2p.proxy.reading import BodyReader
from tests.proxy.reading_case import (
    DATA,
    HEAD,
    LAYOUT,
    Chunks,
    Handle,
    Sender,
    exchange_to,
)

SIZED = HEAD.adding((b"Content-Length", b"100"))


class InFile(Handle):
    """
    A chunk of a tier with files; descriptor 0 is a file with the whole object.
    """

    def span(self, offset: int, limit: int) -> Span:
        """
        Give bytes.
        """
        return FileSpan(0, self.chunk.start + offset, len(super().span(offset, limit)))


class Tiers(Chunks):
    """
    Opens chunks that are in files, but for some.
    """

    def __init__(self) -> None:
        super().__init__()
        self.held = set(range(25))
        self.in_memory: set[int] = set()

    def open_at_once(
        self, chunk: Chunk, origin: IChunkOrigin
    ) -> tuple[IChunkHandle, str] | None:
        """
        Open one that a tier has.
        """
        if chunk.index in self.in_memory:
            return super().open_at_once(chunk, origin)
        if chunk.index not in self.held:
            return None
        handle = InFile(chunk)
        self.opened.append(handle)
        self.passed_over(chunk)
        return handle, "disk"


@implementer(IBodySender, IRunSender)
class RunSender(Sender):
    """
    A client that takes runs.

    Attributes:
        given: The length of each run.
        broken: In which run how much is taken before it cannot be read.
        lost: In which run the client goes.
    """

    run_bytes = 35
    run_files = 6

    def __init__(self) -> None:
        super().__init__()
        self.given: list[int] = []
        self.broken: dict[int, int] = {}
        self.lost = -1

    def send_runs(self, runs: Iterator[Run]) -> Deferred[None]:
        """
        Take runs one after another.
        """
        for number, run in enumerate(runs):
            spans = run if isinstance(run, tuple) else (run,)
            pieces = [
                DATA[span.offset : span.offset + span.length]
                if isinstance(span, FileSpan)
                else bytes(span)
                for span in spans
            ]
            self.given.append(run_length(run))
            if number == self.lost:
                return fail(ConnectionLost())
            if number in self.broken:
                taken = self.broken.pop(number)
                self.data += b"".join(pieces)[:taken]
                return fail(SpanUnreadable("no", taken))
            self.data += b"".join(pieces)
        return succeed(None)


class RunTests(SynchronousTestCase):
    """
    The body of an answer, chunks of 10 bytes.
    """

    def setUp(self) -> None:
        """
        Make a client and a cache.
        """
        self.chunks = Tiers()
        self.sender = RunSender()
        self.exchange = exchange_to(self.sender)
        self.counted: dict[str, int] = {}
        self.done: list[int] = []

    def send(self, start: int, stop: int) -> Deferred[None]:
        """
        Begin to send a part of the object.
        """

        def count(source: str, length: int) -> None:
            self.counted[source] = self.counted.get(source, 0) + length

        body = BodyReader(
            self.chunks,
            LAYOUT,
            self.chunks,
            count,
            lambda chunk: self.done.append(chunk.index),
            ahead=2,
        )
        part = Interval(start, stop)
        sending = body.send(self.exchange, part, lambda: self.exchange.begin(SIZED))
        return Deferred.fromCoroutine(sending)

    def assert_sent(self, start: int, stop: int) -> None:
        """
        Demand that exactly a part was sent and counted, and that every chunk was let
        go of, once.
        """
        self.assertEqual(self.sender.data.partition(b"\r\n\r\n")[2], DATA[start:stop])
        self.assertEqual(self.exchange.sent, stop - start)
        self.assertEqual(sum(self.counted.values()), stop - start)
        self.assertEqual({each.closed for each in self.chunks.opened}, {1})

    def test_runs(self) -> None:
        """
        Files that follow one another are given together, until there are bytes enough
        or files enough.
        """
        for files, expected in (
            (6, [35, 40, 2]),
            (3, [25, 30, 22]),
            (1, [5] + 7 * [10] + [2]),
        ):
            self.setUp()
            self.sender.run_files = files
            self.successResultOf(self.send(5, 82))
            self.assertEqual(self.sender.given, expected)
            self.assert_sent(5, 82)
            self.assertEqual(self.done, list(range(9)))

    def test_memory_between_files(self) -> None:
        """
        What is in memory is given by itself, and opened once.
        """
        self.chunks.in_memory = {0, 3, 4}
        self.successResultOf(self.send(0, 90))
        self.assertEqual(self.sender.given, [10, 20, 10, 10, 40])
        self.assertEqual(self.counted, {"memory": 30, "disk": 60})
        self.assertEqual(self.chunks.indexes, list(range(9)))
        self.assert_sent(0, 90)

    def test_run_ends_before_what_is_not_held(self) -> None:
        """
        A run ends before a chunk that nobody holds, which goes out in its turn.
        """
        self.chunks.held -= {2}
        self.chunks.at_hand = True
        self.successResultOf(self.send(0, 60))
        self.assertEqual(self.sender.given, [20, 30])
        self.assertEqual(self.counted, {"disk": 50, "peer": 10})
        self.assert_sent(0, 60)

    def test_bad_file_amid_a_run(self) -> None:
        """
        When a file amid a run cannot be read the chunk is dropped and its rest comes
        from elsewhere, what went before is not sent again, and what follows goes out as
        if nothing had happened.
        """
        for taken, bad in ((0, 4), (9, 4), (10, 5), (25, 6), (39, 7)):
            self.setUp()
            self.chunks.at_hand = True
            self.sender.broken = {1: taken}
            self.successResultOf(self.send(5, 100))
            self.assertEqual(self.chunks.dropped, [bad])
            self.assertEqual(self.done, list(range(10)))
            self.assert_sent(5, 100)

    def test_client_gone_amid_a_run(self) -> None:
        """
        Everything that was open is let go of when the client goes.
        """
        self.sender.lost = 1
        self.failureResultOf(self.send(0, 100), ConnectionLost)
        self.assertEqual(self.counted, {"disk": 40})
        self.assertEqual(self.done, [0, 1, 2, 3])
        self.assertEqual([each.closed for each in self.chunks.opened], 8 * [1])

    def test_told_of_progress(self) -> None:
        """
        Who is told of the progress gets something in the place of each chunk.
        """
        self.exchange.progress = Progress()
        self.successResultOf(self.send(0, 100))
        self.assertEqual(self.sender.given, [])
        self.assertEqual(self.sender.data.partition(b"\r\n\r\n")[2], b".")
        self.assertEqual(self.exchange.sent, 100)
        self.assertEqual(self.counted, {"disk": 100})
