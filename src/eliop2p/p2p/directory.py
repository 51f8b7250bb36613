"""
What a home knows of its chunks: who holds them, who receives them, who reads the store.
"""

import itertools
from collections.abc import Callable, Container

from eliop2p.model.chunk import ChunkId, Digest
from eliop2p.p2p.attach import EPOCH_SHIFT
from eliop2p.p2p.entry import Entry, Receiving
from eliop2p.p2p.resting import Resting
from eliop2p.wire.events import Locate, Located, Verdict

MAX_ENTRIES = 2_000_000
MAX_COMPLETE = 64
MAX_RECEIVING = 1024
MAX_RECEIVED = 16_384
MAX_ACTIVE = 65_536
"""
Bounds: chunks in a directory; nodes of each kind listed for one chunk; chunks that one
node is listed as receiving; and above how many that are not only held it is no longer
remembered who failed whom with those that nobody receives.
"""

REFUSALS = 3
"""
How many nodes must have been failed by a node before it is no longer listed.
"""


class Directory:
    """
    The table of a home.

    Args:
        epoch: A random number of 31 bits, which keeps tickets of different homes, and
            of one before and after a restart, apart.
        candidates: How many nodes an asker is sent to at most.
        max_entries: How many chunks are known at most; what is idle goes first.

    Attributes:
        conflicts: How often a node contradicted what is known of a digest.
    """

    def __init__(
        self, epoch: int, candidates: int = 5, max_entries: int = MAX_ENTRIES
    ) -> None:
        self.conflicts = 0
        self._candidates = candidates
        self._max_entries = max_entries
        self._tickets = itertools.count((epoch & 0x7FFFFFFF) << EPOCH_SHIFT | 1)
        # Of chunks that are being received; of the others, which are many more.
        self._active: dict[ChunkId, Entry] = {}
        self._resting = Resting(max_entries)
        self._receiving: dict[str, dict[ChunkId, None]] = {}

    def __len__(self) -> int:
        return len(self._active) + len(self._resting)

    def holders(self, chunk_id: ChunkId) -> tuple[str, ...]:
        """
        Name the nodes that hold a chunk whole.
        """
        entry = self._look(chunk_id)
        return () if entry is None else tuple(entry.complete)

    def receivers(self, chunk_id: ChunkId) -> tuple[str, ...]:
        """
        Name the nodes that are receiving a chunk, in the order of joining.
        """
        entry = self._active.get(chunk_id)
        return () if entry is None else tuple(entry.receiving)

    def reader(self, chunk_id: ChunkId) -> str:
        """
        Name the node that has the lease, or give an empty name.
        """
        entry = self._active.get(chunk_id)
        return "" if entry is None else entry.reader

    def is_fed(self, request: Locate, alive: Callable[[str], bool], now: float) -> bool:
        """
        Tell whether somebody is known who holds a chunk, or reads it from the store,
        and did not fail the asker.
        """
        entry = self._look(request.chunk_id)
        return entry is not None and entry.is_fed(
            lambda node_id: node_id not in request.rejected and alive(node_id), now
        )

    def locate(
        self,
        node_id: str,
        request: Locate,
        alive: Callable[[str], bool],
        now: float,
        better: Container[str] = (),
        *,
        slow: Container[str] = (),
    ) -> Located:
        """
        Answer a node that needs a chunk, and register it as receiving.

        There is one lease on a chunk, unless its reader died, let it expire, or failed
        the asker when the lease was already older than
        :data:`eliop2p.p2p.entry.LEASE_GRACE`, or ``LATE_GRACE``.

        Args:
            node_id: Who asks. It keeps its ticket when it asks again.
            request: What it asks.
            alive: Tells whether a node may be proposed.
            now: In seconds.
            better: The homes that rank before this one.
            slow: Nodes that are proposed only for want of others.
        """
        chunk_id = request.chunk_id
        entry = self._touch(chunk_id, node_id)
        self._note_refusals(chunk_id, entry, node_id, request.rejected)
        place = self._join(chunk_id, entry, node_id, request.filled, now)
        place.can_read = request.can_read
        holders = entry.proposals(
            node_id, request, alive, now, self._candidates, slow=slow
        )
        if holders:
            verdict = Verdict.HOLDERS
            entry.send(place, holders[0].node_id)
        elif entry.may_grant(node_id, request, alive, now, better):
            verdict = Verdict.LEASE
            entry.grant(node_id, now)
        elif entry.is_hopeless(node_id, request, alive, now):
            verdict = Verdict.HOLDERS
        else:
            verdict = Verdict.WAIT
        if entry.reader == node_id and verdict is not Verdict.LEASE:
            entry.reader = ""
        digest = entry.sure_digest
        return Located(request.request_id, verdict, place.ticket, digest, holders)

    def have(self, node_id: str, chunk_id: ChunkId, digest: Digest) -> bool:
        """
        Take that a node holds a chunk.

        What the reader of the store says of the digest stands against what others said
        before; otherwise who spoke first is believed.

        Returns:
            Whether the node is listed: not when it contradicts, nor when enough are.
        """
        if chunk_id not in self._active:
            noted = self._resting.add(chunk_id, node_id, digest, MAX_COMPLETE)
            if noted is not None:
                return noted
        entry = self._touch(chunk_id, node_id)
        vouched = entry.reader == node_id
        children = self._stop_receiving(chunk_id, entry, node_id)
        if entry.digest not in (b"", digest):
            self.conflicts += 1
            if not vouched or entry.vouched:
                entry.complete.pop(node_id, None)
                self._settle(chunk_id, entry)
                return False
            entry.complete.clear()
        entry.digest = digest
        entry.vouched = entry.vouched or vouched
        listed = entry.list_holder(node_id, children, MAX_COMPLETE)
        self._settle(chunk_id, entry)
        return listed

    def gone(self, node_id: str, chunk_id: ChunkId) -> None:
        """
        Take that a node neither holds nor receives a chunk any more.
        """
        entry = self._active.get(chunk_id) or self._resting.take(chunk_id)
        if entry is not None:
            self._stop_receiving(chunk_id, entry, node_id)
            entry.complete.pop(node_id, None)
            self._settle(chunk_id, entry)

    def leased(self, chunk_id: ChunkId, node_id: str, now: float) -> None:
        """
        Take from another home that it gave a node the lease on a chunk.

        A lease that this home gave itself, and that has not expired, stands.
        """
        entry = self._touch(chunk_id, node_id)
        if entry.reader in ("", node_id) or now >= entry.expires:
            self._join(chunk_id, entry, node_id, 0, now)
            entry.grant(node_id, now)

    def interrupted(self, node_id: str) -> None:
        """
        Take that a node fell silent: whatever it was receiving or reading has ended.

        What it holds stays listed; it may be back in a moment.
        """
        for chunk_id in self._receiving.pop(node_id, ()):
            entry = self._active[chunk_id]
            self._stop_receiving(chunk_id, entry, node_id)
            self._settle(chunk_id, entry)

    def lost(self, node_id: str) -> None:
        """
        Take that a node is no longer a member.

        Costs in proportion to the chunks that are being received, not to the directory.
        """
        self.interrupted(node_id)
        self._resting.lost(node_id)
        for chunk_id, entry in tuple(self._active.items()):
            if entry.complete.pop(node_id, None) is not None:
                self._settle(chunk_id, entry)

    def take_back(self, chunk_id: ChunkId) -> None:
        """
        End the lease on a chunk; its reader goes on receiving.
        """
        entry = self._active.get(chunk_id)
        if entry is not None:
            entry.reader = ""

    def forget(self, chunk_id: ChunkId) -> None:
        """
        Drop all that is known of a chunk.
        """
        self._resting.take(chunk_id)
        entry = self._active.pop(chunk_id, None)
        if entry is not None:
            for node_id in entry.receiving:
                self._unlist(node_id, chunk_id)

    def _look(self, chunk_id: ChunkId) -> Entry | None:
        return self._active.get(chunk_id) or self._resting.get(chunk_id)

    def _touch(self, chunk_id: ChunkId, node_id: str) -> Entry:
        """
        Give the entry to work on, a new one when there is none; for a node.
        """
        entry = self._active.get(chunk_id)
        if entry is None:
            entry = self._resting.take(chunk_id)
            if entry is None:
                entry = Entry()
                self._make_place(node_id)
            self._active[chunk_id] = entry
        return entry

    def _make_place(self, node_id: str) -> None:
        if len(self) < self._max_entries:
            return
        if len(self._resting):
            self._resting.make_room(node_id)
        else:
            self.forget(next(iter(self._active)))

    def _settle(self, chunk_id: ChunkId, entry: Entry) -> None:
        """
        Put an entry where it belongs after it was worked on.
        """
        if entry.is_empty:
            self._active.pop(chunk_id, None)
        elif entry.rests or (len(self._active) > MAX_ACTIVE and not entry.receiving):
            self._active.pop(chunk_id, None)
            self._resting.put(chunk_id, entry)
        else:
            self._active[chunk_id] = entry

    def _join(
        self, chunk_id: ChunkId, entry: Entry, node_id: str, filled: int, now: float
    ) -> Receiving:
        entry.complete.pop(node_id, None)
        place = entry.receiving.get(node_id)
        if place is None:
            if len(entry.receiving) >= MAX_RECEIVING:
                self._make_room(chunk_id, entry)
            place = Receiving(next(self._tickets), now)
            entry.receiving[node_id] = place
            mine = self._receiving.setdefault(node_id, {})
            mine[chunk_id] = None
            if len(mine) > MAX_RECEIVED:
                self.gone(node_id, next(iter(mine)))
        entry.recall(place)
        place.asked_at, place.filled = now, filled
        return place

    def _make_room(self, chunk_id: ChunkId, entry: Entry) -> None:
        """
        Drop who joined first: newcomers are sent to those who joined last.
        """
        oldest = next(name for name in entry.receiving if name != entry.reader)
        self._stop_receiving(chunk_id, entry, oldest)

    def _stop_receiving(self, chunk_id: ChunkId, entry: Entry, node_id: str) -> int:
        """
        Unlist a node that was receiving, and tell how many children it had.
        """
        if entry.reader == node_id:
            entry.reader = ""
        place = entry.receiving.pop(node_id, None)
        if place is None:
            return 0
        entry.add_child(place.parent, -1)
        self._unlist(node_id, chunk_id)
        return place.children

    def _note_refusals(
        self, chunk_id: ChunkId, entry: Entry, asker: str, rejected: tuple[str, ...]
    ) -> None:
        for node_id in rejected:
            if node_id == entry.reader or not entry.lists(node_id):
                continue
            if entry.refusals is None:
                entry.refusals = {}
            failed = entry.refusals.setdefault(node_id, set())
            failed.add(asker)
            if len(failed) >= REFUSALS:
                del entry.refusals[node_id]
                self._stop_receiving(chunk_id, entry, node_id)
                entry.complete.pop(node_id, None)

    def _unlist(self, node_id: str, chunk_id: ChunkId) -> None:
        chunks = self._receiving.get(node_id)
        if chunks is not None:
            chunks.pop(chunk_id, None)
            if not chunks:
                del self._receiving[node_id]
