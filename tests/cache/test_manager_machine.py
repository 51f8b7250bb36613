"""
Random lives of a chunk manager: readers, sources, threads and faults in any order.
"""

import os
import shutil
import tempfile

import attrs
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from eliop2p.base.errors import (
    ChunkUnavailable,
    CorruptChunk,
    ElioError,
    OriginUnavailable,
)
from eliop2p.cache.buffer import ChunkBuffer
from eliop2p.cache.chunk_manager import ChunkManager
from eliop2p.cache.disk import DirectoryBackend
from eliop2p.cache.files import ChunkFiles
from eliop2p.cache.memory import MemoryBackend
from eliop2p.interfaces import BackendSettings, Fetched, IChunkReading
from eliop2p.model.chunk import ChunkId, Digest
from eliop2p.model.span import FileSpan, Span
from eliop2p.testing.conformance import made_up
from tests.cache.doubles import FakeOrigin, FakeSource, Fetch, SteppedWorker, chunk_of

LENGTH = 4096
ROOM = 3 * LENGTH
NUMBERS = 8


@attrs.define(eq=False)
class Reader:
    """
    Somebody who reads one chunk from its start.

    Attributes:
        number: Which chunk.
        content: What has been read.
        reading: Once it is open.
        waiting: For bytes.
        failed: Whether it was told that they will not come.
    """

    number: int
    content: bytes = b""
    reading: IChunkReading | None = None
    waiting: Deferred[None] | None = None
    failed: bool = False

    def opened(self, reading: IChunkReading | None) -> None:
        """
        Begin.
        """
        self.reading = reading
        self.failed = reading is None

    def take(self, span: Span) -> None:
        """
        Take what came.
        """
        self.waiting = None
        if isinstance(span, FileSpan):
            self.content += os.pread(span.fd, span.length, span.offset)
        else:
            self.content += bytes(span)

    def fail(self, failure: object) -> None:
        """
        Take note that nothing comes.
        """
        self.waiting = None
        self.failed = True

    def close(self) -> None:
        """
        Go away.
        """
        if self.reading is not None:
            self.reading.close()


