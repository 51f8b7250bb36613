"""
Random lives of a directory.
"""

from collections import Counter

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from eliop2p.model.chunk import ChunkId, Digest
from eliop2p.p2p.directory import Directory
from eliop2p.p2p.entry import (
    LEASE_GRACE,
    LEASE_SECONDS,
)
from eliop2p.wire.events import Locate, Verdict

GOOD, BAD = Digest(b"g" * 32), Digest(b"b" * 32)


def chunk_id(number: int) -> ChunkId:
    """
    Name a chunk.
    """
    return ChunkId(number.to_bytes(32, "big"))


def everybody(node_id: str) -> bool:
    """
    Nobody is dead.
    """
    return True


NODES = st.sampled_from(["a", "b", "c", "d", "e"])
CHUNKS = st.integers(0, 5).map(chunk_id)


class DirectoryMachine(RuleBasedStateMachine):
    """
    Random use, with what must always hold.
    """

    def __init__(self) -> None:
        super().__init__()
        self.directory = Directory(1, candidates=3, max_entries=4)
        self.now = 0.0
        self.dead: set[str] = set()
        self.leases: dict[ChunkId, tuple[str, float]] = {}

    def alive(self, node_id: str) -> bool:
        """
        Tell who is.
        """
        return node_id not in self.dead

    @rule(
        node=NODES,
        chunk=CHUNKS,
        filled=st.integers(0, 3),
        can_read=st.booleans(),
        rejected=st.lists(NODES, max_size=3),
    )
    def locate(
        self,
        node: str,
        chunk: ChunkId,
        filled: int,
        can_read: bool,
        rejected: list[str],
    ) -> None:
        """
        A node asks; a second lease needs a reason.
        """
        reader = self.directory.reader(chunk)
        request = Locate(1, chunk, filled, can_read, tuple(rejected))
        located = self.directory.locate(node, request, self.alive, self.now)
        names = [holder.node_id for holder in located.holders]
        assert len(names) == len(set(names)) <= 3
        assert not {node, *rejected, *self.dead} & set(names)
        assert located.is_hopeless == (located.verdict is Verdict.HOLDERS and not names)
        assert not (can_read and located.is_hopeless)
        assert not names or located.verdict is Verdict.HOLDERS
        if located.verdict is Verdict.LEASE:
            assert can_read
            if reader not in ("", node):
                _, since = self.leases[chunk]
                assert (
                    not self.alive(reader)
                    or self.now >= since + LEASE_SECONDS
                    or (reader in rejected and self.now >= since + LEASE_GRACE)
                )
            if reader != node:
                self.leases[chunk] = (node, self.now)

    @rule(node=NODES, chunk=CHUNKS, digest=st.sampled_from([GOOD, GOOD, BAD]))
    def have(self, node: str, chunk: ChunkId, digest: Digest) -> None:
        """
        A node has a chunk.
        """
        listed = self.directory.have(node, chunk, digest)
        assert listed == (node in self.directory.holders(chunk))

    @rule(node=NODES, chunk=CHUNKS)
    def gone(self, node: str, chunk: ChunkId) -> None:
        """
        A node has it no longer.
        """
        self.directory.gone(node, chunk)
        assert node not in self.directory.holders(chunk)
        assert node not in self.directory.receivers(chunk)

    @rule(node=NODES, chunk=CHUNKS)
    def leased(self, node: str, chunk: ChunkId) -> None:
        """
        Another home gave a lease.
        """
        before = self.directory.reader(chunk)
        self.directory.leased(chunk, node, self.now)
        if self.directory.reader(chunk) != before:
            self.leases[chunk] = (node, self.now)

    @rule(node=NODES, for_good=st.booleans())
    def leave(self, node: str, for_good: bool) -> None:
        """
        A node breaks off or leaves.
        """
        if for_good:
            self.directory.lost(node)
            for number in range(6):
                assert node not in self.directory.holders(chunk_id(number))
        else:
            self.directory.interrupted(node)
        assert not self.directory._receiving.get(node)

    @rule(node=NODES)
    def die_or_rise(self, node: str) -> None:
        """
        A node is suspected, or no longer.
        """
        self.dead ^= {node}

    @rule(seconds=st.sampled_from([0.5, 2.5, 61.0]))
    def wait(self, seconds: float) -> None:
        """
        Time passes.
        """
        self.now += seconds

    @invariant()
    def consistent(self) -> None:
        """
        The indexes say what the entries say, and children are counted.
        """
        directory = self.directory
        assert len(directory) <= 4
        listed = {
            (node, chunk)
            for node, chunks in directory._receiving.items()
            for chunk in chunks
        }
        assert listed == {
            (node, chunk)
            for chunk, entry in directory._active.items()
            for node in entry.receiving
        }
        assert all(directory._receiving.values())
        resting = directory._resting
        held = [
            holder
            for number in range(6)
            if (entry := resting.get(chunk_id(number)))
            for holder in entry.complete
        ]
        names = resting._names
        counts = {name: names.mentions(names.number(name) or 0) for name in held}
        assert counts == Counter(held)
        for entry in directory._active.values():
            assert not entry.rests
            assert entry.complete or entry.receiving
            assert not entry.complete.keys() & entry.receiving.keys()
            assert not entry.reader or entry.reader in entry.receiving
            children = {**entry.complete}
            children |= {name: one.children for name, one in entry.receiving.items()}
            for name, count in children.items():
                sent = [one for one in entry.receiving.values() if one.parent == name]
                assert 0 <= count <= len(sent)
