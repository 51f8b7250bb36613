"""
What the cluster holds, put together from what its members know.
"""

from collections.abc import Callable, Coroutine, Iterable
from typing import Any

import attrs
from twisted.internet.defer import Deferred, DeferredSemaphore, gatherResults
from zope.interface import implementer

from eliop2p.base.errors import PeerError, RemoteProtocolError
from eliop2p.interfaces import (
    ICatalog,
    IMembership,
    IPeerLinks,
    IRecordStore,
    Place,
)
from eliop2p.model.chunk import ChunkId, Layout, ObjectId
from eliop2p.model.peer import PeerInfo
from eliop2p.model.record import decode_record
from eliop2p.p2p.home import ChunkHome
from eliop2p.p2p.rendezvous import Homes
from eliop2p.wire.cluster_events import (
    MAX_ASKED,
    MAX_HELD,
    MAX_LISTED,
    MAX_NAMED,
    MAX_RECORD_LISTED,
    AskHolders,
    HeldBy,
    ListedObjects,
    ListObjects,
    ToldHolders,
)

MAX_OBJECTS = 20_000
"""
Objects that one question finds at most.
"""

_AT_ONCE = 16


@implementer(ICatalog)
class Catalog:
    """
    Asks every member for the objects that it remembers, and the homes of chunks for
    their holders.

    Args:
        node_id: This node.
        membership: Who is alive.
        homes: Where chunks are at home.
        links: The way to the members.
        home: This node as a home.
        records: What this node remembers of objects.
    """

    def __init__(
        self,
        node_id: str,
        membership: IMembership,
        homes: Homes,
        *,
        links: IPeerLinks,
        home: ChunkHome,
        records: IRecordStore,
    ) -> None:
        self._node_id = node_id
        self._membership = membership
        self._homes = homes
        self._links = links
        self._home = home
        self._records = records

    # --- for peers

    def list_own(self, request: ListObjects) -> "Deferred[ListedObjects]":
        """
        Tell which objects this node remembers.
        """
        return Deferred.fromCoroutine(self._list_own(request))

    async def _list_own(self, request: ListObjects) -> ListedObjects:
        skip = min(request.skip, 2 * MAX_OBJECTS)
        limit = skip + MAX_LISTED + 1
        found = await self._records.below(request.bucket, request.prefix, limit)
        page = found[skip : skip + MAX_LISTED]
        records = tuple(
            (name, short)
            for name, record in page
            if (short := _shortened(record)) is not None
        )
        more = len(page) if len(found) == limit else 0
        return ListedObjects(request.request_id, more, records)

    def tell_holders(self, request: AskHolders) -> ToldHolders:
        """
        Tell, as a home, who holds chunks.
        """
        names: dict[str, int] = {}
        held = []
        for chunk_id in request.chunk_ids:
            place = self._home.place(chunk_id)
            known = place.holders[:MAX_HELD]
            for holder in known:
                if len(names) < MAX_NAMED:
                    names.setdefault(holder, len(names))
            indexes = bytes(names[holder] for holder in known if holder in names)
            held.append(HeldBy(indexes, min(place.heat, 2**32 - 1)))
        return ToldHolders(request.request_id, tuple(names), tuple(held))

    # --- for this node

    def objects(self, bucket: bytes, prefix: bytes) -> "Deferred[tuple[Layout, ...]]":
        """
        See :meth:`ICatalog.objects`.
        """
        return Deferred.fromCoroutine(self._objects(bucket, prefix))

    async def _objects(self, bucket: bytes, prefix: bytes) -> tuple[Layout, ...]:
        found: dict[Layout, None] = {}
        for record in (await self._find(bucket, prefix)).values():
            found.update(dict.fromkeys(_layouts((record,))))
        return tuple(sorted(found, key=lambda layout: layout.key.key))

    async def _find(self, bucket: bytes, prefix: bytes) -> dict[ObjectId, bytes]:
        """
        Collect the records of objects from everybody.
        """
        found: dict[ObjectId, bytes] = {}

        async def ask(peer: PeerInfo) -> None:
            skip = 0
            while len(found) < MAX_OBJECTS:
                answer = await self._list(peer, ListObjects(1, bucket, prefix, skip))
                found.update(answer.records)
                if not answer.more:
                    return
                skip += answer.more

        await self._each(ask, self._membership.current().peers.values())
        return found

    def adopt(self, bucket: bytes, prefix: bytes) -> "Deferred[None]":
        """
        See :meth:`ICatalog.adopt`.
        """
        return Deferred.fromCoroutine(self._adopt(bucket, prefix))

    async def _adopt(self, bucket: bytes, prefix: bytes) -> None:
        for name, record in (await self._find(bucket, prefix)).items():
            if _has_head(record) and await self._records.get(name) is None:
                await self._records.put(name, record)

    async def _list(self, peer: PeerInfo, request: ListObjects) -> ListedObjects:
        if peer.node_id == self._node_id:
            return await self._list_own(request)
        try:
            answer: ListedObjects = await self._links.ask(peer, request)
        except PeerError:
            return ListedObjects(1, 0, ())
        return answer

    def places(
        self, chunk_ids: tuple[ChunkId, ...]
    ) -> "Deferred[dict[ChunkId, Place]]":
        """
        See :meth:`ICatalog.places`.
        """
        return Deferred.fromCoroutine(self._places(chunk_ids))

    async def _places(self, chunk_ids: tuple[ChunkId, ...]) -> dict[ChunkId, Place]:
        peers = self._membership.current().peers
        found: dict[ChunkId, Place] = {}
        for rank in range(self._homes.replicas):
            wanted: dict[str, list[ChunkId]] = {}
            for chunk_id in chunk_ids:
                homes = self._homes.of(chunk_id, peers)
                if chunk_id not in found and rank < len(homes):
                    wanted.setdefault(homes[rank], []).append(chunk_id)

            async def ask(
                peer: PeerInfo, wanted: dict[str, list[ChunkId]] = wanted
            ) -> None:
                mine = wanted[peer.node_id]
                for start in range(0, len(mine), MAX_ASKED):
                    some = tuple(mine[start : start + MAX_ASKED])
                    found.update(await self._ask_home(peer, some))

            await self._each(ask, [peers[name] for name in wanted])
        return found

    async def _ask_home(
        self, peer: PeerInfo, chunk_ids: tuple[ChunkId, ...]
    ) -> dict[ChunkId, Place]:
        if peer.node_id == self._node_id:
            return {chunk_id: self._home.place(chunk_id) for chunk_id in chunk_ids}
        try:
            told: ToldHolders = await self._links.ask(peer, AskHolders(1, chunk_ids))
        except PeerError:
            return {}
        return {
            chunk_id: Place(
                tuple(told.names[i] for i in held.holders if i < len(told.names)),
                held.heat,
            )
            for chunk_id, held in zip(chunk_ids, told.held, strict=False)
        }

    async def _each(
        self,
        ask: Callable[[PeerInfo], Coroutine[Any, Any, None]],
        peers: Iterable[PeerInfo],
    ) -> None:
        """
        Ask some peers, a few at a time.
        """
        turns = DeferredSemaphore(_AT_ONCE)

        def start(peer: PeerInfo) -> "Deferred[None]":
            return Deferred.fromCoroutine(ask(peer))

        await gatherResults(
            [turns.run(start, peer) for peer in peers], consumeErrors=True
        )


def _shortened(record: bytes) -> bytes | None:
    """
    Leave of a long record what says which chunks the object has, if that fits.
    """
    if len(record) <= MAX_RECORD_LISTED:
        return record
    try:
        whole = decode_record(record)
    except RemoteProtocolError:
        return None
    data = attrs.evolve(whole, head=b"").encode()
    return data if len(data) <= MAX_RECORD_LISTED else None


def _has_head(record: bytes) -> bool:
    try:
        return bool(decode_record(record).head)
    except RemoteProtocolError:
        return False


def _layouts(records: Iterable[bytes]) -> Iterable[Layout]:
    """
    Read records, leaving out what is none.
    """
    for record in records:
        try:
            yield decode_record(record).layout
        except RemoteProtocolError:
            continue
