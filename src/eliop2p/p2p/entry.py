"""
What a home knows of one chunk, and to whom it sends those who need it.
"""

from collections.abc import Callable, Container, Iterator
from heapq import heapify, heappop, heappush
from typing import NamedTuple
from zlib import crc32

import attrs

from eliop2p.wire.events import Holder, Locate

LEASE_SECONDS = 60.0
"""
How long a reader of the store keeps its lease without asking again, in seconds.
"""

LEASE_GRACE = 1.25
"""
How old a lease must be before an asker whom its reader failed gets one of its own, in
seconds: a reader may not yet know of its lease when others already come to it. An
answer of a slow home is waited for up to a second.
"""

LATE_GRACE = 5.0
"""
The same where the reader is a better home, which may have failed the asker only by
answering late as such.
"""

RECEIVING_SECONDS = 60.0
"""
How long a node counts as receiving a chunk without asking again, in seconds.
"""

FAN_OUT_RECEIVING = 2
FAN_OUT_READER = 4
FAN_OUT_COMPLETE = 2
FAN_OUT_SCARCE = 4
SCARCE = 4
"""
How many children a node has at a time before others are preferred: one that receives,
one that reads the store, one that holds the chunk, and one that holds it as one of at
most :data:`SCARCE`.
"""

TURN = 6
"""
By how many hops a node that was sent somebody already is further from an asker than one
that was not: every node should pass a chunk on about once, or some links idle while
others are full, but not in one long chain.
"""

MOST_TURNS = 4
"""
How many times count: who holds a chunk for long, and who has got it just now, then take
turns.
"""

MOST_TURNED = 1024
"""
For how many nodes it is remembered how many were sent to them.
"""

_GOLDEN = 0x9E3779B1
_HOLDS, _READS, _RECEIVES = range(3)


class _Option(NamedTuple):
    """
    A node that an asker could be sent to; the best sorts first.

    Attributes:
        slow: Whether its link is known to be much slower than those of others; looked
            up only for those that would be proposed.
        overload: 0 when it has room for a child, else how many it has.
        distance: How many nodes stand between it and one that waits for nobody, and
            :data:`TURN` for each time that it passed the chunk on.
        kind: Whether it holds the chunk, reads it from the store, or receives it.
        children: How many it has.
        ticket: Its place among those who receive.
        lot: Decides between equals; another for each asker, or all would be sent to
            the same.
        node_id: Its name.
    """

    slow: bool
    overload: int
    distance: int
    kind: int
    children: int
    ticket: int
    lot: int
    node_id: str

    def is_beneath(self, best: "_Option") -> bool:
        """
        Tell whether it is only for want of better ones, such as the best.
        """
        overloaded = self.overload and not best.overload
        return bool(overloaded) or self.slow > best.slow


@attrs.define(eq=False)
class Receiving:
    """
    A node that receives a chunk.

    Attributes:
        ticket: Its place in the order of joining.
        asked_at: When it last asked.
        filled: How many bytes it had then.
        children: How many nodes were sent to it.
        parent: The node to which it was sent, empty while there was none.
        can_read: Whether it could read the chunk from the store.
        depth: How many nodes pass the chunk on to it, one to the next.
    """

    ticket: int
    asked_at: float
    filled: int = 0
    children: int = 0
    parent: str = ""
    can_read: bool = True
    depth: int = 1