class ManagerMachine(RuleBasedStateMachine):
    """
    Whoever reads a chunk to its end has read the right bytes; bytes in flight are
    bounded; and when everybody has gone nothing is left open or counted.
    """

    def __init__(self) -> None:
        super().__init__()
        self.path = tempfile.mkdtemp()
        self.files = ChunkFiles(self.path)
        self.files.claim()
        self.clock = Clock()
        self.worker = SteppedWorker()
        self.source = FakeSource()
        self.readers: list[Reader] = []
        self.memory = MemoryBackend(
            BackendSettings(2 * LENGTH, "", 1.0, 1.0, "lru"), self.clock, self.dropped
        )
        self.disk = DirectoryBackend(
            self.files,
            BackendSettings(5 * LENGTH, self.path, 1.0, 0.8, "lru"),
            self.worker,
            self.clock,
            self.dropped,
        )
        self.manager = ChunkManager(
            self.memory,
            self.disk,
            self.source,
            self.worker,
            self.clock,
            inflight_bytes=ROOM,
        )
        self.manager.start()
        self.worker.finish()

    def dropped(self, chunk_id: ChunkId) -> None:
        """
        Pass on what a tier says.
        """
        self.manager.dropped(chunk_id)

    def fetches(self) -> list[Fetch]:
        """
        Give the fetches that are under way.
        """
        return [fetch for fetch in self.source.fetches if not fetch.done.called]

    def draw_fetch(self, data: st.DataObject) -> Fetch:
        """
        Choose one.
        """
        return data.draw(st.sampled_from(self.fetches()))

    @rule(number=st.integers(0, NUMBERS - 1))
    def client(self, number: int) -> None:
        """
        A client opens a chunk.
        """
        reader = Reader(number)
        self.readers.append(reader)
        opening = self.manager.open(chunk_of(number, LENGTH), FakeOrigin())
        opening.addCallbacks(reader.opened, reader.fail)

    @rule(number=st.integers(0, NUMBERS - 1))
    def peer(self, number: int) -> None:
        """
        A peer opens a chunk.
        """
        reader = Reader(number)
        self.readers.append(reader)
        opening = self.manager.open_local(made_up(number)[0])
        opening.addCallbacks(reader.opened, reader.fail)

    @precondition(lambda self: self.readers)
    @rule(data=st.data(), limit=st.sampled_from([1, 1500, LENGTH]))
    def read(self, data: st.DataObject, limit: int) -> None:
        """
        A reader reads on.
        """
        reader = data.draw(st.sampled_from(self.readers))
        busy = reader.reading is None or reader.waiting is not None or reader.failed
        if busy or len(reader.content) == LENGTH:
            return
        assert reader.reading is not None
        result = reader.reading.read(len(reader.content), limit)
        taken = result.addCallbacks(reader.take, reader.fail)
        if not taken.called:
            reader.waiting = taken

    @precondition(lambda self: self.readers)
    @rule(data=st.data())
    def close(self, data: st.DataObject) -> None:
        """
        A reader goes away.
        """
        reader = data.draw(st.sampled_from(self.readers))
        if reader.reading is not None:
            self.readers.remove(reader)
            reader.close()

    @precondition(lambda self: self.fetches())
    @rule(data=st.data(), count=st.sampled_from([1, 1000, LENGTH]), right=st.booleans())
    def send(self, data: st.DataObject, count: int, *, right: bool) -> None:
        """
        Bytes come, right or wrong.
        """
        sink = self.draw_fetch(data).sink
        number = sink.chunk.index
        content = made_up(number, LENGTH)[1] if right else bytes(LENGTH)
        sink.write(sink.filled, content[sink.filled : sink.filled + count])
        self.clock.advance(0)

    @precondition(lambda self: self.fetches())
    @rule(data=st.data(), stop=st.sampled_from([1, 1001, LENGTH]), right=st.booleans())
    def send_again(self, data: st.DataObject, stop: int, *, right: bool) -> None:
        """
        The beginning comes once more, right or wrong: wrong bytes are not overlooked.
        """
        fetch = self.draw_fetch(data)
        assert isinstance(fetch.sink, ChunkBuffer)
        content = made_up(fetch.sink.chunk.index, LENGTH)[1] if right else bytes(LENGTH)
        there = min(stop, fetch.sink.filled)
        same = bytes(fetch.sink.view[:there]) == bytes(content[:there])
        try:
            fetch.sink.write(0, content[:stop])
        except CorruptChunk as error:
            assert not same
            fetch.done.errback(error)
        else:
            assert same
        self.clock.advance(0)

    @precondition(lambda self: self.fetches())
    @rule(data=st.data())
    def check(self, data: st.DataObject) -> None:
        """
        A source that has all bytes checks them.
        """
        fetch = self.draw_fetch(data)
        if fetch.sink.filled < LENGTH:
            return

        def checked(digest: Digest) -> None:
            if fetch.done.called:
                return
            if digest == made_up(fetch.sink.chunk.index, LENGTH)[2]:
                fetch.done.callback(Fetched(digest, "peer"))
            else:
                fetch.done.errback(CorruptChunk("wrong"))

        fetch.sink.digest().addCallback(checked)

    @precondition(lambda self: self.fetches())
    @rule(
        data=st.data(),
        error=st.sampled_from([OriginUnavailable, ChunkUnavailable, CorruptChunk]),
    )
    def break_off(self, data: st.DataObject, error: type[ElioError]) -> None:
        """
        A source gives up.
        """
        self.draw_fetch(data).done.errback(error("broken off"))

    @precondition(lambda self: self.worker.waiting)
    @rule(data=st.data())
    def step(self, data: st.DataObject) -> None:
        """
        A thread finishes something.
        """
        self.worker.step(data.draw(st.integers(0, len(self.worker.waiting) - 1)))

    @invariant()
    def right(self) -> None:
        """
        Nobody has read to the end and read something wrong; the bounds hold.
        """
        for reader in self.readers:
            if len(reader.content) == LENGTH:
                assert reader.content == bytes(made_up(reader.number, LENGTH)[1])
        assert 0 <= self.manager.inflight <= ROOM
        for usage in self.manager.usage().values():
            assert usage.used <= usage.capacity

    def teardown(self) -> None:
        """
        Everybody goes, and nothing is left over.
        """
        self.worker.finish()
        for reader in self.readers:
            reader.close()
        self.manager.stop()
        self.worker.finish()
        assert self.manager.inflight == 0
        assert (self.memory.open_handles, self.disk.open_handles) == (0, 0)
        assert self.fetches() == []
        told = {name: what for what, name in self.source.told}
        announced = {name for name, what in told.items() if what == "announce"}
        assert announced == {chunk_id for chunk_id, _ in self.manager.holdings()}
        shutil.rmtree(self.path)


class ManagerMachineTests(SynchronousTestCase):
    """
    Runs the machine.
    """

    def test_lives(self) -> None:
        """
        Whatever happens, all promises of the machine hold.
        """
        run_state_machine_as_test(ManagerMachine)
