"""
Random lives of a disk tier, with crashes and damage.
"""

import shutil
import tempfile
from pathlib import Path

from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from eliop2p.cache.disk import DirectoryBackend
from eliop2p.cache.files import ChunkFiles
from eliop2p.cache.layout import ChunkName
from eliop2p.cache.open_files import LOOKED_AT
from eliop2p.interfaces import (
    BackendSettings,
    IChunkHandle,
)
from eliop2p.model.chunk import ChunkId
from eliop2p.testing.conformance import made_up, read_handle
from tests.cache.disk_tools import bytes_below
from tests.cache.doubles import InlineWorker

_KIB = 1024


class DirectoryMachine(RuleBasedStateMachine):
    """
    The disk tier, with crashes and damage, against a dict of what was put.
    """

    def __init__(self) -> None:
        super().__init__()
        self.path = tempfile.mkdtemp()
        self.told: list[ChunkId] = []
        self.twin: dict[ChunkId, bytes] = {}
        self.damaged: set[ChunkId] = set()
        self.clock = Clock()
        self.begin()

    def begin(self) -> None:
        """
        Open the directory.
        """
        self.files = ChunkFiles(self.path)
        self.files.claim()
        settings = BackendSettings(40 * _KIB, self.path, 0.9, 0.7, "lru")
        self.backend = DirectoryBackend(
            self.files, settings, InlineWorker(), self.clock, self.told.append
        )
        self.backend.start()
        self.forget()

    def teardown(self) -> None:
        """
        Remove the directory.
        """
        self.files.release()
        shutil.rmtree(self.path)

    def forget(self) -> None:
        """
        Strike what was told of.
        """
        for chunk_id in self.told:
            self.twin.pop(chunk_id, None)
            self.damaged.discard(chunk_id)
        self.told.clear()

    @rule(number=st.integers(0, 12), length=st.sampled_from([1, 4096, 9000, 50_000]))
    def put(self, number: int, length: int) -> None:
        """
        Put a chunk, perhaps under a name that is taken.
        """
        chunk_id, data, digest = made_up(number, length)
        results: list[bool] = []
        same = self.twin.get(chunk_id) == bytes(data)
        self.backend.put(chunk_id, data, digest).addCallback(results.append)
        self.forget()
        if results == [True]:
            self.twin[chunk_id] = bytes(data)
            if not same:
                self.damaged.discard(chunk_id)

    @rule(number=st.integers(0, 12))
    def read(self, number: int) -> None:
        """
        Read a chunk: right or not at all, and certainly when nobody has touched it.
        """
        chunk_id = made_up(number)[0]
        results: list[IChunkHandle | None] = []
        self.backend.open(chunk_id).addCallback(results.append)
        handle = results[0]
        if handle is None:
            assert chunk_id not in self.twin or chunk_id in self.damaged
            self.forget()
            assert chunk_id not in self.twin
        else:
            assert chunk_id not in self.damaged
            assert read_handle(handle) == self.twin[chunk_id]
            handle.close()

    @rule(number=st.integers(0, 12))
    def remove(self, number: int) -> None:
        """
        Remove a chunk.
        """
        chunk_id = made_up(number)[0]
        results: list[bool] = []
        self.backend.remove(chunk_id).addCallback(results.append)
        assert results == [self.twin.pop(chunk_id, None) is not None]
        self.damaged.discard(chunk_id)

    @rule(garbage=st.booleans(), polite=st.booleans())
    def restart(self, *, garbage: bool, polite: bool) -> None:
        """
        Die, perhaps while writing, and begin anew.
        """
        if garbage:
            Path(self.path, "tmp", "half").write_bytes(bytes(5000))
        if polite:
            self.backend.stop()
        self.files.release()
        self.begin()

    @precondition(lambda self: self.twin)
    @rule(data=st.data(), kind=st.sampled_from(["cut", "flip"]))
    def damage(self, data: st.DataObject, kind: str) -> None:
        """
        Damage a file behind the tier's back, which is seen after a moment.
        """
        chunk_id = data.draw(st.sampled_from(sorted(self.twin)))
        digest = self.backend.digest_of(chunk_id)
        assert digest is not None
        length = len(self.twin[chunk_id])
        file = Path(self.path, ChunkName(chunk_id, length, digest).path)
        content = file.read_bytes()
        if kind == "cut":
            file.write_bytes(content[: len(content) // 2])
        else:
            file.write_bytes(bytes([self.twin[chunk_id][0] ^ 1]) + content[1:])
        self.damaged.add(chunk_id)
        self.clock.advance(LOOKED_AT)

    @invariant()
    def bounded(self) -> None:
        """
        Nothing is held that was not put, and the directory is within its capacity.
        """
        assert set(self.backend.chunk_ids()) == set(self.twin)
        usage = self.backend.usage()
        assert bytes_below(self.path) <= usage.used <= usage.capacity
        assert (usage.degraded, self.backend.open_handles) == ("", 0)


class DirectoryMachineTests(SynchronousTestCase):
    """
    Runs the machine.
    """

    def test_lives(self) -> None:
        """
        Whatever happens to the directory, only right bytes are read from it.
        """
        run_state_machine_as_test(DirectoryMachine)