@attrs.define(eq=False)
class Entry:
    """
    What is known of a chunk.

    Attributes:
        digest: Its digest, empty while nobody has said.
        vouched: Whether the digest is that of the reader of the store.
        complete: The nodes that hold it, with how many nodes were sent to each.
        receiving: The nodes that receive it, in the order of their tickets.
        turns: By node, how many were sent to it in all, also those that have ended.
        refusals: By node, those whom it failed.
        reader: The node that has the lease to read the store, or empty.
        granted: When it got the lease.
        expires: When the lease ends.
    """

    digest: bytes = b""
    vouched: bool = False
    complete: dict[str, int] = attrs.Factory(dict)
    receiving: dict[str, Receiving] = attrs.Factory(dict)
    turns: dict[str, int] = attrs.Factory(dict)
    refusals: dict[str, set[str]] | None = None
    reader: str = ""
    granted: float = 0.0
    expires: float = 0.0

    @property
    def is_empty(self) -> bool:
        """
        Whether nobody holds or receives the chunk.
        """
        return not self.complete and not self.receiving

    @property
    def rests(self) -> bool:
        """
        Whether the chunk is held, and that is all there is to know.
        """
        return bool(self.complete and not self.receiving and not self.refusals)

    @property
    def sure_digest(self) -> bytes:
        """
        The digest, as far as askers are told: what nobody vouched for counts for
        nothing while somebody reads the store.
        """
        return self.digest if self.vouched or not self.reader else b""

    def lists(self, node_id: str) -> bool:
        """
        Tell whether a node holds or receives the chunk.
        """
        return node_id in self.complete or node_id in self.receiving

    def list_holder(self, node_id: str, children: int, most: int) -> bool:
        """
        Note a node that holds the chunk, with the children that it has.

        Returns:
            Whether it is listed: not when that many are.
        """
        if self.refusals:
            self.refusals.pop(node_id, None)
        if node_id not in self.complete:
            if len(self.complete) >= most:
                return False
            self.complete[node_id] = children
        return True

    def add_child(self, node_id: str, count: int) -> None:
        """
        Count nodes that are sent to a node, or no longer.
        """
        if node_id in self.complete:
            self.complete[node_id] = max(0, self.complete[node_id] + count)
        elif node_id in self.receiving:
            place = self.receiving[node_id]
            place.children = max(0, place.children + count)

    def send(self, place: Receiving, parent: str) -> None:
        """
        Note that a node that receives is sent to another.
        """
        above = None if parent == self.reader else self.receiving.get(parent)
        place.parent, place.depth = parent, 1 + (above.depth if above else 0)
        self.add_child(parent, 1)
        if parent not in self.turns and len(self.turns) >= MOST_TURNED:
            del self.turns[next(iter(self.turns))]
        self.turns[parent] = self.turns.get(parent, 0) + 1

    def recall(self, place: Receiving) -> None:
        """
        Note that a node asks again: it did not get the chunk from where it was sent.
        """
        self.add_child(place.parent, -1)
        turns = self.turns.pop(place.parent, 1) - 1
        if turns > 0:
            self.turns[place.parent] = turns
        place.parent = ""

    def turns_of(self, node_id: str, fan_out: int = 1) -> int:
        """
        Tell how often a node had its turn, as far as that counts.

        Args:
            node_id: The node.
            fan_out: How many nodes that are sent to it are one turn.
        """
        return min(self.turns.get(node_id, 0) // fan_out, MOST_TURNS)

    def grant(self, node_id: str, now: float) -> None:
        """
        Give a node the lease, or renew the one it has.
        """
        if self.reader != node_id:
            self.reader, self.granted = node_id, now
        self.expires = now + LEASE_SECONDS

    def may_grant(
        self,
        asker: str,
        request: Locate,
        alive: Callable[[str], bool],
        now: float,
        better: Container[str] = (),
    ) -> bool:
        """
        Tell whether an asker that was proposed nobody gets the lease.

        Args:
            asker: A node that is receiving the chunk.
            request: What it asks.
            alive: Tells whether a node may be proposed.
            now: In seconds.
            better: The homes that rank before this one.
        """
        if not request.can_read:
            return False
        reader = self.reader
        if reader in ("", asker) or now >= self.expires or not alive(reader):
            return True
        grace = LATE_GRACE if reader in better else LEASE_GRACE
        return reader in request.rejected and now >= self.granted + grace

    def proposals(
        self,
        asker: str,
        request: Locate,
        alive: Callable[[str], bool],
        now: float,
        count: int,
        *,
        slow: Container[str] = (),
    ) -> tuple[Holder, ...]:
        """
        Give the best nodes to ask: those with room for a child, or when there are none
        the least loaded; of these first who passed the chunk on least, and is near to
        where it comes from. The reader of the store is sent to none that only receive
        the chunk: they wait for it.

        Args:
            asker: A node that is receiving the chunk.
            request: What it asks.
            alive: Tells whether a node may be proposed.
            now: In seconds.
            count: How many to give at most.
            slow: Nodes that are proposed only for want of others.
        """
        excluded = {asker, *request.rejected}
        options = self._holding(asker)
        if asker != self.reader and self.is_fed(alive, now):
            options += self._passing_on(asker, request.filled, now)
        # Of hundreds only the best few are looked at: the rest need not be sorted.
        heapify(options)
        found: list[_Option] = []
        while options and len(found) < count:
            option = heappop(options)
            if not option.slow and option.node_id in slow:
                heappush(options, option._replace(slow=True))
            elif found and option.is_beneath(found[0]):
                break
            elif option.node_id not in excluded and alive(option.node_id):
                found.append(option)
        return tuple(Holder(option.node_id, option.kind == _HOLDS) for option in found)

    def is_hopeless(
        self, asker: str, request: Locate, alive: Callable[[str], bool], now: float
    ) -> bool:
        """
        Tell whether an asker that was proposed nobody waits in vain: it cannot read
        the store, and nobody who could pass the chunk on to it ever gets it.
        """
        if request.can_read:
            return False
        excluded, fed = {asker, *request.rejected}, self.is_fed(alive, now)
        return not any(
            (place.can_read or (fed and place.parent))
            and now < place.asked_at + RECEIVING_SECONDS
            and node_id not in excluded
            and alive(node_id)
            for node_id, place in self.receiving.items()
        )

    def is_fed(self, alive: Callable[[str], bool], now: float) -> bool:
        """
        Tell whether somebody brings the chunk to those who receive it. Whoever could
        read it from the store must not wait for those who cannot.
        """
        reading = self.reader and now < self.expires and alive(self.reader)
        return bool(reading) or any(alive(node_id) for node_id in self.complete)

    def _holding(self, asker: str) -> list[_Option]:
        fan_out = FAN_OUT_SCARCE if len(self.complete) <= SCARCE else FAN_OUT_COMPLETE
        seed = crc32(asker.encode())
        return [
            _Option(
                slow=False,
                overload=0 if children < fan_out else children,
                distance=TURN * self.turns_of(node_id),
                kind=_HOLDS,
                children=children,
                ticket=0,
                # Multiplied, for CRCs are linear: the same few would often come first.
                lot=(crc32(node_id.encode()) ^ seed) * _GOLDEN & 0xFFFFFFFF,
                node_id=node_id,
            )
            for node_id, children in self.complete.items()
        ]

    def _passing_on(self, asker: str, filled: int, now: float) -> Iterator[_Option]:
        ticket = self.receiving[asker].ticket
        for node_id, place in self.receiving.items():
            if node_id == self.reader and now < self.expires:
                kind, fan_out = _READS, FAN_OUT_READER
                distance = TURN * self.turns_of(node_id, FAN_OUT_READER)
            elif not place.parent or now >= place.asked_at + RECEIVING_SECONDS:
                continue
            elif place.ticket < ticket or place.filled > filled:
                kind, fan_out = _RECEIVES, FAN_OUT_RECEIVING
                distance = TURN * self.turns_of(node_id) + place.depth
            else:
                continue
            children = place.children
            overload = 0 if children < fan_out else children
            # Without names, which would take as long as all the rest. No two have the
            # same ticket, so that no lot has to be drawn.
            yield _Option(
                False,
                overload,
                distance,
                kind,
                children,
                place.ticket,
                0,
                node_id,
            )
