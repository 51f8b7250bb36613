"""
Tells those who stand in for unreachable homes what this node has got of late.
"""

from collections import OrderedDict
from collections.abc import Iterator
from typing import Protocol

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from eliop2p.interfaces import IMembership, IPeerLinks
from eliop2p.model.chunk import ChunkId, Digest
from eliop2p.p2p.rendezvous import Homes

LATELY = 4096
"""
Of how many chunks, the last ones got, those are told who stand in for their homes. Of
all others new homes hear once the members have changed.
"""

GATHER_SECONDS = 0.02
_TURN = 128
_TURN_PAUSE = 0.002
"""
How long further changes are waited for; how many chunks are gone through at a time, and
the seconds between.
"""


class Teller(Protocol):
    """
    Sends announcements.
    """

    def tell_home(self, home: str, chunk_id: ChunkId, digest: Digest | None) -> None:
        """
        Say to one home that the node holds a chunk.
        """


class StandingIn:
    """
    The homes of chunks among the members that can be reached, and what they were told.

    Between the moment in which homes fall silent and that in which all agree that they
    are gone, a crowd goes on with the nodes next in rank. These can send nobody to the
    holders of a chunk that they have not been told of.

    Args:
        node_id: This node.
        membership: Who is alive.
        homes: Where chunks are at home.
        links: Tells who can be reached.
        clock: For waiting.
        teller: Tells homes.
    """

    def __init__(
        self,
        node_id: str,
        membership: IMembership,
        homes: Homes,
        *,
        links: IPeerLinks,
        clock: IReactorTime,
        teller: Teller,
    ) -> None:
        self._node_id = node_id
        self._membership = membership
        self._homes = homes
        self._links = links
        self._clock = clock
        self._teller = teller
        self._told: OrderedDict[ChunkId, tuple[Digest, set[str]]] = OrderedDict()
        self._call: IDelayedCall | None = None
        self._again = False
        links.watch(self._changed)

    def of(self, chunk_id: ChunkId) -> tuple[str, ...]:
        """
        Name the homes of a chunk that can be reached, first home first.
        """
        peers = self._membership.current().peers
        ranked = self._homes.reachable(chunk_id, peers, self._reachable)
        return ranked[: self._homes.replicas]

    def told(self, chunk_id: ChunkId, digest: Digest, homes: tuple[str, ...]) -> None:
        """
        Remember that homes were told of a chunk.
        """
        self._told[chunk_id] = digest, set(homes)
        self._told.move_to_end(chunk_id)
        if len(self._told) > LATELY:
            self._told.popitem(last=False)

    def gone(self, chunk_id: ChunkId) -> tuple[str, ...]:
        """
        Name the homes that were told of a chunk that is gone, and forget it.
        """
        _, homes = self._told.pop(chunk_id, (b"", ()))
        return tuple(sorted(homes))

    def stop(self) -> None:
        """
        Tell nobody more.
        """
        self._told.clear()
        if self._call is not None:
            self._call.cancel()
            self._call = None

    def _reachable(self, node_id: str) -> bool:
        return node_id == self._node_id or self._links.reachable(node_id)

    def _changed(self, _: str) -> None:
        self._again = True
        if self._call is None and self._told:
            self._call = self._clock.callLater(GATHER_SECONDS, self._begin)

    def _begin(self) -> None:
        self._again = False
        self._turn(self._work())

    def _work(self) -> Iterator[None]:
        for chunk_id in list(self._told):
            digest, told = self._told.get(chunk_id, (b"", None))
            if told is not None:
                self._catch_up(chunk_id, Digest(digest), told)
                yield

    def _catch_up(self, chunk_id: ChunkId, digest: Digest, told: set[str]) -> None:
        # Where the first one is lost, too, the next in rank is told then.
        for home in self.of(chunk_id)[:1]:
            if home not in told:
                told.add(home)
                self._teller.tell_home(home, chunk_id, digest)

    def _turn(self, work: Iterator[None]) -> None:
        self._call = None
        for _ in range(_TURN):
            if next(work, work) is work:
                if self._again:
                    self._changed("")
                return
        self._call = self._clock.callLater(_TURN_PAUSE, self._turn, work)
