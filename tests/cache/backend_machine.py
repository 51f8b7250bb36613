"""
Random lives of a cache backend, with crashes and damage, against a dictionary.
"""

from collections import Counter
from typing import ClassVar, TypeVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from eliop2p.cache.layout import size_on_disk
from eliop2p.cache.open_files import LOOKED_AT
from eliop2p.cache.policies import POLICIES
from eliop2p.interfaces import IChunkHandle
from eliop2p.model.chunk import ChunkId
from eliop2p.testing.conformance import made_up, read_handle
from tests.cache.backend_rigs import Rig

_T = TypeVar("_T")
_NUMBERS = st.integers(0, 12)
_OPEN_AT_MOST = 3
_OWN_FILES = 3 * 4096


def result_of(deferred: "Deferred[_T]") -> _T:
    """
    Give what a Deferred has fired with.
    """
    results: list[_T] = []
    failures: list[Failure] = []
    deferred.addCallbacks(results.append, failures.append)
    for failure in failures:
        failure.raiseException()
    assert results, "it waits"
    return results[0]


class BackendMachine(RuleBasedStateMachine):
    """
    A backend beside a dictionary of what was put into it.

    Whatever is damaged may be absent, never wrong; what is not is there until the
    backend says that it has let go of it.

    Attributes:
        rig_type: Which backend.
        counts: What happened in all lives: steps, crashes, damages.
    """

    rig_type: ClassVar[type[Rig]]
    counts: ClassVar[Counter[str]]

    @initialize(policy=st.sampled_from(sorted(POLICIES)))
    def begin(self, policy: str) -> None:
        """
        Make an empty place and the first backend in it.
        """
        self.told: list[ChunkId] = []
        self.twin: dict[ChunkId, bytes] = {}
        self.doubtful: set[ChunkId] = set()
        self.open: list[tuple[IChunkHandle, bytes]] = []
        self.hurt = False
        self.rig = self.rig_type(self.told.append, policy)
        self.backend = self.rig.start()

    def teardown(self) -> None:
        """
        Remove everything.
        """
        if hasattr(self, "rig"):
            self.let_go()
            self.rig.close()

    def forget(self) -> None:
        """
        Strike what was told of; each chunk is told of once.
        """
        for chunk_id in self.told:
            assert chunk_id in self.twin, "told of a chunk that was not held"
            del self.twin[chunk_id]
            self.doubtful.discard(chunk_id)
        self.told.clear()

    @rule(number=_NUMBERS, length=st.integers(0, 3))
    def put(self, number: int, length: int) -> None:
        """
        Put a chunk, perhaps under a name that is taken.
        """
        chunk_id, data, digest = made_up(number, self.rig.lengths[length])
        same = self.twin.get(chunk_id) == bytes(data)
        kept = result_of(self.backend.put(chunk_id, data, digest))
        self.forget()
        assert self.backend.contains(chunk_id) == (kept or chunk_id in self.twin)
        # What is open cannot make room; a tier's own files take some blocks.
        held = sum(size_on_disk(len(content)) for _, content in self.open)
        needed = held + size_on_disk(len(data)) + _OWN_FILES
        assert (
            kept
            or self.hurt
            or needed > self.rig.capacity
            or len(data) > (self.rig.capacity // 2)
        )
        if kept:
            self.twin[chunk_id] = bytes(data)
            if not same:
                self.doubtful.discard(chunk_id)
            assert self.backend.digest_of(chunk_id) == digest

    @rule(number=_NUMBERS)
    def read(self, number: int) -> None:
        """
        Read a chunk: right or not at all, and certainly when nobody has touched it.
        """
        chunk_id = made_up(number)[0]
        if self.twin:
            chunk_id = sorted(self.twin)[number % len(self.twin)]
        expected = self.twin.get(chunk_id)
        handle = self.opened(chunk_id)
        if handle is not None:
            assert read_handle(handle) == expected
            handle.close()

    @rule(number=_NUMBERS)
    def read_absent(self, number: int) -> None:
        """
        Nothing is read of a chunk that is not held.
        """
        chunk_id = made_up(number)[0]
        if chunk_id not in self.twin:
            assert self.opened(chunk_id) is None

    @rule(number=_NUMBERS)
    def hold(self, number: int) -> None:
        """
        Open a chunk and keep it open.
        """
        chunk_id = made_up(number)[0]
        handle = self.opened(chunk_id) if len(self.open) < _OPEN_AT_MOST else None
        if handle is not None:
            self.open.append((handle, self.twin[chunk_id]))

    def opened(self, chunk_id: ChunkId) -> IChunkHandle | None:
        """
        Open a chunk; it must be there unless it is doubtful.
        """
        handle = result_of(self.backend.open(chunk_id))
        if handle is None:
            assert chunk_id not in self.twin or chunk_id in self.doubtful
            self.forget()
            assert chunk_id not in self.twin, "absent, and nobody was told"
            return None
        return handle

    @rule()
    def let_go(self) -> None:
        """
        Read and close whatever is open.
        """
        for handle, content in self.open:
            assert read_handle(handle) == content
            handle.close()
        self.open.clear()

    @rule(number=_NUMBERS)
    def remove(self, number: int) -> None:
        """
        Remove a chunk.
        """
        chunk_id = made_up(number)[0]
        there = chunk_id in self.twin
        self.twin.pop(chunk_id, None)
        self.doubtful.discard(chunk_id)
        assert result_of(self.backend.remove(chunk_id)) == there

    @rule(seconds=st.sampled_from([0.5, 2.0, 45.0]))
    def wait(self, seconds: float) -> None:
        """
        Let time pass.
        """
        self.rig.clock.advance(seconds)
        self.forget()

    @rule(polite=st.booleans())
    def restart(self, *, polite: bool) -> None:
        """
        Stop or die, and begin anew: what was held is there, what was not is not.
        """
        self.let_go()
        if polite:
            result_of(self.backend.stop())
        self.counts["stops" if polite else "crashes"] += 1
        self.rig.die()
        assert self.rig.disk_usage() <= self.rig.capacity + 8192
        self.backend = self.rig.start()
        self.forget()
        found = set(self.backend.chunk_ids())
        if not self.rig.persistent:
            assert not found
            self.twin.clear()
        assert found <= set(self.twin), "it holds what it was never given"
        assert set(self.twin) - found <= self.doubtful, "lost"
        self.doubtful &= found
        self.twin = {each: self.twin[each] for each in found}
        self.hurt = False
        assert self.rig.disk_usage() <= self.rig.capacity

    @rule(number=_NUMBERS, kind=st.sampled_from(["flip", "cut", "unlink"]))
    def damage(self, number: int, kind: str) -> None:
        """
        Damage what is kept behind the backend's back, which is seen after a moment.
        """
        if not self.twin:
            return
        chunk_id = sorted(self.twin)[number % len(self.twin)]
        self.let_go()
        self.rig.clock.advance(LOOKED_AT)
        suffered: set[ChunkId] = getattr(self.rig, kind)(chunk_id, self.twin)
        self.doubtful |= suffered
        self.hurt = self.hurt or (kind != "flip" and len(suffered) > 1)
        self.hurt = self.hurt or (kind != "flip" and suffered == set(self.twin))
        self.counts["damages"] += bool(suffered)

    @invariant()
    def holds(self) -> None:
        """
        The backend holds what the dictionary does, within its capacity.
        """
        self.counts["steps"] += 1
        assert set(self.backend.chunk_ids()) == set(self.twin)
        usage = self.backend.usage()
        assert 0 <= usage.used <= usage.capacity == self.rig.capacity
        assert usage.chunks == len(self.twin)
        assert usage.degraded == "" or self.hurt


def machine_for(rig_type: type[Rig]) -> type[BackendMachine]:
    """
    Make the machine for a backend.
    """
    members = {"rig_type": rig_type, "counts": Counter()}
    return type(f"{rig_type.__name__}Machine", (BackendMachine,), members)
